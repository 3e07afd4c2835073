"""A client on /ws for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, unix_connect

TIMEOUT = 20.0


class Peer:
    """Says messages, and gives events one by one; notes all versions it saw."""

    def __init__(self, path: Path, *, greeted: bool = True) -> None:
        self.connection: ClientConnection = unix_connect(str(path), "ws://localhost/ws", max_size=None, legacy=True)
        self.versions: list[int] = []
        self.hello: dict[str, Any] = {}
        if greeted:
            self.hello = self.until("hello")["data"]
            self.until("health")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def say(self, **message: Any) -> None:
        """Send a message."""
        self.connection.send(json.dumps(message))

    def next(self, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Give the next event. Raises TimeoutError, or ConnectionClosed."""
        found: dict[str, Any] = json.loads(self.connection.recv(timeout=timeout))
        assert set(found) == {"event", "version", "data"}
        self.versions.append(found["version"])
        return found

    def until(self, *names: str) -> dict[str, Any]:
        """Give the next event of one of these names, past others."""
        while (found := self.next())["event"] not in names:
            pass
        return found

    def silent(self, seconds: float = 0.3) -> bool:
        """Tell whether nothing comes for a while."""
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False

    def close_code(self) -> int:
        """Read until the end, and give the code that the server closed with."""
        try:
            while True:
                self.connection.recv(timeout=TIMEOUT)
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else 0
