"""Many clients, slow clients, clients that vanish: bounded, returned, and nobody waits for another."""

from __future__ import annotations

import contextlib
import fcntl
import resource
import socket
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from teleclaude.cache import wire
from tests.wait import until
from tests.web.daemon import LOCAL, Daemon, session
from tests.web.http.test_hostile import HANDSHAKE, frame
from tests.web.raw_http import connected
from tests.web.ws import Peer

MANY = 1000
SUBSCRIBE = frame(b'{"subscribe":"sessions"}')


def fds(web: Daemon) -> int:
    """Open descriptors of the web process."""
    return len(list(Path(f"/proc/{web.processes['web'].pid}/fd").iterdir()))


def memory(web: Daemon) -> int:
    """Memory of the web process that is its own, in bytes."""
    found = Path(f"/proc/{web.processes['web'].pid}/smaps_rollup").read_text(encoding="ascii")
    return 1024 * int(found.split("Private_Dirty:")[1].split()[0])


def join(web: Daemon) -> socket.socket:
    """Connect and subscribe, without reading."""
    sock = connected(web.api)
    sock.sendall(HANDSHAKE + SUBSCRIBE)
    return sock


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    """Read until something appears."""
    found = b""
    while mark not in found:
        data = sock.recv(65536)
        assert data, "closed"
        found += data
    return found


@contextlib.contextmanager
def crowd(web: Daemon, size: int) -> Iterator[list[socket.socket]]:
    """That many clients, each with its first state."""
    clients = [join(web) for _ in range(size)]
    try:
        for client in clients:
            read_until(client, b"sessions_initial")
        yield clients
    finally:
        for client in clients:
            client.close()


def test_a_thousand_clients_come_and_vanish(own: Daemon) -> None:
    """Descriptors, clients, interest and memory return; a change reaches each of them once."""
    with crowd(own, 50):
        pass  # what is allocated once is there now
    until(lambda: own.metric("ws_clients") == 0)
    before, at_first = fds(own), memory(own)
    left = [at_first]
    largest = 0
    for round_ in range(8):
        with crowd(own, MANY) as clients:
            assert own.metric("ws_clients") == MANY
            own.put(session(1, title=f"round {round_}"))
            for client in clients:
                assert read_until(client, b"round").count(f'"round {round_}"'.encode()) == 1
            largest = memory(own)
        until(lambda: own.metric("ws_clients") == 0, 60)
        until(lambda: fds(own) <= before + 2, 60)
        until(lambda: own.interest == {}, 60)
        until(lambda: own.metric("ws_readers") == 0 and own.metric("connections") <= 1, 60)
        until(lambda most=largest: memory(own) < most - MANY * 10_000, 60)  # type: ignore[misc]
        left.append(memory(own))
        if left[-1] - left[-2] < MANY * 512:  # what the allocator keeps settles; a leak grows by the same each time
            break
    else:
        raise AssertionError(f"a client leaves some behind: {left}")
    assert largest - at_first < MANY * 100_000


def test_who_never_reads_delays_nobody(own: Daemon) -> None:
    """Others get every change while one stands still; it is put behind, and its memory stays bounded."""
    stuck = [join(own) for _ in range(5)]
    with Peer(own.api) as reader:
        reader.say(subscribe="sessions")
        reader.until("sessions_initial")
        before = memory(own)
        for number in range(300):
            own.put(*(session(n, title=f"{number} {'x' * 400}") for n in range(64)))
            last = {reader.until("session_updated", "session_started")["data"]["session_id"] for _ in range(64)}
            assert len(last) == 64
        assert reader.versions == sorted(reader.versions)
        assert memory(own) - before < 40 * 1024 * 1024
    for sock in stuck:
        sock.close()
    until(lambda: own.metric("ws_clients") == 0)
    assert own.metric("clients_behind_total") >= 5


def test_who_fell_behind_catches_up_with_a_fresh_state(own: Daemon) -> None:
    """It reads again, gets a whole state, and from then on every change: nothing old, no hole."""
    slow = join(own)
    for number in range(150):
        own.put(*(session(n, title=f"{number} {'x' * 400}") for n in range(64)))
    until(lambda: _is_stuck(slow))
    sessions: dict[str, str] = {}
    version, resets = 0, 0
    own.put(session(0, title="the last"))
    buffered = slow.makefile("rb")
    _skip_head(buffered)
    while sessions.get("a00000") != "the last":
        event = _next(buffered)
        assert event["version"] >= version
        version = event["version"]
        if event["event"] == "sessions_initial":
            resets += 1
            sessions = {record["session_id"]: record["title"] for record in event["data"]["sessions"]}
        elif event["event"].startswith("session_"):
            sessions[event["data"]["session_id"]] = event["data"]["title"]
    assert resets >= 2
    assert {title.split()[0] for name, title in sessions.items() if name != "a00000"} == {"149"}
    own.put(session(0, title="and on"))
    while _next(buffered)["data"].get("title") != "and on":
        pass
    buffered.close()
    slow.close()


def test_who_takes_nothing_is_closed_in_the_end(own: Daemon) -> None:
    """Not kept for ever: the connection of a client that takes not one byte is cut."""
    with join(own) as stuck:
        own.sync.write([wire.ReplaceSessions(LOCAL, [session(n, title="x" * 400) for n in range(3000)])])
        until(lambda: own.metric("ws_clients") == 1)
        until(lambda: own.metric("ws_clients") == 0, 60)
        assert stuck.fileno() >= 0


def test_too_many_connections_are_refused_and_others_served(own: Daemon) -> None:
    """Over the limit of descriptors: 503 for the surplus, while who is in goes on."""
    pid = own.processes["web"].pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    assert soft >= 4096 or soft == hard
    own.kill("web")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    own.limit_fds(200)
    own.start("web")
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits
    with Peer(own.api) as peer, crowd(own, 100):
        surplus = [connected(own.api) for _ in range(60)]
        refused = [sock for sock in surplus if _answers_503(sock)]
        assert refused
        own.put(session(1, title="still"))
        peer.say(subscribe="sessions")
        assert peer.until("sessions_initial")
        for sock in surplus:
            sock.close()
    until(lambda: own.get("/sessions").status == 200)


def test_a_busy_client_lets_others_in(own: Daemon) -> None:
    """One connection that asks without pause does not keep another waiting."""
    stop = threading.Event()
    one = b"GET /sessions HTTP/1.1\r\nHost: a\r\n\r\n"
    busy = connected(own.api)

    def ask() -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                busy.sendall(one * 200)

    def read() -> None:
        with contextlib.suppress(OSError):
            while busy.recv(1 << 20):
                pass

    threads = [threading.Thread(target=ask), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            assert own.get("/agents").status == 200
    finally:
        stop.set()
        busy.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)
        busy.close()


def _answers_503(sock: socket.socket) -> bool:
    with contextlib.suppress(BrokenPipeError):  # it is answered and closed before it asks
        sock.sendall(b"GET /sessions HTTP/1.1\r\nHost: a\r\n\r\n")
    return sock.recv(100).startswith(b"HTTP/1.1 503 ")


def _is_stuck(sock: socket.socket) -> bool:
    """Tell whether nothing more arrives in the kernel's buffer."""

    def waiting() -> int:
        return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, b"\0" * 4), "little")

    found = waiting()
    time.sleep(0.2)
    return found == waiting() > 0


def _skip_head(stream: IO[bytes]) -> None:
    while stream.readline() != b"\r\n":
        pass


def _next(stream: IO[bytes]) -> dict[str, Any]:
    head = stream.read(2)
    size = head[1]
    if size >= 126:
        size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
    found: dict[str, Any] = msgspec.json.decode(stream.read(size))
    return found
