"""The reading side of a connection: whole heads first, then whatever the parser behind wants.

It stands in for the buffered file that pywsgi reads from, so that a head can be looked at before it is parsed.

Rules of this module:
- A head is bounded in bytes, all of them counted, and in time, from its first byte to its last.
- Whoever always has more to say is read in turns: a socket that has bytes gives them without waiting, and a greenlet
  that never waits would never let go.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from teleclaude.web.http.error_responses import BadRequest, HeadTooLarge, HeadTooSlow
from teleclaude.web.http.head import HEAD_LIMIT

HEAD_WITHIN = 10.0  # seconds from a head's first byte to its last
READS_A_TURN = 16
_CHUNK = 16 * 1024
_BLANK = b"\r\n"
_END = b"\r\n\r\n"


class Source(Protocol):
    """A connected socket that waits in `recv`, at most as long as its time-out says; then it raises TimeoutError."""

    def recv(self, size: int, /) -> bytes:
        """Give some bytes; none at the end."""
        ...

    def settimeout(self, seconds: float | None, /) -> None:
        """Set the time-out; None for none."""
        ...


class RequestReader:
    """Buffered bytes of one connection. `give_way` is called every so many reads, and lets others work."""

    def __init__(
        self, source: Source, give_way: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._give_way = give_way
        self._clock = clock
        self._buffer = b""
        self._reads = 0
        self.idle: float | None = None
        """Seconds that a connection may wait with nothing to say; None for ever. Longer waits raise TimeoutError."""
        self.closed = False

    def receive_head(self) -> bytes:
        """Take the next head with its empty line; empty when the client has ended. One blank line before it is passed.

        Raises HeadTooLarge, HeadTooSlow, TimeoutError when nothing came at all, or BadRequest for more blank lines,
        and for a head that ends in bare line feeds.
        """
        data, self._buffer = self._buffer, b""
        is_blank_passed, deadline = False, None
        while True:
            if data.startswith(_BLANK):
                if is_blank_passed:
                    raise BadRequest("at most one blank line comes before a head")
                is_blank_passed, data = True, data[len(_BLANK) :]
                continue
            end = data.find(_END)
            if end >= 0:
                end += len(_END)
                self._buffer = data[end:]
                break
            _refuse_hopeless(data)
            if data and deadline is None:
                deadline = self._clock() + HEAD_WITHIN
            more = self._receive_until(deadline)
            if not more:
                self._buffer = data
                return b""
            data += more
        if deadline is not None:
            self._source.settimeout(self.idle)
        return data[:end]

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
            more = self._receive(_CHUNK if size < 0 else min(missing, 256 * 1024))
            if not more:
                break
            parts.append(more)
            missing -= len(more)
        return b"".join(parts)

    def close(self) -> None:
        """Forget what is buffered; the socket is its owner's."""
        self.closed = True
        self._buffer = b""

    def _receive_until(self, deadline: float | None) -> bytes:
        if deadline is None:
            return self._receive(_CHUNK)
        left = deadline - self._clock()
        if left > 0:
            self._source.settimeout(left)
            try:
                return self._receive(_CHUNK)
            except TimeoutError:
                pass
        raise HeadTooSlow(f"the head of a request must be whole within {HEAD_WITHIN:g} s")

    def _receive(self, size: int) -> bytes:
        self._reads += 1
        if self._reads % READS_A_TURN == 0:
            self._give_way()
        return self._source.recv(size)

    def _fill(self) -> bool:
        more = self._receive(_CHUNK)
        self._buffer += more
        return bool(more)

    def _cut(self, end: int, limit: int) -> bytes:
        end = min(end, limit) if limit >= 0 else end
        data, self._buffer = self._buffer[:end], self._buffer[end:]
        return data


def _refuse_hopeless(data: bytes) -> None:
    """Raise for the beginning of a head that can become none."""
    if len(data) > HEAD_LIMIT:
        raise HeadTooLarge(f"a head has at most {HEAD_LIMIT} bytes")
    if b"\n\n" in data or data.startswith(b"\n"):
        raise BadRequest("lines of a head end in CR LF")
