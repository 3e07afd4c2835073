"""redis-py's parser in place of its own, which keep whatever comes: a shell around replies.py."""

from __future__ import annotations

import socket
from typing import Any

from redis import exceptions as wrong
from redis._parsers.base import BaseParser
from redis.utils import SENTINEL

from teleclaude.sync.fleet.redis.replies import NOT_YET, BadReply, ReplyReader

CHUNK = 64 * 1024  # bytes read at once


class BoundedParser(BaseParser):
    """Reads replies from one connection. `largest`: bytes of a string in them."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._chunk = bytearray(CHUNK)
        self._socket: socket.socket | None = None
        self.reader = self._new_reader()

    def _new_reader(self) -> ReplyReader:
        return ReplyReader(self.parse_error, self._largest)

    def on_connect(self, connection: Any) -> None:
        """Read from a new connection."""
        self._socket = connection._sock  # noqa: SLF001  (redis-py's own parsers take it there)
        self.reader = self._new_reader()

    def on_disconnect(self) -> None:
        """Let the connection go."""
        self._socket = None

    def can_read(self, timeout: float = 0) -> bool:  # noqa: ARG002  (asked by pools alone, and here is none)
        """Tell whether a connection that is to be used again has something unread: never known here."""
        return False

    def read_response(self, disable_decoding: bool = False, timeout: Any = SENTINEL, **_: Any) -> Any:  # noqa: ARG002
        """Give the next reply; an error reply is an exception, given or, for a broken connection, raised."""
        try:
            while (value := self.reader.take()) is NOT_YET:
                self._read()
        except BadReply as error:
            raise wrong.InvalidResponse(error.reason) from error
        if isinstance(value, wrong.ConnectionError):
            raise value
        return value

    def _read(self) -> None:
        if self._socket is None:
            raise wrong.ConnectionError("Connection closed")
        try:
            count = self._socket.recv_into(self._chunk)
        except TimeoutError as error:
            raise wrong.TimeoutError("Timeout reading from socket") from error
        if not count:
            raise wrong.ConnectionError("Connection closed by server.")
        self.reader.feed(memoryview(self._chunk)[:count])
