"""The snapshot in a mapped file: written by the cache process, read by anybody who may open it, without a lock.

Layout, little endian:

    0   magic "TELC", layout number
    8   generation: which of the two slots is whole (its lowest bit); stored last
    16  retired: not 0 when a new file stands at this path
    24  two slot headers: length of the payload, crc32 of its index
    64  slot 0, then slot 1, each `capacity` bytes

A payload is an index (its length, then msgpack) and the record bodies, each with a comma behind it, so that a JSON
array of a kind, or of a kind of one computer, is one slice. The index holds the crc32 of the bodies of each kind of
each computer: what did not change is not summed up again. A reader takes the slot that the generation names, checks
all sums, and reads again when one is wrong: the writer was faster. The sums also stand in for the store order that
other processors than x86 do not give.

It knows bytes and their places; not what a record is.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from teleclaude.replication.version import Version

_MAGIC = b"TELC\x02\x00\x00\x00"
_GENERATION = struct.Struct("<Q")
_SLOT = struct.Struct("<QQ")
_INDEX = struct.Struct("<I")
_GENERATION_AT, _RETIRED_AT, _SLOTS_AT, _HEADER = 8, 16, 24, 64
_FIRST_CAPACITY = 256 * 1024
_TRIES = 1000


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Where the bodies of (kind, computer) are: `start`, `length` in bytes with the last comma, `count` of records."""

    kind: str
    computer: str
    start: int
    length: int
    count: int
    crc: int


class _Index(msgspec.Struct, frozen=True, array_like=True):
    version: Version
    written: float
    parts: list[Part]


class Shelf(NamedTuple):
    """The bodies of one kind of one computer, each with a comma behind it; made once for each change."""

    kind: str
    computer: str
    records: int
    data: bytes
    crc: int


_decode_index = msgspec.msgpack.Decoder(_Index).decode
_encode = msgspec.msgpack.encode


class Snapshot:
    """One whole snapshot: `epoch`, `version`, `written` (seconds since 1970), and the bodies."""

    def __init__(self, payload: bytes) -> None:
        start = _index_end(payload)
        index = _decode_index(memoryview(payload)[_INDEX.size : start])
        self.at = index.version
        self.epoch, self.version = index.version
        self.written = index.written
        self._parts = index.parts
        self._data = memoryview(payload)[start:]

    def is_whole(self) -> bool:
        """Tell whether all bodies are those that the index means."""
        return all(zlib.crc32(self._data[p.start : p.start + p.length]) == p.crc for p in self._parts)

    def array(self, kind: str, computer: str | None = None) -> bytes:
        """Give a JSON array of a kind, of one computer or of all."""
        parts = [p for p in self._parts if p.kind == kind and computer in {None, p.computer}]
        if not parts:
            return b"[]"
        start, end = parts[0].start, parts[-1].start + parts[-1].length - 1
        return b"".join((b"[", self._data[start:end], b"]"))

    def computers(self, kind: str) -> list[str]:
        """Names of the computers that have records of a kind."""
        return [p.computer for p in self._parts if p.kind == kind]

    def count(self, kind: str) -> int:
        """Number of records of a kind."""
        return sum(p.count for p in self._parts if p.kind == kind)


def shelf_of(kind: str, computer: str, bodies: Sequence[bytes]) -> Shelf:
    """Make a shelf of encoded records; at least one."""
    data = b",".join((*bodies, b""))
    return Shelf(kind, computer, len(bodies), data, zlib.crc32(data))


def payload_of(version: Version, written: float, shelves: Iterable[Shelf]) -> list[bytes]:
    """Make a payload, as the pieces of which it consists: the index, then shelves sorted by kind and computer."""
    parts: list[Part] = []
    data: list[bytes] = []
    at = 0
    for shelf in shelves:
        size = len(shelf.data)
        parts.append(Part(shelf.kind, shelf.computer, at, size, shelf.records, shelf.crc))
        data.append(shelf.data)
        at += size
    index = _encode(_Index(version, written, parts))
    return [_INDEX.pack(len(index)) + index, *data]


def _index_end(payload: bytes | memoryview) -> int:
    (size,) = _INDEX.unpack_from(payload)
    return _INDEX.size + int(size)


class SnapshotWriter:
    """The only writer of the file at `path`. Takes over a path left by an earlier one, which its readers survive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._generation = 0
        self._capacity = 0
        self._map: mmap.mmap | None = None
        for left in path.parent.glob(f"{_half_made(path)}*"):  # by a writer that was killed
            left.unlink(missing_ok=True)

    def publish(self, pieces: Sequence[bytes]) -> None:
        """Show a payload to all readers. Raises OSError when the file cannot be made; readers keep the last one."""
        length = sum(map(len, pieces))
        if self._map is None or length > self._capacity:
            self._replace_file(pieces, length)
        else:
            self._store(self._map, pieces, length)

    def close(self) -> None:
        """Let go of the file; it stays, for readers."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def _store(self, target: mmap.mmap, pieces: Sequence[bytes], length: int) -> None:
        generation = self._generation + 1
        slot = generation & 1
        at = _HEADER + slot * self._capacity
        for piece in pieces:
            target[at : at + len(piece)] = piece
            at += len(piece)
        _SLOT.pack_into(target, _SLOTS_AT + slot * _SLOT.size, length, zlib.crc32(pieces[0]))
        _GENERATION.pack_into(target, _GENERATION_AT, generation)
        self._generation = generation

    def _replace_file(self, pieces: Sequence[bytes], length: int) -> None:
        capacity = max(_FIRST_CAPACITY, length + length // 2)
        capacity += -capacity % mmap.PAGESIZE
        fd, name = tempfile.mkstemp(prefix=_half_made(self._path), dir=self._path.parent)
        try:
            # All of it now: a page that is missing when it is written to ends the process (SIGBUS).
            os.posix_fallocate(fd, 0, _HEADER + 2 * capacity)
            target = mmap.mmap(fd, 0)
        except BaseException:
            os.unlink(name)
            raise
        finally:
            os.close(fd)
        old, self._map, self._capacity = self._map, target, capacity
        target[: len(_MAGIC)] = _MAGIC
        self._store(target, pieces, length)
        os.replace(name, self._path)
        if old is not None:
            _GENERATION.pack_into(old, _RETIRED_AT, 1)
            old.close()


def _half_made(path: Path) -> str:
    """How the name of a file begins that is to become the one at `path`."""
    return f".{path.name}."


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
            self._last = self._newest(self._map) or self._last
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

    def _newest(self, source: mmap.mmap) -> Snapshot | None:
        """Copy the slot that is whole. None when the writer was faster every time, or died within its first write."""
        capacity = (len(source) - _HEADER) // 2
        for _ in range(_TRIES):
            (generation,) = _GENERATION.unpack_from(source, _GENERATION_AT)
            slot = generation & 1
            length, crc = _SLOT.unpack_from(source, _SLOTS_AT + slot * _SLOT.size)
            if not _INDEX.size <= length <= capacity:
                continue
            start = _HEADER + slot * capacity
            payload = source[start : start + length]
            # The sum goes first: an index that is torn must not be decoded.
            if zlib.crc32(memoryview(payload)[: _index_end(payload)]) != crc:
                continue
            found = Snapshot(payload)
            if found.is_whole():
                self._generation = generation
                return found
        return None
