"""What a computer costs Redis while nobody looks at anything."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from typing import Any

import pytest

from teleclaude.core.requests import Message, Refresh, Request, new_id
from teleclaude.core.settings import parse
from teleclaude.sync.fleet.context import Ground
from teleclaude.sync.fleet.membership.heartbeat import Pulse
from teleclaude.sync.fleet.membership.name_claim import Name
from teleclaude.sync.fleet.redis.key_names import KeyNames
from teleclaude.sync.fleet.redis.stream_readers import MESSAGES_BLOCK
from teleclaude.sync.fleet.wire.sealing import Seal
from teleclaude.sync.own_records import OwnRecords
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.keyhole import Monitor
from tests.sync.fleet.node import KEY
from tests.wait import until

PER_MINUTE = 6  # commands, DESIGN.md, section 10


class _Nowhere:
    def submit(self, ops: list[Any]) -> None:
        """Take writes."""

    def finish(self, outcome: Any) -> None:
        """Take an outcome."""

    def emit(self, screen: Any) -> None:
        """Take a screen."""


def pulse_at_rest(others: int) -> list[float]:
    """The times at which a pulse sends commands in three hours, the first minute left out; others are known."""
    nowhere = _Nowhere()
    own = OwnRecords("near", nowhere.submit)
    ground = Ground(own, nowhere, nowhere, KeyNames("t:"), Seal("near", own.epoch, 1, [KEY]), parse(""))
    pulse = Pulse(ground, Name(own.epoch, 1, "h"), "h", is_cluster=False)
    pulse.connected(0.0)
    pulse._names = {f"far{number}" for number in range(others)}
    times: list[float] = []
    now = 0.0
    while now < 3 * 3600:
        pause = pulse.due(now, clients=False, watched=False)
        times += [now for _ in ground.outbox.take()]
        now += max(0.01, min(1.0, pause))
    return [moment for moment in times if moment >= 60.0]


@pytest.mark.parametrize("others", [0, 1, 200])
def test_six_commands_in_any_minute(others: int) -> None:
    """In no minute of three hours does a computer at rest send more than six commands, its blocked read included."""
    blocked = [MESSAGES_BLOCK * number for number in range(1, 100)]
    times = sorted(pulse_at_rest(others) + blocked)
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
    assert set(kinds) <= {"SET", "MGET", "XREADGROUP"}
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
