"""The clients: connections that read events, in a process of their own. It tells when all have read a change.

A change is known by a mark in its bytes, `"title":"tNUMBER"`; ready frames, which are all alike, are counted. The
process is spoken to in lines: `wait NUMBER` is answered with `SECONDS...` once every client has had the change, each
the monotonic time at which one client had it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench import cores
from tests.machine import ROOT

_UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_MARK = b'"title":"t'
_LATE = 0.003  # seconds


class Readers:
    """Clients of `path`, in a process of their own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def wait(self, number: int) -> list[float]:
        """Wait until each client has had the change `number`; when each had it, in monotonic seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"wait %d\n" % number)
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError("the clients are gone")
        return [float(word) for word in line.split()]


@contextlib.contextmanager
def readers(path: Path, count: int, *, plain: bool = False, lazy: bool = False) -> Iterator[Readers]:
    """Run `count` clients: of /ws, or `plain` ones that just read.

    `lazy` ones read a little late, all at once. So a writer wakes one process at each change, however fast it writes:
    the cost of waking another process would otherwise depend on who of the two is faster.
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.bench.ws_load",
            str(path),
            str(count),
            "plain" if plain else "ws",
            "lazy" if lazy else "",
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=partial(os.sched_setaffinity, 0, {cores.load_core()}),  # noqa: PLW1509  (no threads here)
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise ConnectionError("the clients cannot connect")
        yield Readers(process)
    finally:
        process.kill()
        process.communicate()


def upgraded(path: Path) -> socket.socket:
    """A connection to /ws that looks at all sessions; everything sent to begin with is read."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    connection.sendall(_UPGRADE)
    _read_until(connection, b"\r\n\r\n")
    connection.sendall(_masked(b'{"subscribe":"sessions"}'))
    _read_until(connection, b'"event":"sessions_initial"')
    return connection


def _masked(payload: bytes) -> bytes:
    """A client's text frame, masked with zeros (RFC 6455, section 5.3)."""
    return bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload


def _read_until(connection: socket.socket, mark: bytes) -> None:
    data = b""
    while mark not in data:
        got = connection.recv(65536)
        if not got:
            raise ConnectionError(f"closed before {mark!r}")
        data = data[-200:] + got


def main() -> None:
    """Connect argv[2] clients to argv[1], and read."""
    path, count, kind, pace = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    clients = [upgraded(path) if kind == "ws" else _plain(path) for _ in range(count)]
    with select.epoll() as poll:
        for client in clients:
            client.setblocking(False)
            poll.register(client.fileno(), select.EPOLLIN)
        print("ready", flush=True)
        _read(poll, {client.fileno(): client for client in clients}, _LATE if pace == "lazy" else 0, kind == "plain")


def _plain(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection


def _read(poll: select.epoll, clients: dict[int, socket.socket], late: float, is_counted: bool) -> None:
    """Read all, and answer the questions on standard input."""
    poll.register(0, select.EPOLLIN)
    had: dict[int, dict[int, float]] = {}
    last = dict.fromkeys(clients, 0)
    asked = 0
    while True:
        events = poll.poll()
        if late and events[0][0]:
            time.sleep(late)
            events = poll.poll()
        for fd, _ in events:
            if fd == 0:
                line = os.read(0, 4096)
                if not line:
                    return
                asked = int(line.split()[-1])
                continue
            data = clients[fd].recv(1 << 20)
            last[fd] = last[fd] + data.count(_MARK) if is_counted else _marked(data, last[fd])
            had.setdefault(last[fd], {})[fd] = time.monotonic()
        if asked and len(had.get(asked, ())) == len(clients):
            print(*had[asked].values(), flush=True)
            had.clear()
            asked = 0
            if is_counted:
                last = dict.fromkeys(clients, 0)


def _marked(data: bytes, before: int) -> int:
    """Number of the last change in some frames; `before` when there is none."""
    at = data.rfind(_MARK)
    start = at + len(_MARK)
    return before if at < 0 else int(data[start : data.index(b'"', start)])


if __name__ == "__main__":
    main()
