"""Live output between computers, over a real Redis: what it sees, what is left, and what a member could do with it."""

from __future__ import annotations

import logging

import pytest

from teleclaude.core.settings import FleetSettings
from teleclaude.sync.fleet.redis.redis_keys import SCREENS_LENGTH, SCREENS_TTL
from teleclaude.sync.fleet.wire.messages import ScreenUpdate
from teleclaude.sync.fleet.wire.sealing import Seal
from tests import make
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.keyhole import PREFIX, raw
from tests.sync.fleet.node import KEY, Node, identity_of
from tests.wait import until

ONE = make.session_id("one")
STREAM = f"{PREFIX}screens:{{near}}:far:{ONE}"


def watching(node: MakeNode) -> tuple[Node, Node]:
    """Two computers, of which near watches a screen of far."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    near.watch("far", "one")
    until(lambda: far.watched_here == {ONE})
    return near, far


def shows(near: Node, *rows: str) -> bool:
    """Whether the last screen that was shown has these rows."""
    return bool(near.lane.screens) and near.lane.screens[-1].screen.rows == rows


def test_a_watched_screen_comes(node: MakeNode, server: RedisProcess) -> None:
    """Through a stream of its own that is short and expires, and nothing of it when the watch is over."""
    near, far = watching(node)
    for number in range(SCREENS_LENGTH * 2):
        far.show("one", "line \x1b[0;1m", str(number))
        until(lambda number=number: shows(near, "line \x1b[0;1m", str(number)))  # type: ignore[misc]
    assert raw(server, "XLEN", STREAM) == SCREENS_LENGTH
    until(lambda: 0 < raw(server, "TTL", STREAM) <= SCREENS_TTL)
    near.watch("far")
    until(lambda: far.watched_here == frozenset())
    until(lambda: raw(server, "EXISTS", STREAM) == 0)
    far.show("one", "unwatched")
    far.sessions("done")
    near.look("far")
    until(lambda: near.titles("far") == ["done"])
    assert raw(server, "EXISTS", STREAM) == 0


def test_a_watch_is_audited_once(node: MakeNode, caplog: pytest.LogCaptureFixture) -> None:
    """That somebody watches is in the log, and so is that he may not; that he goes on is not."""
    with caplog.at_level(logging.INFO, logger="teleclaude.audit"):
        near, far = watching(node)
        for _ in range(3):
            with near.loop._lock:
                near.loop.node.watches.connected()
            near.beat_now()
        far.show("one", "x")
        until(lambda: shows(near, "x"))
        far.change_settings(fleet=FleetSettings(allow={"*": ()}))
        near.watch("far", "two")
        until(lambda: near.lane.ends)
    lines = [record.getMessage() for record in caplog.records if record.name == "teleclaude.audit"]
    assert [line.rsplit(": ", 1)[1] for line in lines] == ["ok", "refused"]
    assert all(line.startswith("near watch ") for line in lines)


def test_a_cut_reader_comes_back_by_itself(node: MakeNode, server: RedisProcess) -> None:
    """Connections that Redis closes cost a moment, and no watch; with Redis emptied it goes on as well."""
    near, far = watching(node)
    far.show("one", "a")
    until(lambda: shows(near, "a"))
    raw(server, "CLIENT", "KILL", "TYPE", "normal")
    far.show("one", "b")
    until(lambda: shows(near, "b"), 20)
    raw(server, "FLUSHALL")
    far.show("one", "c")
    until(lambda: shows(near, "c"), 20)


def test_a_redis_that_stops_is_survived(node: MakeNode, server: RedisProcess) -> None:
    """Without Redis nothing comes, and after it the newest, with nobody watching anew."""
    near, far = watching(node)
    far.show("one", "a")
    until(lambda: shows(near, "a"))
    server.kill()
    until(lambda: not near.is_ok() and not far.is_ok(), 20)
    far.show("one", "lost")
    far.show("one", "b")
    server.start()
    until(lambda: shows(near, "b"), 30)


def test_a_key_that_is_something_else_harms_no_other(node: MakeNode, server: RedisProcess) -> None:
    """Whoever plants something in a screen's place hides that screen, and ends no connection."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    near.watch("far", "two")
    far_two = f"{PREFIX}screens:{{near}}:far:{make.session_id('two')}"
    until(lambda: far.watched_here)
    raw(server, "DEL", far_two)
    raw(server, "SET", far_two, "in the way")
    connects = near.half.counters["connects"]
    near.watch("far", "one", "two")
    raw(server, "SET", far_two, "in the way")
    until(lambda: ONE in far.watched_here)
    far.show("two", "hidden")
    far.show("one", "seen")
    until(lambda: shows(near, "seen"))
    assert near.half.counters["connects"] == connects


def test_what_a_liar_sends_is_dropped(node: MakeNode, server: RedisProcess) -> None:
    """Screens that are over the limits, of another epoch, or of one who only has the fleet's key, are not shown."""
    near, far = watching(node)
    far.show("one", "true")
    until(lambda: shows(near, "true"))
    generation = far.loop.node.context.seal.generation

    def put(identity: str = "far", epoch: str = "", **fields: object) -> None:
        values: dict[str, object] = {"session_id": ONE, "number": 10**6, "rows": {0: "false"}, "height": 1} | fields
        seal = Seal("far", epoch or far.own.epoch, generation, [KEY], identity_of(identity))
        body = ScreenUpdate(**values)  # type: ignore[arg-type]
        raw(server, "XADD", STREAM, "*", "m", seal.seal("near", body))

    put("somebody")
    put(epoch="before")
    put(height=10**6, rows=dict.fromkeys(range(10**4), ""))
    put(session_id="../../x")
    raw(server, "XADD", STREAM, "*", "m", b"x" * 2_000_000)
    raw(server, "XADD", STREAM, "*", "x", b"y")
    far.show("one", "true again")
    until(lambda: shows(near, "true again"))
    drops = {name: near.half.counters[f"dropped_{name}"] for name in ("forged", "epoch", "malformed", "unsealed")}
    assert drops == {"forged": 1, "epoch": 1, "malformed": 2, "unsealed": 2}
    assert {one.screen.rows for one in near.lane.screens} == {("true",), ("true again",)}
