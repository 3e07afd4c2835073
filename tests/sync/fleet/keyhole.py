"""A look into Redis, and a hand in it, as somebody has who can write to it; with the fleet's key, what a member has."""

from __future__ import annotations

import socket
import threading
from typing import Any

import redis

from teleclaude.sync.fleet.wire.messages import Body, Command
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, Dropped, Seal
from tests.redis_process import RedisProcess
from tests.sync.fleet.node import KEY, identity_of

PREFIX = "teleclaude:"


def raw(server: RedisProcess, *command: Any) -> Any:
    """Run one command; answers are bytes."""
    with redis.Redis.from_url(server.url, socket_timeout=10, protocol=2, driver_info=None) as connection:
        connection.response_callbacks.clear()
        return connection.execute_command(*command)


class Monitor:
    """The names of all commands that a server gets, as MONITOR shows them."""

    def __init__(self, server: RedisProcess) -> None:
        self.commands: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(server.path))
        self._socket.sendall(b"MONITOR\r\n")
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                parts = line.split(b'"')
                if len(parts) > 1:
                    self.commands.append(parts[1].decode())

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()


def entries(server: RedisProcess, key: str) -> list[bytes]:
    """The sealed messages in a stream, oldest first."""
    found = raw(server, "XRANGE", key, "-", "+") or []
    return [fields[1] for _, fields in found if fields[0] == b"m"]


def messages(server: RedisProcess, name: str) -> list[bytes]:
    """The commands that lie in a computer's messages."""
    return [blob for blob in entries(server, f"{PREFIX}messages:{{{name}}}") if _is_command(name, blob)]


def _is_command(name: str, blob: bytes) -> bool:
    try:
        return isinstance(Seal(name, "", 0, [KEY], identity_of(name)).open(blob)[1], Command)
    except Dropped:
        return False


def put_message(server: RedisProcess, name: str, blob: bytes) -> None:
    """Put something into a computer's messages."""
    raw(server, "XADD", f"{PREFIX}messages:{{{name}}}", "*", "m", blob)


def put_inbox(server: RedisProcess, name: str, blob: bytes) -> None:
    """Put something into a computer's inbox."""
    raw(server, "XADD", f"{PREFIX}session_events:{{{name}}}", "*", "m", blob)


def sealed(
    body: Body, *, sender: str, recipient: str = EVERYBODY, epoch: str = "e", generation: int = 1, key: bytes = KEY
) -> bytes:
    """Seal a message as anybody would who has the key."""
    return Seal(sender, epoch, generation, [key], identity_of(sender)).seal(recipient, body)
