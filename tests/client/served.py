"""A unix socket that answers as a test says: raw bytes, or a real WebSocket server."""

from __future__ import annotations

import contextlib
import queue
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, unix_serve

from tests.wait import until


@contextlib.contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="tc", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def answering(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[list[bytes]]:
    """Accept connections at `path`, and call `answer` with each once it sent something; gives what was sent."""
    asked: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                asked.append(connection.recv(65536))
                answer(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        listener.close()


class Daemon:
    """A WebSocket server that keeps what it was sent and sends what the test says. One connection after another."""

    def __init__(self, path: Path, *, epoch: str = "e1", version: int = 1) -> None:
        self.path = path
        self.epoch, self.version = epoch, version
        self.received: queue.Queue[Any] = queue.Queue()
        self.connections: list[ServerConnection] = []
        self.says_hello = True
        self.open_now = 0
        self.most_open = 0
        self._lock = threading.Lock()
        self._server = unix_serve(self._serve, str(path), compression=None)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _serve(self, connection: ServerConnection) -> None:
        with self._lock:
            self.open_now += 1
            self.most_open = max(self.most_open, self.open_now)
        try:
            if self.says_hello:
                self.greet(connection)
            self.connections.append(connection)
            for text in connection:
                self.received.put(msgspec.json.decode(text))
        except ConnectionClosed:
            pass
        finally:
            with self._lock:
                self.open_now -= 1

    def greet(self, connection: ServerConnection) -> None:
        """Say hello, as the daemon does at once on each connection."""
        tell(connection, "hello", self.version, {"epoch": self.epoch, "computer": "here", "server": "1"})
        computers = [{"name": "here", "is_local": True}]
        tell(connection, "computers_initial", self.version, {"computers": computers})

    @property
    def connection(self) -> ServerConnection:
        """The last connection."""
        until(lambda: self.connections)
        return self.connections[-1]

    def next_connection(self, after: int) -> ServerConnection:
        """Wait for more than `after` connections in all; the last of them."""
        until(lambda: len(self.connections) > after)
        return self.connections[-1]

    def asked(self) -> Any:
        """The next message that a client sent."""
        return self.received.get(timeout=10)

    def close(self) -> None:
        """End it as a daemon that goes does: at once, the socket removed."""
        self._server.shutdown()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self.path.unlink(missing_ok=True)


def tell(connection: ServerConnection, event: str, version: int, data: object) -> None:
    """Send an event."""
    connection.send(msgspec.json.encode({"event": event, "version": version, "data": data}).decode())
