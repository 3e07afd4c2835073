"""Signing keys: kept, pinned, refused when they change, accepted by a person; and what a thief can do without them."""

from __future__ import annotations

import stat
import threading
import time
from pathlib import Path

import pytest
from nacl.secret import SecretBox

from teleclaude.core.errors import NotFound, Refused
from teleclaude.core.paths import Places
from teleclaude.core.records import Computer
from teleclaude.core.settings import FleetSettings
from teleclaude.core.verbs import End, Message
from teleclaude.sync.fleet.keyring import members_file
from teleclaude.sync.fleet.members_file import (
    MembersFile,
    accept,
    identity_file,
    load_identity,
    read_members,
)
from teleclaude.sync.fleet.wire.identity import NAMES, KnownComputers, Members, SigningKey, Standing
from teleclaude.sync.fleet.wire.messages import Command, Heartbeat
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, Seal
from tests import make
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.keyhole import put_message, raw
from tests.sync.fleet.node import KEY
from tests.sync.fleet.test_hostile import fresh
from tests.wait import until

ONE, TWO = b"1" * 32, b"2" * 32


@pytest.fixture
def place(tmp_path: Path) -> Places:
    """The folders of a computer."""
    tmp_path.chmod(0o700)
    return Places(tmp_path, tmp_path, tmp_path)


def test_a_computer_has_one_key_for_good(place: Places) -> None:
    """It is made once, also by two at the same time, is 0600, and one that others can read is refused."""
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(load_identity(place).public)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert stat.S_IMODE(identity_file(place).stat().st_mode) == 0o600
    assert sorted(path.name for path in place.state.iterdir()) == ["computer.key"]
    identity_file(place).chmod(0o640)
    with pytest.raises(Refused, match="can be read by others"):
        load_identity(place)
    identity_file(place).chmod(0o600)
    identity_file(place).write_text("junk")
    with pytest.raises(Refused, match="is no key"):
        load_identity(place)


def test_the_first_key_counts_until_a_person_accepts_another(place: Places) -> None:
    """A changed key is refused, in later runs too; what was accepted counts at once, and the former one no more."""
    known = KnownComputers(MembersFile(place))
    assert [known.judge("far", key) for key in (ONE, ONE, TWO, ONE)] == [
        Standing.KNOWN,
        Standing.KNOWN,
        Standing.CHANGED,
        Standing.KNOWN,
    ]
    assert stat.S_IMODE(members_file(place).stat().st_mode) == 0o600
    later = KnownComputers(MembersFile(place))
    assert later.judge("far", TWO) is Standing.CHANGED
    with pytest.raises(NotFound, match="refused are: far"):
        accept(place, "fra")
    assert accept(place, "far") == TWO
    for each in (known, later):
        assert each.judge("far", TWO) is Standing.KNOWN
        assert each.judge("far", ONE) is Standing.CHANGED


def test_two_that_write_lose_nothing(place: Places) -> None:
    """The daemon and the command line change one file: what either of them said stays."""
    one, two = KnownComputers(MembersFile(place)), KnownComputers(MembersFile(place))
    one.judge("a", ONE)
    two.judge("b", TWO)
    one.judge("c", ONE)
    assert set(read_members(members_file(place)).pinned) == {"a", "b", "c"}


def test_names_are_bounded(place: Places) -> None:
    """A member with ever more names fills neither memory nor disk; those that are known stay."""
    MembersFile(place).change(lambda members: members.pinned.update({f"n{n}": ONE for n in range(NAMES)}))
    known = KnownComputers(MembersFile(place))
    assert known.judge("one-more", TWO) is Standing.TOO_MANY
    assert known.judge("n7", ONE) is Standing.KNOWN


def test_a_file_that_is_none_is_refused_and_said(place: Places) -> None:
    """Keys that cannot be read are not taken for none."""
    members_file(place).write_bytes(b"{")
    with pytest.raises(Refused, match="remove it"):
        KnownComputers(MembersFile(place))
    members_file(place).write_bytes(b'{"pinned": {"a": "aGk="}}')
    with pytest.raises(Refused, match="wrong size"):
        KnownComputers(MembersFile(place))


def test_a_disk_that_is_full_keeps_the_key_in_memory() -> None:
    """A key that cannot be written down counts all the same while this runs."""

    class Full:
        def read_if_changed(self) -> Members | None:
            return None

        def change(self, change: object) -> Members:
            raise OSError(28, "no space")

    known = KnownComputers(Full())
    assert known.judge("far", ONE) is Standing.KNOWN
    assert known.judge("far", TWO) is Standing.CHANGED


# A thief: somebody with the fleet's key, and a signing key of its own.


def thief(name: str, generation: int = 2**39) -> Seal:
    """Seal as a computer called `name`, by the thief's own signing key."""
    return Seal(name, "thief", generation, [KEY], SigningKey(b"t" * 32))


def test_a_forged_beat_takes_nobodys_place(node: MakeNode, server: RedisProcess) -> None:
    """A beat of far's in the far future, sealed with the fleet's key, changes nothing of far and is shown (F19)."""
    near, far = node("near"), node("far")
    near.look("far")
    until(lambda: near.titles("far") == ["one"])
    beat = Heartbeat(beat=2**40, home="h", heads={}, info=Computer(name="far", host="evil.lan", user="root"))
    raw(server, "SET", "teleclaude:computer:{far}:heartbeat", thief("far").seal(EVERYBODY, beat), "EX", 60)
    until(lambda: near.half.counters["dropped_forged"] >= 1)
    far.sessions("still me")
    until(lambda: near.titles("far") == ["still me"])
    found = near.computer("far")
    assert found is not None
    assert (found.host, found.status) == ("far.lan", "online")
    far.look("*")  # it beats anew, over the forged one
    until(lambda: near.loop.node.peers.all["far"].interested_in)
    assert far.is_ok()


def test_a_changed_key_is_shown_and_refused_until_accepted(node: MakeNode) -> None:
    """A computer that was set up anew is not believed; its record says so, and what to do; then all is well again."""
    near, far = node("near"), node("far")
    near.look("far")
    until(lambda: near.titles("far") == ["one"])
    generation = far.loop.node.context.seal.generation
    far.close()
    until(lambda: near.status("far") == "offline")
    until(lambda: int(time.time()) > generation)  # starts are counted in seconds where none is known
    node("far", identity="set up anew").sessions("new")
    until(lambda: "fleet accept far" in reason_of(near.computer("far")))
    assert near.titles("far") != ["new"]
    accept(near.place, "far")
    until(lambda: near.titles("far") == ["new"], 30)
    until(lambda: reason_of(near.computer("far")) == "")


def reason_of(computer: Computer | None) -> str:
    """What this computer says is wrong with the messages of another."""
    services = computer.services if computer else ()
    return next((service.reason for service in services if service.name == "messages"), "")


def test_what_a_sender_may_do_cannot_be_had_in_its_name(node: MakeNode, server: RedisProcess) -> None:
    """A member that may only look does not get more by sealing as one that may all (F19)."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    near.change_settings(fleet=FleetSettings(allow={"far": ("view", "message", "start", "end"), "*": ("view",)}))
    body = Command(fresh=fresh(near), args=End(session_id=make.session_id("one")))
    put_message(server, "near", thief("far").seal("near", body))
    until(lambda: near.half.counters["dropped_forged"] == 1)
    put_message(server, "near", thief("thief").seal("near", body))
    until(lambda: near.half.counters["commands_refused"] == 1)
    assert near.ran == []
    request = make.request("near", Message(session_id=make.session_id("one"), text="x"))
    far.half.submit(request)
    assert far.ended(request).status == "ok"
    assert time.monotonic() < request.deadline


def test_another_version_is_shown_with_what_to_upgrade(node: MakeNode, server: RedisProcess) -> None:
    """A member that speaks version 1 is shown as offline with the reason, and is there when it was upgraded."""
    near = node("near")
    blob = b"tc1" + bytes(SecretBox(KEY).encrypt(b"a heartbeat of version 1"))
    raw(server, "SET", "teleclaude:computer:{far}:heartbeat", blob)
    raw(server, "ZADD", "teleclaude:computers", int(time.time()), "far")
    near.look("*")
    until(lambda: "older version of teleclaude" in reason_of(near.computer("far")), 30)
    assert near.status("far") == "offline"
    node("far")
    until(lambda: near.titles("far") == ["one"], 30)
    until(lambda: reason_of(near.computer("far")) == "")


def test_after_a_change_of_keys_both_sides_say_what_to_do(node: MakeNode) -> None:
    """Who has the new key and who has the old one see of each other that they differ, and how to join again (F1)."""
    near, far = node("near"), node("far")
    near.look("far")
    far.look("near")
    until(lambda: near.titles("far") == far.titles("near") == ["one"])
    near.rekey(b"n" * 32)
    until(lambda: "fleet invite" in reason_of(near.computer("far")), 30)
    until(lambda: "fleet invite" in reason_of(far.computer("near")), 30)
    far.rekey(b"n" * 32)
    until(lambda: near.status("far") == far.status("near") == "online", 30)
    until(lambda: reason_of(near.computer("far")) == reason_of(far.computer("near")) == "", 30)


def test_an_answer_that_is_too_long_to_be_read_is_shown(node: MakeNode, server: RedisProcess) -> None:
    """A member whose answer is thrown away as it comes is shown with that, and not asked again and again (F17)."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    far.loop._messages.want(False)  # it answers nothing by itself
    near.look("far")
    until(lambda: near.loop.node.puller.replicas._owners["far"].request)
    request = near.loop.node.puller.replicas._owners["far"].request
    raw(server, "SET", f"teleclaude:output:{{near}}:{request}", b"tc2" + b"x" * 41 * 2**20)
    raw(server, "XADD", "teleclaude:session_events:{near}", "*", "a", request)
    until(lambda: "too much to be read" in reason_of(near.computer("far")))
    assert near.half.counters["dropped_limits"] == 1
