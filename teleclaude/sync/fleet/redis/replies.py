"""Replies of Redis (RESP 2), read piece by piece and bounded before anything is kept of them. Pure.

Whoever runs the Redis, or can write to it, decides how much comes. Rules of this module:
- A string over the limit is read to its end and thrown away as it comes; in its place stands `TOO_LONG`, which is
  no message of ours. So one entry that somebody stuffed delays nothing behind it.
- So it is with all strings (but short ones) of a reply that has more than `total` bytes.
- What no Redis of a fleet has reason to answer (endless lists, deep ones, gigabytes) raises BadReply: the connection
  is of no use any more.
https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TOO_LONG = b""
SHORT = 64  # bytes of a string that is always kept: an id, a name, a number
LINE = 64 * 1024  # bytes of a line
CHUNK = 4096  # bytes that are copied twice rather than looked at once more
ITEMS = 200_000  # in one reply, all lists together
DEPTH = 8  # of lists in lists
SKIPPED = 1024**3  # bytes that are thrown away in one reply
TOTAL = 48 * 1024 * 1024  # bytes


class BadReply(Exception):
    """What came is no reply that can be read; `reason` is for people."""

    def __init__(self, reason: str) -> None:
        """Say why."""
        super().__init__(reason)
        self.reason = reason


class NotYet:
    """There is no whole reply yet."""


NOT_YET = NotYet()


@dataclass(slots=True)
class _List:
    items: list[Any]
    left: int


class ReplyReader:
    """`feed` it what comes, `take` replies. `largest`: bytes of a string; `error`: makes what an error reply is."""

    def __init__(self, error: Callable[[str], Exception], largest: int, total: int = TOTAL) -> None:
        self._error = error
        self._largest, self._total = largest, total
        self._buffer = bytearray()
        self._at = 0
        self._lists: list[_List] = []
        self._string = -1  # bytes of the string that is being read; -1: none
        self._skip = 0  # bytes still to be thrown away
        self.hold = False  # several replies count as one
        self._begin()

    def _begin(self) -> None:
        self._kept = self._skipped = self._items = 0

    def begin(self, *, hold: bool) -> None:
        """Count anew. `hold`: the replies from here on count as one, until this is called again."""
        self.hold = hold
        self._begin()

    def feed(self, data: bytes | memoryview) -> None:
        """Take what came."""
        if self._skip:
            thrown = min(self._skip, len(data))
            self._skip -= thrown
            data = data[thrown:]
        self._buffer += data

    def take(self) -> object:
        """Give the next reply; NOT_YET when it is not whole. Raises BadReply."""
        lists, read = self._lists, self._value
        while not self._skip:
            value = read()
            if value is NOT_YET:
                break
            if value is _OPENED:
                continue
            while lists:
                inner = lists[-1]
                inner.items.append(value)
                inner.left -= 1
                if inner.left:
                    break
                value = lists.pop().items
            else:
                return self._finished(value)
        self._compact()
        return NOT_YET

    def _finished(self, value: object) -> object:
        if not self.hold:
            self._begin()
        self._compact()
        return value

    def _compact(self) -> None:
        if self._at:
            del self._buffer[: self._at]
            self._at = 0

    def _value(self) -> object:
        """Read one value, or the head of a list. Strings come in thousands, so they have the shortest way."""
        size = self._string
        if size < 0:
            buffer, at = self._buffer, self._at
            end = buffer.find(b"\r\n", at)
            if end < 0:
                return self._no_line_yet()
            line = buffer[at:end]
            self._at = end + 2
            if line[:1] != b"$":
                return self._line(bytes(line))
            size = _number(line[1:])
            if size < 0:
                return None
            if size > SHORT and (size > self._largest or self._kept + size > self._total):
                return self._throw_away(size)
            self._kept += size
        return self._read_string(size)

    def _no_line_yet(self) -> NotYet:
        if len(self._buffer) - self._at > LINE:
            raise BadReply("a line without end")
        return NOT_YET

    def _read_string(self, size: int) -> object:
        at = self._at
        if len(self._buffer) < at + size + 2:
            self._string = size
            return NOT_YET
        self._string = -1
        self._at = at + size + 2
        if size <= CHUNK:
            return bytes(self._buffer[at : at + size])
        with memoryview(self._buffer) as whole:  # a slice of the buffer would be one more copy
            return bytes(whole[at : at + size])

    def _line(self, line: bytes) -> object:
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+":
                return rest
            case b"-":
                return self._error(rest.decode("utf-8", "replace"))
            case b":":
                return _number(rest)
            case b"*":
                return self._begin_list(_number(rest))
            case _:
                raise BadReply(f"no reply of Redis begins with {kind!r}")

    def _throw_away(self, size: int) -> object:
        """Skip a string of `size` bytes and its end, of which some may be here already."""
        self._skipped += size
        if self._skipped > SKIPPED:
            raise BadReply(f"a string of {size} bytes")
        here = min(size + 2, len(self._buffer) - self._at)
        self._at += here
        self._skip = size + 2 - here
        return TOO_LONG

    def _begin_list(self, count: int) -> object:
        if count < 0:
            return None
        self._items += count
        if self._items > ITEMS:
            raise BadReply(f"lists of {self._items} items")
        if len(self._lists) >= DEPTH:
            raise BadReply("lists in lists without end")
        if count == 0:
            return []
        self._lists.append(_List([], count))
        return _OPENED


_OPENED = object()  # a list began


def _number(text: bytes | bytearray) -> int:
    if len(text) > 20:  # noqa: PLR2004  (2^63 has 19 digits)
        raise BadReply("a number without end")
    try:
        return int(text)
    except ValueError as error:
        raise BadReply(f"{bytes(text)!r} is no number") from error
