"""The snapshot in a mapped file: written by the cache process, read by anybody who may open it, without a lock.

Layout, little endian:

    0   magic "TELC", layout number
    8   generation: which of the two slots is whole (its lowest bit); stored last
    16  retired: not 0 when a new file stands at this path
    24  two slot headers: length, crc32
    64  slot 0, then slot 1, each `capacity` bytes

A payload is an index (its length, then msgpack) and the record bodies, joined by commas, so that a JSON array of a
kind, or of a kind of one computer, is one slice. A reader takes the slot that the generation names, checks the crc
and that the generation has not moved by two, and else reads again. The crc also stands in for the store order that
other processors than x86 do not give.

It knows bytes and their places; not what a record is.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

_MAGIC = b"TELC\x01\x00\x00\x00"
_GENERATION = struct.Struct("<Q")
_SLOT = struct.Struct("<QQ")
_INDEX = struct.Struct("<I")
_GENERATION_AT, _RETIRED_AT, _SLOTS_AT, _HEADER = 8, 16, 24, 64
_FIRST_CAPACITY = 256 * 1024
_TRIES = 1000


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Where the bodies of (kind, computer) are: `start`, `length` in bytes, `count` of records."""

    kind: str
    computer: str
    start: int
    length: int
    count: int


class _Index(msgspec.Struct, frozen=True, array_like=True):
    epoch: str
    version: int
    written: float
    parts: list[Part]


_decode_index = msgspec.msgpack.Decoder(_Index).decode
_encode = msgspec.msgpack.encode


class Snapshot:
    """One whole snapshot: `epoch`, `version`, `written` (seconds since 1970), and the bodies."""

    def __init__(self, payload: bytes) -> None:
        (size,) = _INDEX.unpack_from(payload)
        index = _decode_index(memoryview(payload)[_INDEX.size : _INDEX.size + size])
        self.epoch, self.version, self.written = index.epoch, index.version, index.written
        self._parts = index.parts
        self._data = memoryview(payload)[_INDEX.size + size :]

    def array(self, kind: str, computer: str | None = None) -> bytes:
        """Give a JSON array of a kind, of one computer or of all."""
        parts = [p for p in self._parts if p.kind == kind and computer in {None, p.computer}]
        if not parts:
            return b"[]"
        start, end = parts[0].start, parts[-1].start + parts[-1].length
        return b"".join((b"[", self._data[start:end], b"]"))

    def computers(self, kind: str) -> list[str]:
        """Names of the computers that have records of a kind."""
        return [p.computer for p in self._parts if p.kind == kind]

    def count(self, kind: str) -> int:
        """Number of records of a kind."""
        return sum(p.count for p in self._parts if p.kind == kind)


def payload_of(epoch: str, version: int, written: float, shelves: Iterable[tuple[str, str, int, bytes]]) -> bytes:
    """Make a payload of (kind, computer, count, bodies joined by commas), sorted by kind and computer."""
    parts: list[Part] = []
    data: list[bytes] = []
    at = 0
    for kind, computer, count, joined in shelves:
        parts.append(Part(kind, computer, at, len(joined), count))
        data.append(joined)
        at += len(joined) + 1
    index = _encode(_Index(epoch, version, written, parts))
    return b"".join((_INDEX.pack(len(index)), index, b",".join(data)))


class SnapshotWriter:
    """The only writer of the file at `path`. Takes over a path left by an earlier one, which its readers survive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._generation = 0
        self._capacity = 0
        self._map: mmap.mmap | None = None

    def publish(self, payload: bytes) -> None:
        """Show `payload` to all readers. Raises OSError when the file cannot be made."""
        if self._map is None or len(payload) > self._capacity:
            self._replace_file(payload)
        else:
            self._store(self._map, payload)

    def close(self) -> None:
        """Let go of the file; it stays, for readers."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def _store(self, target: mmap.mmap, payload: bytes) -> None:
        generation = self._generation + 1
        slot = generation & 1
        start = _HEADER + slot * self._capacity
        target[start : start + len(payload)] = payload
        _SLOT.pack_into(target, _SLOTS_AT + slot * _SLOT.size, len(payload), zlib.crc32(payload))
        _GENERATION.pack_into(target, _GENERATION_AT, generation)
        self._generation = generation

    def _replace_file(self, payload: bytes) -> None:
        old, self._map = self._map, None
        self._capacity = max(_FIRST_CAPACITY, 2 * len(payload))
        self._capacity += -self._capacity % mmap.PAGESIZE
        fd, name = tempfile.mkstemp(prefix=".snapshot.", dir=self._path.parent)
        try:
            os.ftruncate(fd, _HEADER + 2 * self._capacity)
            target = mmap.mmap(fd, 0)
        except BaseException:
            os.unlink(name)
            raise
        finally:
            os.close(fd)
        target[: len(_MAGIC)] = _MAGIC
        self._store(target, payload)
        os.replace(name, self._path)
        self._map = target
        if old is not None:
            _GENERATION.pack_into(old, _RETIRED_AT, 1)
            old.close()


class SnapshotReader:
    """Reads the file at `path`; keeps what it read until there is something newer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._file: tuple[int, int] | None = None
        self._generation = 0
        self._last: Snapshot | None = None

    def read(self) -> Snapshot | None:
        """Give the newest whole snapshot; None while there was never one. What was once read stays readable."""
        if self._is_replaced():
            self._open()
        if self._map is None:
            return self._last
        (generation,) = _GENERATION.unpack_from(self._map, _GENERATION_AT)
        if generation != self._generation:
            payload = self._payload(self._map)
            if payload is not None:
                self._last = Snapshot(payload)
        return self._last

    def close(self) -> None:
        """Let go of the file."""
        if self._map is not None:
            self._map.close()
        self._map = self._file = None
        self._generation = 0

    def _is_replaced(self) -> bool:
        try:
            found = os.stat(self._path)  # noqa: PTH116  (on the path of every read; a Path costs twice as much)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) != self._file

    def _open(self) -> None:
        self.close()
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            found = os.fstat(fd)
            self._map = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        finally:
            os.close(fd)
        self._file = (found.st_dev, found.st_ino)
        if self._map[: len(_MAGIC)] != _MAGIC:
            self.close()
            raise OSError(f"{self._path} is no snapshot of this version of teleclaude")

    def _payload(self, source: mmap.mmap) -> bytes | None:
        """Copy the slot that is whole. None when the writer was faster every time, or died within its first write."""
        capacity = (len(source) - _HEADER) // 2
        for _ in range(_TRIES):
            (generation,) = _GENERATION.unpack_from(source, _GENERATION_AT)
            slot = generation & 1
            length, crc = _SLOT.unpack_from(source, _SLOTS_AT + slot * _SLOT.size)
            if length > capacity:
                continue
            start = _HEADER + slot * capacity
            payload = source[start : start + length]
            if zlib.crc32(payload) == crc:
                self._generation = generation
                return payload
        return None
