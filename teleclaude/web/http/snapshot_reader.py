"""The reading side of a connection: whole heads first, then whatever the parser behind wants.

It stands in for the buffered file that pywsgi reads from, so that a head can be looked at before it is parsed.
"""

from __future__ import annotations

from typing import Protocol

from teleclaude.web.api.error_responses import BadRequest, HeadTooLarge
from teleclaude.web.http.head import HEAD_LIMIT

_CHUNK = 16 * 1024
_END = b"\r\n\r\n"


class Source(Protocol):
    """A connected socket that waits in `recv`."""

    def recv(self, size: int, /) -> bytes:
        """Give some bytes; none at the end."""
        ...


class Reader:
    """Buffered bytes of one connection."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = b""
        self.closed = False

    def receive_head(self) -> bytes:
        """Take the next head with its empty line; empty when the client has ended.

        Raises HeadTooLarge, or BadRequest for a head that ends in bare line feeds.
        """
        data = self._buffer
        while True:
            end = data.find(_END)
            if end >= 0:
                end += len(_END)
                self._buffer = data[end:]
                return data[:end]
            if len(data) > HEAD_LIMIT:
                raise HeadTooLarge(f"a head has at most {HEAD_LIMIT} bytes")
            if b"\n\n" in data or data.startswith(b"\n"):
                raise BadRequest("lines of a head end in CR LF")
            more = self._source.recv(_CHUNK)
            if not more:
                self._buffer = data
                return b""
            data = (data + more).lstrip(b"\r\n") if not data else data + more

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read again."""
        self._buffer = data + self._buffer

    def take(self) -> bytes:
        """Take what is buffered, without waiting."""
        data, self._buffer = self._buffer, b""
        return data

    # What pywsgi asks of its file.

    def readline(self, limit: int = -1) -> bytes:
        """Give a line with its end, or `limit` bytes of it, or what is left."""
        while True:
            end = self._buffer.find(b"\n") + 1
            if not end and 0 <= limit <= len(self._buffer):
                end = limit
            if end or not self._fill():
                return self._cut(end or len(self._buffer), limit)

    def read(self, size: int = -1) -> bytes:
        """Give `size` bytes; fewer only at the end."""
        parts = [self._cut(len(self._buffer), size)]
        missing = size - len(parts[0])
        while size < 0 or missing > 0:
            more = self._source.recv(_CHUNK if size < 0 else min(missing, 256 * 1024))
            if not more:
                break
            parts.append(more)
            missing -= len(more)
        return b"".join(parts)

    def close(self) -> None:
        """Forget what is buffered; the socket is its owner's."""
        self.closed = True
        self._buffer = b""

    def _fill(self) -> bool:
        more = self._source.recv(_CHUNK)
        self._buffer += more
        return bool(more)

    def _cut(self, end: int, limit: int) -> bytes:
        end = min(end, limit) if limit >= 0 else end
        data, self._buffer = self._buffer[:end], self._buffer[end:]
        return data
