"""Replies of Redis: read whole or in pieces, and bounded, whoever makes them."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.settings import RedisSettings
from teleclaude.sync.fleet.redis.connection import FAILURES, connect, explain
from teleclaude.sync.fleet.redis.replies import DEPTH, NOT_YET, TOO_LONG, BadReply, ReplyReader
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.keyhole import raw
from tests.wait import until


def reader(largest: int = 1000, total: int = 5000) -> ReplyReader:
    """A reader with small limits."""
    return ReplyReader(RuntimeError, largest, total)


def encoded(value: object) -> bytes:
    """A value as Redis sends it."""
    match value:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % value
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(value), value)
        case list():
            return b"*%d\r\n" % len(value) + b"".join(map(encoded, value))
        case _:
            raise TypeError(value)


VALUES = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=70),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=20,
)


def depth(value: object) -> int:
    """How deep the lists are."""
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(st.lists(VALUES.filter(lambda value: depth(value) <= DEPTH), max_size=3), st.integers(1, 40))
def test_replies_are_read_whole_and_in_pieces(values: list[object], size: int) -> None:
    """Whatever pieces they come in, with others behind them, replies are what was sent."""
    data, found = b"".join(map(encoded, values)), []
    part = reader()
    for at in range(0, len(data), size):
        part.feed(data[at : at + size])
        while (value := part.take()) is not NOT_YET:
            found.append(value)
    assert found == values


def test_lines_and_errors_are_read() -> None:
    """A status is bytes, an error an exception, in a list too."""
    part = reader()
    part.feed(b"+OK\r\n-ERR no\r\n*2\r\n:1\r\n-MOVED x\r\n")
    assert part.take() == b"OK"
    assert str(part.take()) == "ERR no"
    [number, error] = list(part.take())  # type: ignore[call-overload]
    assert (number, str(error)) == (1, "MOVED x")


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_string_that_is_too_long_is_thrown_away_as_it_comes(size: int) -> None:
    """It stands as empty among the others, they are whole, and no more than a piece of it is ever kept."""
    part, data, most = reader(), encoded([b"id", b"x" * 50_000, b"behind"]) + encoded(b"next"), 0
    found = []
    for at in range(0, len(data), size):
        part.feed(data[at : at + size])
        while (value := part.take()) is not NOT_YET:
            found.append(value)
        most = max(most, len(part._buffer))
    assert found == [[b"id", TOO_LONG, b"behind"], b"next"]
    assert most < 100


def test_many_strings_are_bounded_together() -> None:
    """What is over the total of a reply, or of replies that count as one, is thrown away; short ones are kept."""
    part = reader()
    part.feed(encoded([b"y" * 900] * 8 + [b"1-0"]))
    assert part.take() == [b"y" * 900] * 5 + [TOO_LONG] * 3 + [b"1-0"]
    part.begin(hold=True)
    part.feed(encoded(b"y" * 900) * 7)
    assert [part.take() for _ in range(7)] == [b"y" * 900] * 5 + [TOO_LONG] * 2
    part.begin(hold=False)
    part.feed(encoded(b"y" * 900))
    assert part.take() == b"y" * 900


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"*2147483647\r\n", "lists of 2147483647 items"),
        (b"*1\r\n" * 2_000_000, "lists in lists"),
        (b"*150000\r\n*60000\r\n", "lists of 210000 items"),
        (b"$1099511627776\r\n", "a string of 1099511627776 bytes"),
        (b"+" + b"x" * 70_000, "a line without end"),
        (b":" + b"1" * 5000 + b"\r\n", "a number without end"),
        (b"$x\r\n", "is no number"),
        (b"HTTP/1.1 400 Bad Request\r\n", "begins with b'H'"),
    ],
)
def test_what_has_no_end_is_refused_at_once(data: bytes, reason: str) -> None:
    """No list, string or line is begun that no Redis of a fleet would send."""
    part = reader()
    part.feed(data)
    with pytest.raises(BadReply, match=reason):
        part.take()


JUNK = {
    "header": b"*2147483647\r\n",
    "many": b"*2147483647\r\n" + b":1\r\n" * 100_000,
    "deep": b"*1\r\n" * 2_000_000,
    "bulk": b"$1099511627776\r\n" + b"x" * 2**20,
    "error": b"-ERR \x1b]52;c;AAA\x07 //user:pw@host \r\n" * 50,
}


@pytest.fixture(params=JUNK)
def liar(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of something that answers whatever it is asked with nonsense."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        try:
            while connection.recv(65536):
                connection.sendall(JUNK[request.param])
        except OSError:
            pass
        finally:
            connection.close()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def test_a_redis_that_lies_is_told_as_that(liar: str) -> None:
    """A connection to it fails, in bounded memory, with a reason that shows no control character and no password."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FAILURES) as caught:
        connect(RedisSettings(url=liar)).call("GET", "x")
    reason = explain(caught.value, "here")
    assert "\x1b" not in reason
    assert "pw" not in reason
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_the_own_view_lives_beside_a_redis_that_lies(node: MakeNode, liar: str) -> None:
    """All of this computer works as before, and the state of Redis says what is wrong (§9.11)."""
    near = node("near", liar)
    until(lambda: near.redis()[0] == "down" and near.redis()[1] and "connecting" not in near.redis()[1])
    near.sessions("mine")
    until(lambda: near.titles("near") == ["mine"])
    assert not near.loop._threads.join(0)


FLOOD = """
import json, pathlib, sys
from teleclaude.core.settings import RedisSettings
from teleclaude.sync.fleet.redis.connection import connect
line = connect(RedisSettings(url=sys.argv[1]), read_timeout=60, largest=2**20)
found = line.call("XREAD", "COUNT", 200, "STREAMS", "flood", "0")
sizes = [len(fields[1]) for _, fields in found[0][1]]
peak = pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(json.dumps([sizes, int(peak)]))
"""


def test_stuffed_entries_cost_bounded_memory_and_hide_nothing_small(server: RedisProcess) -> None:
    """Hundreds of megabytes by somebody without the key are read through; what is ours among them is there."""
    for _ in range(20):
        raw(server, "XADD", "flood", "*", "m", b"x" * 10 * 2**20)
    raw(server, "XADD", "flood", "*", "m", b"ours")
    done = subprocess.run([sys.executable, "-c", FLOOD, server.url], capture_output=True, check=True, timeout=60)
    sizes, peak = json.loads(done.stdout)
    assert sizes == [0] * 20 + [4]
    assert peak < 80 * 1024  # KiB


def test_a_flood_without_the_key_hides_no_request(node: MakeNode, server: RedisProcess) -> None:
    """Stuffed entries in a computer's messages are dropped and removed, and it goes on to be there."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    for _ in range(10):
        raw(server, "XADD", "teleclaude:messages:{near}", "*", "m", b"tc1" + b"x" * 5 * 2**20)
    raw(server, "SET", "teleclaude:computer:{fake}:heartbeat", b"x" * 20 * 2**20)
    raw(server, "ZADD", "teleclaude:computers", 2**40, "fake")
    until(lambda: near.half.counters["dropped_unsealed"] >= 10)
    until(lambda: raw(server, "XLEN", "teleclaude:messages:{near}") == 0)
    far.look("near")
    until(lambda: far.titles("near") == ["one"])
    near.look("far")
    until(lambda: near.titles("far") == ["one"])
    assert all(len(seen) == 16 for seen in near.loop.node.heartbeats._seen_blobs.values())
