"""Sealing: what is dropped, and why."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from teleclaude.core.records import Computer
from teleclaude.core.verbs import End
from teleclaude.sync.fleet.keyring import KeyRing
from teleclaude.sync.fleet.wire.identity import CODE_SIZE, fingerprint
from teleclaude.sync.fleet.wire.messages import (
    Body,
    Clash,
    Command,
    Fresh,
    Goodbye,
    Heads,
    Heartbeat,
    InterestChange,
    Pull,
    encode,
    read_signed,
)
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, HOLDS_AFTER, MAGIC, REASONS, Dropped, Drops, Seal
from tests.sync.fleet.node import identity_of

KEY, OTHER = b"k" * 32, b"o" * 32


def seal(me: str = "here", *keys: bytes) -> Seal:
    """A computer's seal; its signing key is always the same."""
    return Seal(me, f"epoch-{me}", 1, keys or (KEY,), identity_of(me))


def why(opener: Seal, blob: bytes, sender: str | None = None) -> str:
    """The reason for which a message is dropped."""
    with pytest.raises(Dropped) as caught:
        opener.open(blob, sender=sender)
    return caught.value.reason


def test_a_sealed_message_is_opened_by_whom_it_is_for() -> None:
    """The recipient reads what was said, by whom, in which epoch."""
    envelope, body = seal("near").open(seal("far").seal("near", Heads(heads={"sessions": 3})))
    assert body == Heads(heads={"sessions": 3})
    assert (envelope.sender, envelope.epoch) == ("far", "epoch-far")


def test_redis_sees_nothing_of_a_message() -> None:
    """Neither names nor contents can be read in what is stored."""
    blob = seal("far").seal(EVERYBODY, Heartbeat(beat=1, home="h", heads={}, info=Computer(name="far", user="anna")))
    assert b"far" not in blob
    assert b"anna" not in blob


def test_each_wrong_message_has_its_reason() -> None:
    """Unsealed, sealed with another key, for somebody else, and in another's place: each is told apart."""
    blob = seal("far").seal("near", Goodbye())
    assert why(seal("near"), b"\x80\x04pickle") == "unsealed"
    assert why(seal("near"), b"") == "unsealed"
    assert why(seal("near"), seal("far", OTHER).seal("near", Goodbye())) == "altered"
    assert why(seal("third"), blob) == "misaddressed"
    assert why(seal("near"), blob, sender="raspi") == "forged"


@given(st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    """A message that was changed anywhere is dropped."""
    blob = bytearray(seal("far").seal("near", Heads(heads={"todos": 1})))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    assert why(seal("near"), bytes(blob)) in {"altered", "unsealed", "version"}


@given(st.binary(max_size=300))
def test_no_junk_raises_anything_else(junk: bytes) -> None:
    """Whatever lies in Redis, sealed by a member even, is dropped for a reason."""
    assert why(seal("near"), junk) in REASONS
    boxed = SecretBox(KEY).encrypt(junk)
    assert why(seal("near"), MAGIC + bytes(boxed)) == ("malformed" if junk else "unsealed")


def test_an_older_key_opens_and_does_not_seal() -> None:
    """During the grace after a change of keys both are understood; only the new one is used."""
    changed = seal("near", OTHER, KEY)
    changed.open(seal("far", KEY).seal("near", Goodbye()))
    assert why(seal("far", KEY), changed.seal("far", Goodbye())) == "altered"


def test_the_grace_of_an_old_key_is_judged_at_each_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer that runs on does not open with a key whose time is up (cases/s11)."""
    wall = 1000.0
    monkeypatch.setattr("teleclaude.sync.fleet.wire.sealing.time.time", lambda: wall)
    near = Seal("near", "e", 1, KeyRing(OTHER).replaced(KEY, wall, 5.0))
    blob = seal("far", OTHER).seal("near", Heads(heads={}))
    near.open(blob)
    wall = 1005.0
    assert why(near, seal("far", OTHER).seal("near", Heads(heads={}))) == "altered"


FRESH = Fresh("epoch-near", 0.0, 1.0)


@pytest.mark.parametrize(
    "body",
    [
        Command(fresh=FRESH, args=End(session_id="x")),
        Pull(fresh=FRESH, kinds=["sessions"]),
        InterestChange(fresh=FRESH, kinds=["sessions"], beat=1),
    ],
)
def test_an_old_key_opens_no_request(body: Body) -> None:
    """While a key has grace, what it seals is shown; nothing is done or told for it."""
    near = seal("near", OTHER, KEY)
    assert why(near, seal("far", KEY).seal("near", body)) == "old key"
    near.open(seal("far", OTHER).seal("near", body))


def test_a_member_cannot_speak_as_another() -> None:
    """The fleet's key seals in any name; only the key of that computer is believed."""
    near, far, thief = seal("near"), Seal("far", "e", 1, [KEY]), Seal("far", "e", 2**39, [KEY])
    near.open(far.seal("near", Heads(heads={})))
    with pytest.raises(Dropped, match="forged") as caught:
        near.open(thief.seal("near", Command(fresh=FRESH, args=End(session_id="x"))))
    assert "teleclaude fleet accept far" in caught.value.detail
    assert fingerprint(thief.identity.public) in caught.value.detail
    near.open(far.seal("near", Heads(heads={})))


def test_a_signature_is_of_that_very_message() -> None:
    """One message's signature does not do for another, nor another key's for this one."""
    near, far = seal("near"), Seal("far", "e", 1, [KEY])
    near.open(far.seal("near", Heads(heads={})))
    signed = read_signed(SecretBox(KEY).decrypt(far.seal("near", Heads(heads={}))[3:]))
    other = read_signed(SecretBox(KEY).decrypt(far.seal("near", Heads(heads={"todos": 9}))[3:]))
    changed = [
        msgspec.structs.replace(signed, message=other.message),
        msgspec.structs.replace(signed, signature=b""),
        msgspec.structs.replace(signed, key=b""),
        msgspec.structs.replace(signed, key=Seal("x", "e", 1, [KEY]).identity.public),
    ]
    for wrong in changed:
        assert why(near, MAGIC + bytes(SecretBox(KEY).encrypt(encode(wrong)))) == "forged"


def test_a_code_proves_its_sender_to_its_recipient_alone() -> None:
    """What is for one known computer is coded, not signed; nobody else can make, change, redirect or reflect it."""
    near, far, thief = seal("near"), seal("far"), seal("thief")
    for opener, sealer in ((near, far), (far, near), (thief, near), (near, thief)):
        opener.open(sealer.seal(EVERYBODY, Heads(heads={})))
    blob = far.seal("near", Heads(heads={"todos": 1}))
    signed = read_signed(SecretBox(KEY).decrypt(blob[3:]))
    assert len(signed.signature) == CODE_SIZE
    near.open(blob)
    assert why(thief, blob) == "forged", "for somebody else"
    other = read_signed(SecretBox(KEY).decrypt(thief.seal("near", Heads(heads={}))[3:]))
    own = read_signed(SecretBox(KEY).decrypt(near.seal("far", Heads(heads={}))[3:]))
    changed = [
        msgspec.structs.replace(signed, message=other.message),
        msgspec.structs.replace(signed, signature=other.signature),
        msgspec.structs.replace(signed, key=other.key),
        msgspec.structs.replace(signed, key=b"\0" * 32),
        msgspec.structs.replace(signed, key=b""),
        own,
    ]
    for wrong in changed:
        assert why(near, MAGIC + bytes(SecretBox(KEY).encrypt(encode(wrong)))) == "forged"
    mine = msgspec.structs.replace(other, key=signed.key)
    assert why(near, MAGIC + bytes(SecretBox(KEY).encrypt(encode(mine)))) == "forged", "another one's words in its name"


def test_another_version_is_told_as_that() -> None:
    """What an older or a newer teleclaude says is not understood, and people are told which one to upgrade."""
    near = seal("near")
    for number, words in ((b"tc1", "older"), (b"tc3", "newer")):
        blob = number + bytes(SecretBox(KEY).encrypt(b"x"))
        with pytest.raises(Dropped, match="version") as caught:
            near.open(blob, sender="far")
        assert (caught.value.sender, f"{words} version" in caught.value.detail) == ("far", True)
        assert why(near, number + bytes(SecretBox(OTHER).encrypt(b"x"))) == "altered"


def test_a_name_that_was_held_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a computer has beaten for a while, another one's beat under its name is no namesake's but a forgery."""
    at = 1000.0
    monkeypatch.setattr("teleclaude.sync.fleet.wire.sealing.now", lambda: at)
    beat = Heartbeat(beat=1, home="h", heads={}, info=Computer(name="near"))
    near, other = seal("near"), Seal("near", "other", 1, [KEY])
    near.seal(EVERYBODY, beat)
    at += HOLDS_AFTER - 1
    near.seal(EVERYBODY, beat)
    near.open(other.seal(EVERYBODY, beat))  # two that are new may have one name by mistake, and see it
    at += 1
    near.seal(EVERYBODY, beat)
    assert why(near, other.seal(EVERYBODY, beat)) == "forged"
    near.open(near.seal(EVERYBODY, beat))
    near.open(other.seal("near", Clash(fresh=FRESH, host="h")))  # who is silent may say so


def test_drops_are_counted_by_reason() -> None:
    """Every reason has a counter, and each drop raises one of them by one."""
    drops = Drops()
    drops.add(Dropped("replayed", "far"))
    drops.add(Dropped("replayed", "far\n\x1b[31m"))
    assert set(drops.counts()) == set(REASONS)
    assert {reason: count for reason, count in drops.counts().items() if count} == {"replayed": 2}
