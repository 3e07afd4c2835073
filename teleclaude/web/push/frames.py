"""WebSocket frames and the events in them, as bytes: each is made once and sent to many. Pure.

A server's frame without compression is the same for every client (RFC 6455, section 5.2): FIN and text, the length,
the payload.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

_TEXT = 0x81
_MEDIUM = struct.Struct("!BBH")
_LARGE = struct.Struct("!BBQ")

encode = msgspec.json.Encoder().encode


def frame(payload: bytes) -> bytes:
    """Make the text frame of a payload."""
    return _head(len(payload)) + payload


def _head(size: int) -> bytes:
    if size < 126:
        return bytes((_TEXT, size))
    return _MEDIUM.pack(_TEXT, 126, size) if size < 65536 else _LARGE.pack(_TEXT, 127, size)


def event(name: str, version: int, data: bytes) -> bytes:
    """Make the frame of `{"event", "version", "data"}`; `data` is JSON already."""
    return frame(b'{"event":"%b","version":%d,"data":%b}' % (name.encode(), version, data))


def event_of_records(name: str, version: int, **fields: str | list[bytes]) -> bytes:
    """Make the frame of an event whose data are texts and arrays of encoded records.

    It may be large: all is put together at once.
    """
    pieces = [b'{"event":"%b","version":%d,"data":{' % (name.encode(), version)]
    for place, (field, value) in enumerate(fields.items()):
        pieces.append(b'%b"%b":' % (b"," if place else b"", field.encode()))
        pieces += [b"[", b",".join(value), b"]"] if isinstance(value, list) else [encode(value)]
    pieces.append(b"}}")
    return b"".join([_head(sum(map(len, pieces))), *pieces])


def event_of(name: str, version: int, data: Any) -> bytes:
    """Make the frame of an event from plain values."""
    return event(name, version, encode(data))
