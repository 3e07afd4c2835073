"""HTTP over a unix socket, as plain as can be, and bytes that no HTTP library would send."""

from __future__ import annotations

import contextlib
import http.client
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec


@dataclass
class Answer:
    """One response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Connection(http.client.HTTPConnection):
    """A connection to a unix socket, kept alive."""

    def __init__(self, path: Path, timeout: float = 20.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = connected(self._path, self.timeout or 20.0)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """Send a request and read its answer."""
        self.request(method, path, body or None, headers or {})
        response = self.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())


def ask(path: Path, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
    """Ask once, on a connection of its own."""
    connection = Connection(path)
    try:
        return connection.ask(method, target, body, headers)
    finally:
        connection.close()


def connected(path: Path, timeout: float = 20.0) -> socket.socket:
    """Connect to a unix socket."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.settimeout(timeout)
    try:
        found.connect(str(path))
    except OSError:
        found.close()
        raise
    return found


def raw(path: Path, data: bytes) -> bytes:
    """Send bytes, and read until the server closes."""
    with connected(path) as sock:
        with contextlib.suppress(BrokenPipeError):  # it may be closed before it is read to the end
            sock.sendall(data)
        return until_closed(sock)


def until_closed(sock: socket.socket) -> bytes:
    """Read until the end; a reset is an end too."""
    found = b""
    try:
        while data := sock.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found
