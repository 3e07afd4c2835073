"""Rows of one computer on another over a real Redis: pulled on interest, pushed while somebody looks."""

from __future__ import annotations

import time

import msgspec
import pytest

from teleclaude.core.records import EVERYWHERE, Computer, Session
from teleclaude.core.requests import Request, new_id
from teleclaude.core.settings import FleetSettings, PrivacySettings, RedisSettings
from teleclaude.core.verbs import Refresh
from teleclaude.sync.fleet import presence
from teleclaude.sync.fleet.membership import peers
from teleclaude.sync.fleet.replication import replicas
from tests import make
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.node import Node
from tests.wait import until


def looking(node: MakeNode, *names: str) -> list[Node]:
    """Computers of these names; the first looks at all others' sessions and has them."""
    nodes = [node(name) for name in names]
    near = nodes[0]
    until(lambda: all(near.status(other) == "online" for other in names[1:]))
    near.look("*")
    until(lambda: all(near.titles(other) == ["one"] for other in names[1:]))
    return nodes


def pushed(node: Node) -> int:
    """How many events a computer pushed."""
    return node.half.counters.get("events_pushed", 0)


def test_rows_come_on_interest_and_follow(node: MakeNode) -> None:
    """Who looks at a computer has its rows, then each change; who does not look has none."""
    near, far = looking(node, "near", "far")
    far.sessions("one", "two")
    until(lambda: near.titles("far") == ["one", "two"])
    far.sessions("two")
    until(lambda: near.titles("far") == ["two"])
    assert far.titles("near") == []


def test_a_computer_is_told_of_with_all_that_it_says_of_itself(node: MakeNode) -> None:
    """Host and user come with the first heartbeat, so that attaching works; the reader says that it is not local."""
    near, _ = node("near"), node("far")
    until(lambda: near.status("far") == "online")
    found = near.computer("far")
    assert found is not None
    assert (found.host, found.user, found.status, found.is_local) == ("far.lan", "u", "online", False)


def test_only_the_one_that_is_looked_at_pushes(node: MakeNode) -> None:
    """Interest is per computer and per kind: a computer or a kind that nobody expanded sends nothing."""
    near, far, third = node("near"), node("far"), node("third")
    until(lambda: near.status("far") == near.status("third") == "online")
    near.look("far", "sessions")
    until(lambda: near.titles("far") == ["one"])
    third.sessions("changed")
    far.own.update("todos", [make.todo(owner="far")])
    far.sessions("changed")
    until(lambda: near.titles("far") == ["changed"])
    assert (pushed(far), pushed(third)) == (1, 0)
    assert near.records("todos", "far") == {}
    assert near.titles("third") == []


def test_silence_when_nobody_looks(node: MakeNode) -> None:
    """Collapsing ends the pushes at once, not with the next heartbeat; looking again brings what changed meanwhile."""
    near, far = looking(node, "near", "far")
    near.look_away()
    until(lambda: not far.loop.node.server.subscribers)
    far.sessions("changed")
    far.sessions("changed again")
    near.look("far", "projects")
    until(lambda: near.records("projects", "far"))
    assert pushed(far) == 0
    near.look("far", "sessions")
    until(lambda: near.titles("far") == ["changed again"])


def test_a_second_computer_is_asked_at_once(node: MakeNode) -> None:
    """Whoever was just asked is no reason to let another one wait: nothing between computers is shared."""
    near, far, _ = node("near"), node("far"), node("third")
    until(lambda: near.status("far") == near.status("third") == "online")
    near.look("far")
    until(lambda: near.titles("far") == ["one"])
    with far.loop._lock:  # it hangs, with a question under way
        near.look_at({"far": ["sessions", "projects"], "third": ["sessions"]})
        until(lambda: near.titles("third") == ["one"], 2.0)


def test_snapshot_and_events_join_without_a_hole(node: MakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes while a computer is being expanded is in the snapshot or in an event behind it: one pull does."""
    monkeypatch.setattr(replicas, "ANSWER_TIMEOUT", 60.0)
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == "online")
    for turn in range(10):
        pulls = near.half.counters["pulls"]
        titles = [f"turn {turn} change {number}" for number in range(40)]
        for number, title in enumerate(titles):
            far.sessions(title, "stays")
            if number == 10:
                near.look("far")
            time.sleep(0.001)  # so that they are not all one
        until(lambda title=titles[-1]: near.titles("far") == ["stays", title])  # type: ignore[misc]  # bound by default
        assert near.half.counters["pulls"] == pulls + 1
        near.look_away()
        until(lambda: not far.loop.node.server.subscribers)


def test_what_came_before_the_inbox_was_read_is_read(node: MakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place in the inbox is known before anything is asked, so the first answer is not missed by a slow reader."""
    monkeypatch.setattr(replicas, "ANSWER_TIMEOUT", 60.0)
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == "online")
    inbox = near.loop._inbox
    want = inbox.want
    inbox.want = lambda wanted: None  # type: ignore[method-assign]  # it has not come to read yet
    near.look("far")
    until(lambda: far.loop.node.server.subscribers)
    far.sessions("two")
    until(lambda: pushed(far) == 1)
    inbox.want = want  # type: ignore[method-assign]
    want(True)
    until(lambda: near.titles("far") == ["two"])
    assert near.half.counters["pulls"] == 1


def test_a_heartbeat_that_is_late_takes_nothing_away(node: MakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a computer is taken for offline its rows stay; when it is heard again, none of them has blinked."""
    near, far = looking(node, "near", "far")
    version = near.core.cache.version
    with monkeypatch.context() as short:
        short.setattr(peers, "LEASE", 0.5)
        until(lambda: near.status("far") == "offline")
    assert near.titles("far") == ["one"]
    far.beat_now()
    until(lambda: near.status("far") == "online")
    until(lambda: near.awaited("far") == () and near.loop.node.puller.replicas.is_settled("far"))
    changes = near.core.cache.since(version)
    assert changes is not None
    assert {change.kind for change in changes} == {"computers"}


def test_a_heartbeat_that_says_nothing_new_is_no_change(node: MakeNode) -> None:
    """Only its time is another: clients are told nothing, however many computers beat."""
    near, far = looking(node, "near", "far")
    peer = near.loop.node.peers.all
    until(lambda: near.awaited("far") == ())
    version, beat = near.core.cache.version, peer["far"].beat
    for _ in range(3):
        beat = peer["far"].beat
        far.beat_now()
        until(lambda beat=beat: peer["far"].beat > beat)  # type: ignore[misc]  # bound by default
    assert near.core.cache.version == version


def test_one_of_two_clients_leaves(node: MakeNode) -> None:
    """Interest shrinks with the client that had it, also when another stays."""
    near, far = node("near"), node("far")
    near.look_at({"far": ["projects", "sessions"]})
    until(lambda: near.titles("far") == ["one"] and near.records("projects", "far"))
    near.look_at({"far": ["projects"]})
    subscribers = far.loop.node.server.subscribers
    until(lambda: subscribers.of("sessions") == [] and subscribers.of("projects") == ["near"])


def test_a_trimmed_inbox_is_noticed(node: MakeNode, server: RedisProcess) -> None:
    """Events that were trimmed away before they were read lead to a snapshot."""
    near, far = looking(node, "near", "far")
    inbox = near.loop._inbox
    inbox.want(False)
    far.sessions("two")
    until(lambda: pushed(far) == 1)
    server.run("XTRIM", "teleclaude:session_events:{near}", "MAXLEN", 0)
    inbox.want(True)
    far.sessions("three")
    until(lambda: near.titles("far") == ["three"])


def test_a_lost_last_event_is_noticed(node: MakeNode, server: RedisProcess) -> None:
    """Also when nothing comes after it: the next heartbeat tells that there was one."""
    near, far = looking(node, "near", "far")
    near.loop._inbox.want(False)
    far.sessions("two")
    until(lambda: pushed(far) == 1)
    server.run("DEL", "teleclaude:session_events:{near}")
    near.loop._inbox.want(True)
    far.beat_now()
    until(lambda: near.titles("far") == ["two"])


def test_an_owner_that_starts_anew(node: MakeNode) -> None:
    """A new run of the owner is a new epoch: its rows replace what was there, within moments of its start."""
    near, far = looking(node, "near", "far")
    far.sessions("one", "gone")
    until(lambda: near.titles("far") == ["gone", "one"])
    far.close(keep=True)
    until(lambda: near.status("far") == "offline")
    assert near.titles("far") == ["gone", "one"], "rows stay, dimmed"
    node("far", folder=far.folder)
    until(lambda: near.status("far") == "online" and near.titles("far") == ["one"])


def test_an_owner_that_crashed_and_is_back(node: MakeNode, server: RedisProcess) -> None:
    """After a crash without a goodbye the same folder takes its name back at once."""
    near, far = looking(node, "near", "far")
    loop = far.loop
    loop.node.heartbeats.farewell = lambda **_: None  # type: ignore[method-assign]
    far.close(keep=True)
    assert server.run("EXISTS", "teleclaude:computer:{far}:heartbeat") == 1
    node("far", folder=far.folder).sessions("after the crash")
    until(lambda: near.titles("far") == ["after the crash"])


def test_rows_are_not_asked_of_a_computer_that_has_not_looked_yet(node: MakeNode) -> None:
    """An owner that has just started answers once it knows its own sessions: nothing goes blank in between."""
    near, far = looking(node, "near", "far")
    far.close(keep=True)
    again = Node("far", far.settings.redis.url, folder=far.folder)
    again.own.described = Computer(name="far", host="far.lan", tmux_socket="moved")
    try:
        again.half.start()
        until(lambda: near.status("far") == "online")
        found = near.computer("far")
        assert found is not None
        assert (found.host, found.tmux_socket) == ("far.lan", "moved"), "where to attach is told with the first beat"
        until(lambda: again.loop.node.server._early)
        assert near.titles("far") == ["one"]
        again.sessions("one", "two")
        again.own.filled()
        until(lambda: near.titles("far") == ["one", "two"])
    finally:
        again.close()


def test_a_new_cache_gets_all_again(node: MakeNode) -> None:
    """A cache that starts anew has every computer and row again, without a question to anybody."""
    near, _ = looking(node, "near", "far")
    pulls = near.half.counters["pulls"]
    near.new_cache()
    until(lambda: near.titles("far") == ["one"] and near.status("far") == "online")
    assert near.half.counters["pulls"] == pulls


def test_refresh_pulls_now_and_keeps_what_is_there(node: MakeNode) -> None:
    """A refresh has the owner look again, ends when its rows are there, and never blanks."""
    near, far = looking(node, "near", "far")
    request = Request(id=new_id(), computer="far", args=Refresh(), deadline=time.monotonic() + 10)
    near.half.submit(request)
    assert near.ended(request).status == "ok"
    assert [type(ran.args) for ran in far.ran] == [Refresh]
    everywhere = Request(id=new_id(), computer=EVERYWHERE, args=Refresh(), deadline=time.monotonic() + 10)
    near.half.submit(everywhere)
    assert near.ended(everywhere).status == "ok"


def test_a_refresh_brings_every_kind(node: MakeNode) -> None:
    """What is refreshed is all that is looked at, todos and sessions no less than projects."""
    near, far = node("near"), node("far")
    far.own.update("todos", [make.todo(owner="far")])
    near.look("far", "projects", "sessions", "todos")
    until(lambda: near.records("todos", "far") and near.titles("far") and near.records("projects", "far"))
    until(lambda: near.awaited("far") == ())
    far.loop.node.context.push = lambda *_args, **_more: None  # type: ignore[method-assign]  # every event is lost
    far.own.update("todos", [make.todo(owner="far", title="another")])
    far.own.update("projects", [make.project(owner="far", name="another")])
    far.sessions("another")
    request = Request(id=new_id(), computer="far", args=Refresh(), deadline=time.monotonic() + 10)
    near.half.submit(request)
    assert near.ended(request).status == "ok"
    near.writer.flush(5.0)
    assert list(near.records("todos", "far").values()) == [make.todo(owner="far", title="another")]
    assert list(near.records("projects", "far").values()) == [make.project(owner="far", name="another")]
    assert near.titles("far") == ["another"]


def test_who_may_not_look_sees_nothing(node: MakeNode) -> None:
    """An owner that allows no view answers no pull and pushes nothing; the computer itself is still listed."""
    near, far = node("near"), node("far")
    far.change_settings(fleet=FleetSettings(allow={"*": ("view",), "near": ("message",)}))
    until(lambda: near.status("far") == "online")
    near.look("far")
    until(lambda: near.half.counters.get("pulls", 0) > 0)
    far.sessions("secret")
    third = node("third")
    third.look("far")
    until(lambda: third.titles("far") == ["secret"])
    assert near.titles("far") == []
    assert near.half.counters.get("events_applied", 0) == 0


def test_awaited_is_shown_while_an_owner_is_slow(node: MakeNode) -> None:
    """The view tells which computer it still waits for, and the others' rows come meanwhile."""
    near, far, third = node("near"), node("far"), node("third")
    until(lambda: near.status("far") == near.status("third") == "online")
    loop = far.loop
    with loop._lock:  # it hangs
        near.look("*")
        until(lambda: near.titles("third") == ["one"])
        assert (near.awaited("far"), near.awaited("third")) == (("sessions",), ())
    until(lambda: near.titles("far") == ["one"])
    until(lambda: near.awaited("far") == ())
    assert third.is_ok()


def test_gone_for_good_is_forgotten(node: MakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer that is gone longer than the setting says leaves the view, its rows too."""
    monkeypatch.setattr(presence, "FORGET_AFTER_LOOK", 0.5)
    near, far = looking(node, "near", "far")
    far.close(keep=True)
    until(lambda: near.status("far") == "offline")
    near.change_settings(fleet=FleetSettings(forget_after=0.1 / 3600))
    until(lambda: near.status("far") == "absent", 20)
    assert near.titles("far") == []


def test_who_left_the_fleet_sees_its_computers_no_more(node: MakeNode) -> None:
    """After leaving, the rows and computers of the fleet go from the view, and it from theirs; one's own stay."""
    near, far = looking(node, "near", "far")
    near.change_settings(redis=RedisSettings())
    until(lambda: near.status("far") == "absent" and near.titles("far") == [])
    assert near.titles("near") == ["one"]
    until(lambda: far.status("near") == "absent")


def test_a_new_key_parts_and_joining_again_unites(node: MakeNode) -> None:
    """With another key nothing is understood any more; with the same again all is as before, and nothing blinks."""
    near, far = looking(node, "near", "far")
    far.rekey(b"n" * 32)
    until(lambda: near.half.counters["dropped_altered"] > 0, 20)
    near.rekey(b"n" * 32)
    assert near.titles("far") == ["one"]
    until(lambda: near.status("far") == "online" and far.status("near") == "online")
    far.sessions("after")
    until(lambda: near.titles("far") == ["after"])


def test_who_parted_by_a_new_key_goes_when_the_fleet_is_left(node: MakeNode) -> None:
    """After a new key the rows of who does not have it stay, dimmed; they go with the fleet, without a restart (F7)."""
    near, far = looking(node, "near", "far")
    near.rekey(b"n" * 32)
    until(lambda: near.status("far") == "offline")
    assert near.titles("far") == ["one"]
    near.change_settings(redis=RedisSettings())
    until(lambda: near.status("far") == "absent" and near.titles("far") == [])
    assert far.titles("far") == ["one"]


def test_who_takes_another_name_says_goodbye_under_the_old_one(node: MakeNode) -> None:
    """Others see the old name no more, when a computer stops to come back under another one (C5)."""
    near, far = looking(node, "near", "far")
    far.rename("new")
    far.close()
    until(lambda: near.status("far") == "absent" and near.titles("far") == [])


def test_only_what_is_shared_leaves(node: MakeNode) -> None:
    """Another computer gets no prompt that is not shared; when it is shared, it comes, and goes again with it."""
    near, far = looking(node, "near", "far")
    row = msgspec.structs.replace(make.session(make.session_id("one"), "far", title="one"), last_prompt="SECRET")
    far.own.update("sessions", [row])
    far.own.update("sessions", [msgspec.structs.replace(row, title="two")])
    until(lambda: near.titles("far") == ["two"])

    def prompts() -> list[str]:
        return [r.last_prompt for r in near.records("sessions", "far").values() if isinstance(r, Session)]

    assert prompts() == [""]
    for share, shown in (("all", ["SECRET"]), ("state", [""])):
        settings = msgspec.structs.replace(far.settings, privacy=PrivacySettings(share=share))  # type: ignore[arg-type]
        far.half.reload(settings)
        until(lambda wanted=shown: prompts() == wanted)  # type: ignore[misc]
    assert near.titles("far") == [row.agent]
