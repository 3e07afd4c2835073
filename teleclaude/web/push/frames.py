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
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 65536:
        return _MEDIUM.pack(_TEXT, 126, size) + payload
    return _LARGE.pack(_TEXT, 127, size) + payload


def event(name: str, version: int, data: bytes) -> bytes:
    """Make the frame of `{"event", "version", "data"}`; `data` is JSON already."""
    return frame(b'{"event":"%b","version":%d,"data":%b}' % (name.encode(), version, data))


def event_of(name: str, version: int, data: Any) -> bytes:
    """Make the frame of an event from plain values."""
    return event(name, version, encode(data))
