"""The reader thread against a real WebSocket server on a unix socket."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teleclaude.client.events import Changed, Connected, Disconnected, LiveOutput, Malformed, Message, Replaced, Stopped
from teleclaude.client.link import Link
from teleclaude.client.reader import Reader
from teleclaude.core.backoff import Backoff
from teleclaude.core.errors import Unavailable
from tests.client.served import Daemon, answering, socket_folder, tell
from tests.make import session
from tests.wait import until


class Consumer:
    """Takes what a reader tells, as the terminal client does."""

    def __init__(self, path: Path, backoff: Backoff | None = None, limit: int = 2000) -> None:
        self.wakes = threading.Event()
        self.seen: list[Message] = []
        self.reader = Reader(path, self.wakes.set, backoff=backoff or Backoff(0.02, 0.05), limit=limit)

    def take(self) -> list[Message]:
        """Take what came; everything seen so far."""
        self.seen += self.reader.take()
        return self.seen

    def until(self, kind: type[Message], count: int = 1) -> Message:
        """Wait for the `count`-th message of a kind."""
        return until(lambda: [m for m in self.take() if isinstance(m, kind)][count - 1 : count])[0]


@pytest.fixture
def path() -> Iterator[Path]:
    """Give a place for a socket."""
    with socket_folder() as folder:
        yield folder / "api.sock"


@pytest.fixture
def consumer(path: Path) -> Iterator[Consumer]:
    """Make a consumer, whose reader is stopped in the end."""
    found = Consumer(path)
    yield found
    found.reader.stop()


@pytest.fixture
def serve(path: Path) -> Iterator[Callable[[], Daemon]]:
    """Give what starts a daemon; all are closed in the end."""
    running: list[Daemon] = []

    def start() -> Daemon:
        running.append(Daemon(path))
        return running[-1]

    yield start
    for each in running:
        each.close()


def initial(daemon: Daemon, version: int = 1) -> None:
    """Answer a subscription."""
    tell(daemon.connection, "sessions_initial", version, {"computer": "here", "sessions": [session("a")]})


def update(daemon: Daemon, version: int, title: str = "") -> None:
    """Tell a change."""
    tell(daemon.connection, "session_updated", version, session("a", title=title or f"t{version}"))


def test_hello_then_subscriptions_then_changes_in_order(serve: Callable[[], Daemon], consumer: Consumer) -> None:
    """After the hello what is wanted is subscribed to, and changes come in order; the consumer is woken."""
    daemon = serve()
    consumer.reader.want({("here", "sessions")})
    consumer.reader.start()
    assert daemon.asked() == {"subscribe": [{"computer": "here", "types": ["sessions"]}]}
    initial(daemon)
    for version in range(2, 50):
        update(daemon, version)
    until(lambda: len([m for m in consumer.take() if isinstance(m, Changed)]) == 48)
    assert [m.version for m in consumer.seen if isinstance(m, Changed)] == list(range(2, 50))
    assert isinstance(consumer.seen[0], Connected)
    assert consumer.wakes.is_set()


def test_wishes_change_while_connected(serve: Callable[[], Daemon], consumer: Consumer) -> None:
    """What is new is subscribed to, what is no longer wanted is unsubscribed from, nothing is asked for twice."""
    daemon = serve()
    consumer.reader.want({("here", "sessions")})
    consumer.reader.start()
    daemon.asked()
    consumer.reader.want({("here", "sessions"), ("raspi", "sessions"), ("raspi", "projects")})
    assert daemon.asked() == {"subscribe": [{"computer": "raspi", "types": ["projects", "sessions"]}]}
    consumer.reader.want({("here", "sessions")})
    assert daemon.asked() == {"unsubscribe": [{"computer": "raspi", "types": ["projects", "sessions"]}]}
    consumer.reader.send({"refresh": True})
    assert daemon.asked() == {"refresh": True}


def test_a_reconnect_resumes_without_a_key(serve: Callable[[], Daemon], consumer: Consumer) -> None:
    """When the connection breaks, the reader connects again by itself and asks for what changed since."""
    daemon = serve()
    consumer.reader.want({("here", "sessions")})
    consumer.reader.start()
    daemon.asked()
    initial(daemon)
    update(daemon, 8)
    consumer.until(Changed)
    daemon.version = 9  # something else changed meanwhile
    daemon.connection.close(1001, "bye")
    consumer.until(Disconnected)
    consumer.until(Connected, 2)
    asked = daemon.asked()
    assert asked["resume"] == {"epoch": "e1", "version": 8}
    assert asked["subscribe"] == [{"computer": "here", "types": ["sessions"]}]


def test_backoff_begins_anew_after_a_good_connection(path: Path) -> None:
    """However long the outage was, after a hello the next reconnect waits the first delay again."""
    delays: list[float] = []

    class Watched(Backoff):
        def next(self) -> float:
            delays.append(self._step)
            super().next()
            return 0.01

    consumer = Consumer(path, Watched(1.0, 30.0))
    consumer.reader.start()
    try:
        until(lambda: len(delays) >= 7)
        assert delays[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
        daemon = Daemon(path)
        try:
            consumer.until(Connected)
            before = len(delays)
            daemon.connection.socket.shutdown(socket.SHUT_RDWR)  # an abnormal drop, without a close frame
            consumer.until(Connected, 2)
            assert delays[before] == 1.0
        finally:
            daemon.close()
    finally:
        consumer.reader.stop()


def test_a_connection_without_hello_is_not_a_good_one(path: Path) -> None:
    """A server that accepts and closes does not reset the backoff: no storm of reconnects."""
    steps: list[float] = []

    class Watched(Backoff):
        def next(self) -> float:
            steps.append(self._step)
            super().next()
            return 0.01

    daemon = Daemon(path)
    daemon.says_hello = False
    consumer = Consumer(path, Watched(1.0, 30.0))
    consumer.reader.start()
    try:
        for number in range(3):
            daemon.next_connection(number).close()
        until(lambda: len(steps) >= 3)
        assert steps[:3] == [1.0, 2.0, 4.0]
    finally:
        consumer.reader.stop()
        daemon.close()


def test_never_two_connections_however_often_it_is_started(serve: Callable[[], Daemon], consumer: Consumer) -> None:
    """Start and stop from many threads, again and again: at most one connection at a time, and none in the end."""
    daemon = serve()

    def churn() -> None:
        for _ in range(20):
            consumer.reader.start()
            consumer.reader.start()
            consumer.reader.retry_now()
            consumer.reader.stop()

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    consumer.reader.stop()
    until(lambda: daemon.open_now == 0)
    assert len([t for t in threading.enumerate() if t.name == "reader"]) == 0
    before = len(daemon.connections)
    consumer.reader.start()
    daemon.next_connection(before)
    assert daemon.open_now == 1


def test_stop_ends_with_a_sentinel_and_leaves_nothing(serve: Callable[[], Daemon], consumer: Consumer) -> None:
    """The last message is Stopped; no thread and no file descriptor is left; starting again works."""
    daemon = serve()
    open_before = 0
    for number in range(1, 6):
        consumer.reader.start()
        consumer.until(Connected, number)
        consumer.reader.stop()
        consumer.reader.stop()
        assert isinstance(consumer.take()[-1], Stopped)
        until(lambda: daemon.open_now == 0)
        open_before = open_before or len(os.listdir("/proc/self/fd"))
    until(lambda: len(os.listdir("/proc/self/fd")) <= open_before)
    assert not [thread for thread in threading.enumerate() if thread.name == "reader"]


def test_stop_does_not_wait_for_a_daemon_that_hangs(path: Path, consumer: Consumer) -> None:
    """Neither a handshake nor a silence that lasts keeps the client from ending."""
    release = threading.Event()

    def hang(_: socket.socket) -> None:
        release.wait(30)

    with answering(path, hang) as asked:
        consumer.reader.start()
        until(lambda: asked)
        began = time.monotonic()
        consumer.reader.stop()
        took = time.monotonic() - began
        release.set()
    assert took < 4  # the handshake's own deadline is 5 s


def test_malformed_frames_are_told_logged_and_survived(
    serve: Callable[[], Daemon], consumer: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    """Junk on the connection is noted, and what comes behind it still arrives on the same connection."""
    daemon = serve()
    consumer.reader.want({("here", "sessions")})
    consumer.reader.start()
    daemon.asked()
    with caplog.at_level(logging.WARNING):
        daemon.connection.send("not json")
        daemon.connection.send('{"event":"session_updated","version":2,"data":{"session_id":7}}')
        initial(daemon, 3)
        consumer.until(Replaced, 2)
    assert len([m for m in consumer.seen if isinstance(m, Malformed)]) == 2
    assert "malformed" in caplog.text
    assert len(daemon.connections) == 1


def test_a_full_queue_costs_a_reconnect_and_loses_nothing(serve: Callable[[], Daemon], path: Path) -> None:
    """A consumer that does not take is disconnected, holds a bounded queue, and resumes where the queue ended."""
    daemon = serve()
    consumer = Consumer(path, limit=50)
    consumer.reader.want({("here", "sessions")})
    consumer.reader.start()
    try:
        daemon.asked()
        initial(daemon)
        daemon.version = 400
        for version in range(2, 400):
            try:
                update(daemon, version)
            except Exception:
                break
        until(lambda: daemon.open_now == 0)
        held = len(consumer.reader._queue)
        assert 50 <= held < 400
        assert daemon.received.empty()
        seen = consumer.take()
        last = max(m.version for m in seen if isinstance(m, Changed))
        assert daemon.asked()["resume"] == {"epoch": "e1", "version": last}
        assert not [m for m in consumer.take() if isinstance(m, Disconnected)]
    finally:
        consumer.reader.stop()


def test_retry_now_cuts_the_wait_short(path: Path) -> None:
    """Asked to, the reader tries at once instead of when its delay is over."""
    consumer = Consumer(path, Backoff(600.0, 600.0))
    consumer.reader.start()
    daemon = None
    try:
        consumer.until(Disconnected)
        daemon = Daemon(path)
        consumer.reader.retry_now()
        consumer.until(Connected)
    finally:
        consumer.reader.stop()
        if daemon:
            daemon.close()


def test_a_large_snapshot_in_many_pieces_arrives_whole(serve: Callable[[], Daemon], consumer: Consumer) -> None:
    """A snapshot of several megabytes, and one in fragments, is one message each."""
    daemon = serve()
    consumer.reader.want({("here", "sessions")})
    consumer.reader.start()
    daemon.asked()
    many = [session(f"s{n}", title="x" * 300) for n in range(10_000)]
    tell(daemon.connection, "sessions_initial", 1, {"computer": "here", "sessions": many})
    found = consumer.until(Replaced, 2)
    assert isinstance(found, Replaced)
    assert len(found.records) == 10_000
    text = '{"event":"session_removed","version":2,"data":{"session_id":"s1","computer":"here"}}'
    daemon.connection.send(iter([text[:10], text[10:40], text[40:]]))
    consumer.until(Changed)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "503"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "daemon"),
        (b"", "daemon"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "daemon"),
    ],
)
def test_what_is_no_daemon_is_told_and_tried_again(path: Path, consumer: Consumer, answer: bytes, words: str) -> None:
    """A refusal, another protocol or nothing at all is a reason in words, and the reader goes on trying."""
    with answering(path, lambda c: c.sendall(answer)) as asked:
        consumer.reader.start()
        found = consumer.until(Disconnected)
        assert isinstance(found, Disconnected)
        assert words in found.reason
        until(lambda: len(asked) >= 2)
        consumer.reader.stop()


def test_a_connection_that_ends_at_once_leaves_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that takes the connection and is gone before the request: the socket is closed, not left to chance."""

    def broken(*_: object) -> int:
        raise BrokenPipeError

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "gone.sock"))
        listener.listen()
        before = len(os.listdir("/proc/self/fd"))
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "send", broken)
            with pytest.raises(Unavailable) as caught:  # it holds on to whatever was not closed
                Link(tmp_path / "gone.sock", listener.fileno())
        assert len(os.listdir("/proc/self/fd")) == before, caught


def test_what_is_watched_is_said_again_after_a_reconnect(serve: Callable[[], Daemon], consumer: Consumer) -> None:
    """A watch is kept over connections until it is ended; an ended one is not begun again."""
    daemon = serve()
    consumer.reader.watch([("raspi", "a"), ("here", "b")])
    consumer.reader.start()
    assert daemon.asked() == {"watch": {"session_id": "b", "computer": "here"}}
    assert daemon.asked() == {"watch": {"session_id": "a", "computer": "raspi"}}
    consumer.reader.watch([("raspi", "a")])
    assert daemon.asked() == {"unwatch": {"session_id": "b", "computer": "here"}}
    daemon.connection.close(1001, "bye")
    consumer.until(Connected, 2)
    assert daemon.asked() == {"watch": {"session_id": "a", "computer": "raspi"}}
    tell(daemon.connection, "session_output", 2, {"computer": "raspi", "session_id": "a", "text": "x", "rows": 1})
    assert consumer.until(LiveOutput) == LiveOutput(computer="raspi", session_id="a", text="x", rows=1)
