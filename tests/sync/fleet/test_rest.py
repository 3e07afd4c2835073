"""What a computer costs Redis while nobody looks at anything."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter

import pytest

from teleclaude.core.records import Computer
from teleclaude.core.requests import Request, new_id
from teleclaude.core.settings import parse
from teleclaude.core.verbs import Message, Refresh
from teleclaude.sync.fleet.membership.heartbeat import Heartbeats
from teleclaude.sync.fleet.membership.peers import Peers
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.own_view import OwnView
from teleclaude.sync.fleet.redis.redis_keys import KeyNames
from teleclaude.sync.fleet.redis.stream_readers import seconds_of_round
from teleclaude.sync.fleet.wire.sealing import Seal
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.keyhole import Monitor
from tests.sync.fleet.node import KEY
from tests.wait import until

PER_MINUTE = 6  # commands, DESIGN.md, section 10


def beats_at_rest(others: int) -> list[float]:
    """The times at which commands are sent in three hours, the first minute left out; others are known."""
    own = OwnView("near", "e", Computer(name="near"))
    context = Context(own, KeyNames("t:"), Seal("near", "e", 1, [KEY]), parse(""))
    context.is_connected = True
    heartbeats = Heartbeats(context, Peers("near"), "h", is_cluster=False)
    heartbeats.connected()
    heartbeats._names = {f"far{number}" for number in range(others)}
    times: list[float] = []
    while context.now < 3 * 3600:
        due_at = heartbeats.due(clients=False, watched=False)
        times += [context.now for _ in context.take_effects()]
        context.now = max(context.now + 0.01, min(context.now + 1.0, due_at))
    return [moment for moment in times if moment >= 60.0]


@pytest.mark.parametrize("others", [0, 1, 200])
def test_six_commands_in_any_minute(others: int) -> None:
    """In no minute of three hours does a computer at rest send more than six commands, its blocked read included."""
    blocked = [0.0]
    while blocked[-1] < 3 * 3600:
        blocked.append(blocked[-1] + seconds_of_round(blocked[-1]))
    times = sorted(beats_at_rest(others) + blocked)
    most = max(bisect_left(times, begin + 60.0) - number for number, begin in enumerate(times))
    assert 3 <= most <= PER_MINUTE


def test_monitor_shows_heartbeats_and_no_event(node: MakeNode, server: RedisProcess) -> None:
    """In a real minute without a client, while sessions change: six commands a computer, none of them an event."""
    nodes = [node(name) for name in ("one", "two", "three")]
    until(lambda: all(n.status(m.name) == "online" for n in nodes for m in nodes if n is not m))
    monitor = Monitor(server)
    until(lambda: _is_quiet(monitor), 30)  # the greetings of the start are over
    for number in range(60):
        nodes[0].sessions(f"round {number}")
        time.sleep(1.0)
    monitor.close()
    kinds = Counter(monitor.commands)
    assert set(kinds) <= {"SET", "MGET", "XREADGROUP", "ZADD"}
    assert kinds.total() <= PER_MINUTE * len(nodes)
    assert kinds["SET"] >= 2 * len(nodes)
    assert all(n.status(m.name) == "online" for n in nodes for m in nodes if n is not m), "and all are seen alive"


def _is_quiet(monitor: Monitor) -> bool:
    monitor.commands.clear()
    time.sleep(1.0)
    return not monitor.commands


PLAIN = {"SET", "GET", "PTTL", "MGET", "DEL", "UNLINK", "EXPIRE", "ZADD", "ZREVRANGE", "ZREM", "TYPE", "EXISTS"}
STREAMS = {"XADD", "XREAD", "XREADGROUP", "XACK", "XDEL", "XINFO", "XGROUP", "XLEN"}
LINE = {"HELLO", "AUTH", "CLIENT", "SELECT", "PING", "INFO"}


def test_no_command_grows_with_what_others_keep_in_redis(node: MakeNode, server: RedisProcess) -> None:
    """From start to end, with clients that look, refresh and command: neither KEYS nor SCAN, nothing that blocks."""
    monitor = Monitor(server)
    near, far = node("near"), node("far")
    near.look("*")
    until(lambda: near.titles("far") == ["one"])
    far.sessions("two")
    until(lambda: near.titles("far") == ["two"])
    for args in (Refresh(), Message(session_id="two", text="x")):
        request = Request(id=new_id(), computer="far", args=args, deadline=time.monotonic() + 10)
        near.half.submit(request)
        assert near.ended(request).status == "ok"
    for line in server.run("CLIENT", "LIST").splitlines():
        if "cmd=monitor" not in line:  # all others break
            server.run("CLIENT", "KILL", "ID", line.split()[0].removeprefix("id="))
    until(lambda: near.half.counters["connects"] == far.half.counters["connects"] == 2)
    near.look_away()
    far.close(keep=True)
    until(lambda: near.status("far") == "offline")
    monitor.close()
    assert {"XADD", "ZREM"} <= set(monitor.commands)
    assert {command.upper() for command in monitor.commands} <= PLAIN | STREAMS | LINE


def test_nothing_is_left_behind(node: MakeNode, server: RedisProcess) -> None:
    """When the last computer of a fleet ends, no key of it is in Redis, no thread and no connection stays."""
    before = threading.active_count()
    nodes = [node(name) for name in ("one", "two")]
    nodes[0].look("*")
    until(lambda: nodes[0].titles("two") == ["one"])
    for each in nodes:
        each.close(keep=True)
    assert server.run("KEYS", "*") == []
    until(lambda: threading.active_count() <= before)
    until(lambda: len(server.run("CLIENT", "LIST").splitlines()) == 1)


def test_all_that_leave_at_once_leave_nothing(node: MakeNode, server: RedisProcess) -> None:
    """The goodbye to one that has just left as well does not make its messages anew, for nobody would read them."""
    for _ in range(5):
        nodes = [node(name) for name in ("one", "two", "three")]
        until(lambda here=nodes: all(n.status(m.name) == "online" for n in here for m in here if n is not m))  # type: ignore[misc]  # a default argument binds it
        leaving = [threading.Thread(target=each.close) for each in nodes]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join()
        assert server.run("KEYS", "*") == []
