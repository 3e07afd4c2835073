"""The load: keep-alive connections on a unix socket, each with one request under way, in a process of its own.

It does not parse answers beyond the first: all answers to one question have one length, and are counted by bytes.
So it takes a fraction of what a server takes; how much is told beside the rate.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from tests.bench import cores
from tests.machine import ROOT

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CHUNK = 1 << 20


class Rate(msgspec.Struct, frozen=True):
    """Requests in `seconds`; `busy`: the share of its core that the load took; `size`: bytes of one answer."""

    requests: int
    seconds: float
    busy: float
    size: int
    status: int

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def measure(path: Path, head: bytes, connections: int, seconds: float) -> Rate:
    """Run the load in another process, on the core of loads. `head`: the whole request."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.http_load", str(path), str(connections), str(seconds)],
        cwd=ROOT,
        input=head,
        capture_output=True,
        timeout=seconds + 60,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {cores.load_core()}),
    )
    return msgspec.json.decode(done.stdout, type=Rate)


def request_head(target: str, *headers: str) -> bytes:
    """The bytes of a GET."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def main() -> None:
    """Load argv[1] over argv[2] connections for argv[3] seconds with the request on standard input."""
    head = sys.stdin.buffer.read()
    rate = _run(sys.argv[1], head, int(sys.argv[2]), float(sys.argv[3]))
    sys.stdout.buffer.write(msgspec.json.encode(rate))


def _run(path: str, head: bytes, count: int, seconds: float) -> Rate:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(count)]
        for connection in connections:
            connection.connect(path)
        status, size = _first(connections[0], head)
        poll = stack.enter_context(select.epoll())
        by_fd = {connection.fileno(): connection for connection in connections}
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        begin, used = time.perf_counter(), time.process_time()
        requests = _drive(poll, by_fd, head, size, begin + seconds)
        wall = time.perf_counter() - begin
        return Rate(requests, wall, (time.process_time() - used) / wall, size, status)


def _first(connection: socket.socket, head: bytes) -> tuple[int, int]:
    """(status, bytes) of one answer."""
    connection.sendall(head)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _some(connection)
    top, _, _ = answer.partition(b"\r\n\r\n")
    found = _LENGTH.search(top)
    size = len(top) + 4 + (int(found[1]) if found else 0)
    while len(answer) < size:
        answer += _some(connection)
    return int(answer.split(None, 2)[1]), size


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(_CHUNK)
    if not data:
        raise ConnectionError("closed")
    return data


def _drive(poll: select.epoll, by_fd: dict[int, socket.socket], head: bytes, size: int, end: float) -> int:
    buffer = bytearray(_CHUNK)
    left = dict.fromkeys(by_fd, size)
    for connection in by_fd.values():
        connection.sendall(head)
    requests = 0
    while time.perf_counter() < end:
        for fd, _ in poll.poll(1.0):
            connection = by_fd[fd]
            got = connection.recv_into(buffer)
            if not got:
                raise ConnectionError("closed")
            left[fd] -= got
            if left[fd] < 0:
                raise ValueError("an answer of another length")
            if not left[fd]:
                requests += 1
                left[fd] = size
                connection.send(head)
    return requests


if __name__ == "__main__":
    main()
