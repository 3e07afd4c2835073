"""Every fault of Redis: told in words, local use untouched, all equal again after it ends, nothing twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from teleclaude.core.requests import Outcome, Request, new_id
from teleclaude.core.settings import RedisSettings
from teleclaude.core.verbs import Message
from teleclaude.sync.fleet.mailbox import COMMANDS_LIMIT
from teleclaude.sync.fleet.node_events import InterestChanged
from teleclaude.sync.fleet.redis.stream_readers import StreamReader
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.keyhole import raw
from tests.sync.fleet.node import Node
from tests.wait import until

HEAL = 20.0  # seconds; the promise is 5, the machine may be busy


def pair(node: MakeNode) -> tuple[Node, Node]:
    """Two computers; near looks at far."""
    near, far = node("near"), node("far")
    near.look("*")
    until(lambda: near.titles("far") == ["one"])
    return near, far


def command(computer: str = "far", seconds: float = 30.0) -> Request:
    """A command."""
    args = Message(session_id="one", text="x")
    return Request(id=new_id(), computer=computer, args=args, deadline=time.monotonic() + seconds)


def assert_whole(near: Node, far: Node, *titles: str) -> None:
    """After a fault: rows are equal, the next event comes, a command runs once."""
    until(lambda: near.titles("far") == sorted(titles), HEAL)
    until(lambda: near.status("far") == "online" and near.is_ok() and far.is_ok(), HEAL)
    far.sessions("after", *titles)
    until(lambda: near.titles("far") == sorted(["after", *titles]), HEAL)
    request = command()
    near.half.submit(request)
    assert near.ended(request).status == "ok"
    assert len([ran for ran in far.ran if ran.id == request.id]) == 1


@contextmanager
def hindered(reader: StreamReader) -> Iterator[None]:
    """Have a reader not read."""
    wanted = reader.want
    wanted(False)
    reader.want = lambda wanted: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        reader.want = wanted  # type: ignore[method-assign]
        wanted(True)


def test_absent_at_start(node: MakeNode, server: RedisProcess) -> None:
    """With Redis absent everything starts at once, says why, and finds it when it comes."""
    server.kill()
    near, far = node("near"), node("far")
    near.look("*")
    until(lambda: near.redis() == ("down", f"Redis at {server.path} cannot be reached: its socket is not there"))
    assert near.titles("near") == ["one"]
    request = command()
    near.half.submit(request)
    outcome = near.ended(request)
    assert outcome.code == "unavailable"
    assert "cannot be reached" in outcome.message
    server.start()
    assert_whole(near, far, "one")


def test_lost_and_back_empty(node: MakeNode, server: RedisProcess) -> None:
    """Redis dies and comes back with nothing; what changed meanwhile is there soon after."""
    near, far = pair(node)
    server.kill()
    until(lambda: not near.is_ok() and not far.is_ok())
    far.sessions("changed meanwhile")
    server.start()
    assert_whole(near, far, "changed meanwhile")


def test_flushed_under_everybody(node: MakeNode, server: RedisProcess) -> None:
    """FLUSHALL is noticed at once, with no connection lost."""
    near, far = pair(node)
    server.run("FLUSHALL")
    until(lambda: near.half.counters.get("flushes", 0) >= 1 and far.half.counters.get("flushes", 0) >= 1)
    assert near.half.counters["connects"] == 1
    assert_whole(near, far, "one")


def test_flushed_between_an_event_and_its_reader(node: MakeNode, server: RedisProcess) -> None:
    """An event that FLUSHALL took is noticed."""
    near, far = pair(node)
    inbox = near.loop._inbox
    with hindered(inbox):
        far.sessions("lost")
        until(lambda: far.half.counters.get("events_pushed", 0) == 1)
        server.run("FLUSHALL")
    assert_whole(near, far, "lost")


def test_old_data_comes_back(node: MakeNode, server: RedisProcess) -> None:
    """Redis comes back with the data of an earlier time: old requests do not run again, old events change nothing."""
    near, far = pair(node)
    first = command()
    near.half.submit(first)
    near.ended(first)
    far.sessions("one", "old")
    until(lambda: near.titles("far") == ["old", "one"])
    keys = ["teleclaude:session_events:{near}", "teleclaude:computer:{far}:heartbeat", "teleclaude:computers"]
    saved = {key: raw(server, "DUMP", key) for key in keys}
    far.sessions("one", "new")
    until(lambda: near.titles("far") == ["new", "one"])
    server.kill()
    until(lambda: not near.is_ok() and not far.is_ok())
    server.start()
    for key, dump in saved.items():
        raw(server, "RESTORE", key, 60_000, dump, "REPLACE")
    assert_whole(near, far, "new", "one")
    assert len([ran for ran in far.ran if ran.id == first.id]) == 1


def test_an_inbox_with_lower_ids(node: MakeNode, server: RedisProcess) -> None:
    """A stream that was made anew with lower ids does not starve its reader."""
    near, far = pair(node)
    far.sessions("two")
    until(lambda: near.titles("far") == ["two"])
    inbox = "teleclaude:session_events:{near}"
    raw(server, "DEL", inbox)
    raw(server, "XADD", inbox, "1-1", "m", "junk")
    near.loop._inbox.again()
    assert_whole(near, far, "two")


def test_paused(node: MakeNode, server: RedisProcess) -> None:
    """A Redis that does not answer blocks nobody: commands end, the half stops within a second."""
    near, far = pair(node)
    server.run("CLIENT", "PAUSE", 8000, "ALL")
    far.sessions("while paused")
    until(lambda: near.redis() == ("down", f"Redis at {server.path} does not answer"), HEAL)
    until(lambda: near.loop.trouble)
    request = command()
    near.half.submit(request)
    assert near.ended(request).code == "unavailable"
    assert_whole(near, far, "while paused")


def test_stops_within_a_second_while_redis_hangs(node: MakeNode, server: RedisProcess) -> None:
    """The end of the daemon waits for nobody."""
    near, _ = pair(node)
    server.stop_the_clock()
    try:
        near.look("far", "projects")  # something to send
        time.sleep(0.1)
        loop, began = near.loop, time.monotonic()
        near.half.stop()
        assert time.monotonic() - began < 10.0  # 1 s, on a machine that is not busy; a blocked read takes 30 and more
        until(lambda: loop._threads.join(0) and loop._messages.join(0) and loop._inbox.join(0))
    finally:
        server.go_on()


@pytest.mark.parametrize(
    ("setting", "wrong", "right", "words"),
    [
        ("maxmemory", "1", "0", "out of memory"),
        ("min-replicas-to-write", "1", "0", "too few of its replicas"),
    ],
)
def test_takes_no_writes(
    node: MakeNode, server: RedisProcess, setting: str, wrong: str, right: str, words: str
) -> None:
    """A Redis that takes no writes is shown with its reason, and used again as soon as it takes them."""
    near, far = pair(node)
    server.run("CONFIG", "SET", setting, wrong)
    far.sessions("meanwhile")
    until(lambda: words in far.redis()[1], HEAL)
    assert far.redis()[0] == "down"
    server.run("CONFIG", "SET", setting, right)
    assert_whole(near, far, "meanwhile")


def test_read_only(node: MakeNode, server: RedisProcess) -> None:
    """A Redis that became a replica is shown as that."""
    near, far = pair(node)
    server.run("REPLICAOF", "127.0.0.1", 1)
    far.sessions("meanwhile")
    until(lambda: "read-only replica" in far.redis()[1], HEAL)
    server.run("REPLICAOF", "NO", "ONE")
    assert_whole(near, far, "meanwhile")


def test_wrong_password(node: MakeNode, server: RedisProcess) -> None:
    """A password that is wrong, or wanted all of a sudden, is told without showing it; the right one heals it."""
    near, far = pair(node)
    server.run("CONFIG", "SET", "requirepass", "right-word")
    server.password = "right-word"
    raw_url = server.url
    server.url = f"unix://:right-word@{server.path}"
    server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    until(lambda: "refused the user or password" in near.redis()[1], HEAL)
    near.change_settings(redis=RedisSettings(url=f"unix://:wrong-word@{server.path}"))
    until(lambda: near.redis()[0] == "down" and "refused the user or password" in near.redis()[1], HEAL)
    assert "word@" not in near.redis()[1]
    for each in (near, far):
        each.change_settings(redis=RedisSettings(url=server.url))
    assert_whole(near, far, "one")
    server.url = raw_url


@pytest.mark.parametrize("key", ["messages:{near}", "session_events:{near}", "computers", "computer:{near}:heartbeat"])
def test_something_else_under_one_of_our_keys(node: MakeNode, server: RedisProcess, key: str) -> None:
    """Foreign data under one of our keys is named, left alone, and everything works again when it is gone."""
    near, far = pair(node)
    key = f"teleclaude:{key}"
    server.run("EVAL", "redis.call('DEL', KEYS[1]); redis.call('HSET', KEYS[1], 'somebody', 'else')", 1, key)
    server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    until(lambda: near.redis() == ("down", f"the key {key} in Redis holds something else (a hash): remove it"), HEAL)
    assert server.run("HGET", key, "somebody") == "else"
    server.run("DEL", key)
    assert_whole(near, far, "one")


def test_something_else_under_the_inbox_for_a_moment(node: MakeNode, server: RedisProcess) -> None:
    """A push that Redis refuses is lost, and its subscriber is told soon that it was, though nothing else happens."""
    near, far = pair(node)
    inbox = "teleclaude:session_events:{near}"
    server.run("SET", inbox, "not a stream", "EX", 2)
    far.sessions("two")
    until(lambda: far.half.counters["refused_by_redis"] > 0)
    request = command("near")
    far.half.submit(request)
    until(lambda: server.run("TYPE", inbox) != "string")  # nobody prolonged its life
    until(lambda: near.titles("far") == ["two"])
    assert far.ended(request).status == "ok"
    assert_whole(near, far, "two")


def test_an_answer_that_redis_refuses_comes_later(node: MakeNode, server: RedisProcess) -> None:
    """An outcome whose asker's inbox cannot be written is told as soon as it can."""
    near, far = pair(node)
    first, second = command(), command()
    near.half.submit(first)
    near.ended(first)
    with hindered(near.loop._inbox):
        server.run("SET", "teleclaude:session_events:{near}", "not a stream")
        near.half.submit(second)
        until(lambda: far.half.counters["refused_by_redis"] > 0)
        server.run("DEL", "teleclaude:session_events:{near}")
    assert near.ended(second).status == "ok"
    assert len([ran for ran in far.ran if ran.id == second.id]) == 1


def test_an_event_that_fails_takes_no_other_of_its_turn_along(node: MakeNode) -> None:
    """What nobody foresaw happens over one event: the others are dealt with, and all is taken anew after it (F6)."""
    near, far = pair(node)
    interest_changed = near.loop.node._on[InterestChanged]

    def fail(_: object) -> None:
        near.loop.node._on[InterestChanged] = interest_changed
        raise RuntimeError("nobody foresaw this")

    request = command()
    with near.loop._lock:  # so that both are of one turn
        near.loop.node._on[InterestChanged] = fail
        near.look("*", "sessions", "projects")
        near.half.submit(request)
    assert near.ended(request).status == "ok"
    until(lambda: near.half.counters["stumbles"] == 1)
    assert_whole(near, far, "one")


def test_the_readers_end_before_the_goodbye(node: MakeNode, server: RedisProcess) -> None:
    """A reader that is slow to end makes nothing anew that the goodbye has removed."""
    near = node("near")
    until(near.is_ok)
    stop, key = near.loop._messages.stop, "teleclaude:messages:{near}"

    def stop_late() -> None:
        with suppress(AssertionError):
            until(lambda: server.run("EXISTS", key) == 0, 1.5)
            until(lambda: server.run("EXISTS", key) == 1, 0.5)
        stop()

    near.loop._messages.stop = stop_late  # type: ignore[method-assign]
    near.half.stop()
    assert server.run("KEYS", "*") == []


def test_commands_are_refused_when_too_many_wait(node: MakeNode, server: RedisProcess) -> None:
    """While the loop waits for a Redis that hangs, commands beyond a limit are told so at once (F2)."""
    near, _ = pair(node)
    with near.loop._lock:
        requests = [command() for _ in range(2 * COMMANDS_LIMIT + 500)]  # it may have begun to take some
        for request in requests:
            near.half.submit(request)
        until(lambda: len(near.lane.outcomes) >= 250)
        assert {outcomes[0].code for outcomes in near.lane.outcomes.values()} == {"unavailable"}
    for request in requests:
        near.ended(request, 40)


def test_cut_connections_again_and_again(node: MakeNode, server: RedisProcess) -> None:
    """Connections that are cut at any moment lose nothing for good, and no command runs twice."""
    near, far = pair(node)
    requests = []
    for number in range(30):
        far.sessions(f"round {number}")
        requests.append(command())
        near.half.submit(requests[-1])
        if number % 3 == 0:
            server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        until(lambda: near.is_ok() and far.is_ok(), HEAL)
    assert_whole(near, far, "round 29")
    outcomes = [near.ended(request, 40) for request in requests]
    assert [outcome.code for outcome in outcomes] == [""] * 30, "a blip costs no command"
    ran = [one.id for one in far.ran]
    assert len(ran) == len(set(ran))
    assert set(ran) >= {request.id for request in requests}


def test_one_connects_at_a_time(node: MakeNode, server: RedisProcess) -> None:
    """When all lines of a computer break at once, or are said to, it connects once, and nothing of the old stays."""
    near, _ = pair(node)
    until(lambda: lines_of(server) == 2 + 3, 20)  # far has no reason to read an inbox
    for number in range(8):
        until(lambda: near.is_ok() and lines_of(server) == 2 + 3, HEAL)
        if number % 2:
            server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        else:
            for _ in range(5):
                near.loop._reader_failed(ConnectionError("said to be broken"))
        until(lambda number=number: near.half.counters["connects"] >= number + 2, HEAL)  # type: ignore[misc]
    until(lambda: near.is_ok() and lines_of(server) == 2 + 3, HEAL)
    assert near.half.counters["connects"] == 9


def lines_of(server: RedisProcess) -> int:
    """How many connections Redis has, this look at them left out."""
    return len(server.run("CLIENT", "LIST").splitlines()) - 1


def test_no_storm(node: MakeNode, server: RedisProcess) -> None:
    """Tries to connect are jittered and at most a few a second, however long Redis is away; the reason is told once."""
    near, _ = pair(node)
    server.kill()
    until(lambda: not near.is_ok())
    before, began = near.half.counters["troubles"], time.monotonic()
    until(lambda: near.half.counters["troubles"] >= before + 6, 40)
    assert time.monotonic() - began > 3.0


def test_local_use_needs_no_redis(node: MakeNode, server: RedisProcess) -> None:
    """While Redis hangs, this computer's own changes are in the cache at once."""
    near, _ = pair(node)
    server.stop_the_clock()
    try:
        for number in range(50):
            near.sessions(f"local {number}")
            until(lambda number=number: near.titles("near") == [f"local {number}"], 2.0)  # type: ignore[misc]
    finally:
        server.go_on()


def test_a_slow_command_holds_up_no_heartbeat(node: MakeNode) -> None:
    """A command that hangs here leaves beats, pulls and pushes alone."""
    near, far = pair(node)
    go_on = threading.Event()

    def hang(request: Request) -> Outcome:
        go_on.wait(20)
        return Outcome(id=request.id, status="ok")

    far.answer = hang
    near.half.submit(command())
    until(lambda: far.ran)
    far.sessions("two")
    until(lambda: near.titles("far") == ["two"])
    go_on.set()
