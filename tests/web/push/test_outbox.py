"""The outbox, on real sockets."""

from __future__ import annotations

import os
import socket as sockets
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.socket
import pytest

from teleclaude.web.push.audience import Audience
from teleclaude.web.push.outbox import Outbox


@pytest.fixture
def pair() -> Iterator[tuple[Any, Any]]:
    """A connection; the server's end is gevent's."""
    left, right = gevent.socket.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM)
    yield left, right
    left.close()
    right.close()


def read(sock: Any, size: int) -> bytes:
    found = bytearray()
    with gevent.Timeout(10):
        while len(found) < size:
            data = sock.recv(65536)
            if not data:
                break
            found += data
    return bytes(found)


def test_what_is_sent_arrives_whole_and_in_order(pair: tuple[Any, Any]) -> None:
    """Frames larger than the kernel's buffer never mix with those behind them."""
    outbox = Outbox(pair[0], limit=1 << 24)
    parts = [os.urandom(size) for size in (10, 900_000, 3, 400_000, 1)]
    for part in parts:
        outbox.push(part)
    assert not outbox.empty.is_set()
    assert read(pair[1], sum(map(len, parts))) == b"".join(parts)
    assert outbox.empty.wait(5)
    outbox.push(b"again, without a greenlet")
    assert read(pair[1], 25) == b"again, without a greenlet"


def test_a_push_never_waits(pair: tuple[Any, Any]) -> None:
    """Pushing to a client that does not read lets no other greenlet in, and holds a bounded amount."""
    outbox = Outbox(pair[0], limit=100_000)
    turns: list[int] = []
    gevent.spawn(turns.append, 1)
    for _ in range(5000):
        outbox.push(b"x" * 1000)
    assert turns == []
    assert sum(len(data) for data, _ in outbox._queue) <= 100_000
    assert outbox.times_behind == 1


def test_who_fell_behind_gets_a_fresh_state_and_goes_on(pair: tuple[Any, Any]) -> None:
    """The frame under way is finished, what waited is dropped, the state comes, then later events."""
    outbox = Outbox(pair[0], limit=1000, on_room=lambda: outbox.push_state(b"[state]" * 1000))
    first = b"f" * 600_000
    outbox.push(first)
    for _ in range(20):
        outbox.push(b"e" * 100)
    state = b"[state]" * 1000
    assert read(pair[1], len(first) + len(state)) == first + state
    assert outbox.empty.wait(5)
    outbox.push(b"later")
    assert read(pair[1], 5) == b"later"


def test_a_state_takes_nothing_of_the_limit(pair: tuple[Any, Any]) -> None:
    """A state larger than the limit does not put its client behind at once."""
    outbox = Outbox(pair[0], limit=1000)
    for _ in range(3):
        outbox.push_state(b"s" * 500_000)
    outbox.push(b"e")
    assert read(pair[1], 1_500_001)[-2:] == b"se"
    assert outbox.times_behind == 0


def test_who_takes_nothing_is_cut_off(pair: tuple[Any, Any]) -> None:
    """After its patience the outbox ends the connection, and its greenlet with it."""
    outbox = Outbox(pair[0], patience=0.05)
    outbox.push(b"x" * 2_000_000)
    assert outbox.empty.wait(5)
    assert outbox.closed
    with gevent.Timeout(5):
        assert pair[0].recv(1) == b""  # the reader on our side notices


def test_who_reads_slowly_is_not_cut_off(pair: tuple[Any, Any]) -> None:
    """Patience begins anew with each byte taken."""
    outbox = Outbox(pair[0], patience=0.5)
    data = os.urandom(2_000_000)
    outbox.push(data)
    found = b""
    while len(found) < len(data):
        gevent.sleep(0.02)
        found += read(pair[1], min(65536, len(data) - len(found)))
    assert found == data
    assert not outbox.closed


def test_a_client_that_is_gone_is_no_error(pair: tuple[Any, Any]) -> None:
    """Neither at once nor with a backlog."""
    outbox = Outbox(pair[0])
    outbox.push(b"x" * 2_000_000)
    pair[1].close()
    assert outbox.empty.wait(5)
    outbox.push(b"x")
    assert outbox.closed


def test_finish_waits_for_the_backlog_but_not_for_ever(pair: tuple[Any, Any]) -> None:
    """Goodbyes arrive where somebody reads."""
    outbox = Outbox(pair[0])
    outbox.push(b"x" * 1_000_000)
    reading = gevent.spawn(read, pair[1], 1_000_000)
    outbox.finish(5)
    assert len(reading.get(timeout=5)) == 1_000_000
    stuck = Outbox(pair[0])
    stuck.push(b"x" * 1_000_000)
    stuck.finish(0.05)
    assert stuck._drain is None


def test_who_is_told_with_many_is_told_in_order(pair: tuple[Any, Any]) -> None:
    """An audience writes past the outbox only while nothing waits there: no frame overtakes or splits another."""
    outbox, audience = Outbox(pair[0], limit=1 << 24), Audience()
    audience.join("a", outbox)
    parts = [b"first", os.urandom(900_000), b"behind it", os.urandom(400_000), b"and behind that"]
    for number, part in enumerate(parts):
        (outbox.push_state if number == 1 else audience.push)(part)
    assert not outbox.empty.is_set()
    assert read(pair[1], sum(map(len, parts))) == b"".join(parts)
    assert outbox.empty.wait(5)
    audience.push(b"again, at once")
    assert read(pair[1], 14) == b"again, at once"
    outbox.abort()
    audience.push(b"nobody takes this")
    assert outbox.closed


def test_of_what_is_newest_only_that_waits(pair: tuple[Any, Any]) -> None:
    """Behind all events, one for each place, made when it is sent; it takes nothing of the limit and drops no event."""
    outbox = Outbox(pair[0], limit=100_000)
    first = os.urandom(1_000_000)
    outbox.push(first)
    for number in range(1000):
        outbox.push_newest("a", lambda number=number: b"a%d" % number * 1000)  # type: ignore[misc]
        outbox.push_newest("gone", lambda: b"never")
        outbox.push(b"event")
    outbox.forget_newest("gone")
    expected = first + b"event" * 1000 + b"a999" * 1000
    assert read(pair[1], len(expected)) == expected
    assert outbox.empty.wait(5)
    assert outbox.times_behind == 0
    outbox.push_newest("a", lambda: b"at once")
    assert read(pair[1], 7) == b"at once"
