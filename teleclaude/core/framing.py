"""Payloads on a stream of bytes, each with its length before it: 4 bytes, big endian."""

from __future__ import annotations

import struct

FRAME_LIMIT = 256 * 1024 * 1024  # bytes; a snapshot of 100,000 sessions is 40 MB
_LENGTH = struct.Struct("!I")


def framed(payload: bytes) -> bytes:
    """Put the length before a payload: 4 bytes, big endian."""
    return _LENGTH.pack(len(payload)) + payload


class FrameReader:
    """Cuts a stream of bytes into payloads. Pure: feed it bytes, take payloads."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()  # the beginning of a frame
        self._needed = 0  # bytes of it that must be there before another look is worth it

    def receive_data(self, data: bytes | memoryview) -> list[bytes]:
        """Take bytes, give the payloads that are whole now. Raises ValueError for a frame over the limit."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data, self._rest = memoryview(self._rest), bytearray()
        payloads: list[bytes] = []
        start, size = 0, len(data)
        end = _LENGTH.size
        while end <= size:
            (length,) = _LENGTH.unpack_from(data, start)
            if length > self._limit:
                raise ValueError(f"a frame of {length} bytes is over the limit of {self._limit}")
            end = start + _LENGTH.size + length
            if end > size:
                break
            payloads.append(bytes(data[start + _LENGTH.size : end]))
            start = end
            end += _LENGTH.size
        if start < size:
            self._rest += data[start:]
            self._needed = end - start
        return payloads
