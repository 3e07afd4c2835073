"""The snapshot in a mapped file: written by the cache process, read by anybody who may open it, without a lock.

Layout, little endian:

    0   magic "TELC", layout number
    8   generation: which of the two slots is whole (its lowest bit); stored last
    16  retired: not 0 when a new file stands at this path
    24  two slot headers: length of the index, its crc32
    56  room for an index
    64  slot 0, then slot 1: each an index, then blocks

A block is some encoded records of one kind of one computer, each with a comma behind it, so that a JSON array is made
by joining blocks. The index (msgpack) holds where each is, its crc32, and the number of the change by which it became
what it is. Who writes copies only the blocks that are other than two generations ago, into a place with some room; who
reads copies only those that it does not have. A reader takes the slot that the generation names, checks the sums of
what it copies, and reads again when one is wrong: the writer was faster. The sums also stand in for the store order
that other processors than x86 do not give.

It knows bytes and their places; not what a record is.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from teleclaude.replication.version import Version

_MAGIC = b"TELC\x03\x00\x00\x00"
_GENERATION = struct.Struct("<Q")
_SLOT = struct.Struct("<QQ")
_GENERATION_AT, _RETIRED_AT, _SLOTS_AT, _INDEX_ROOM_AT, _HEADER = 8, 16, 24, 56, 64
_FIRST_INDEX, _FIRST_DATA = 32 * 1024, 224 * 1024
_TRIES = 1000

T = TypeVar("T")


class Block:
    """Some encoded records of one kind of one computer: `data` has a comma behind each, `count` of them.

    `place` tells it from the other blocks of its partition, `number` is that of the change that it is of.
    """

    __slots__ = ("_derived", "computer", "count", "crc", "data", "kind", "number", "place")

    def __init__(self, kind: str, computer: str, place: int, number: int, count: int, data: bytes, crc: int) -> None:
        self.kind, self.computer, self.place, self.number = kind, computer, place, number
        self.count, self.data, self.crc = count, data, crc
        self._derived: Any = None

    def derived(self, derive: Callable[[bytes], T]) -> T:
        """Give what `derive`, always the same, makes of the JSON array of the records; made once."""
        if self._derived is None:
            self._derived = derive(b"[%b]" % self.data[:-1])
        return cast(T, self._derived)


class Contents(NamedTuple):
    """All that a snapshot holds: blocks sorted by kind, computer and place. `written`: seconds since 1970."""

    version: Version
    written: float
    blocks: list[Block]


def block_of(kind: str, computer: str, place: int, number: int, bodies: Sequence[bytes]) -> Block:
    """Make a block of encoded records; at least one."""
    data = b",".join((*bodies, b""))
    return Block(kind, computer, place, number, len(bodies), data, zlib.crc32(data))


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """A block in the index: `start` counts from behind the room of the slot's index."""

    kind: str
    computer: str
    place: int
    number: int
    start: int
    length: int
    count: int
    crc: int


class _Index(msgspec.Struct, frozen=True, array_like=True):
    version: Version
    written: float
    entries: list[_Entry]


_decode_index = msgspec.msgpack.Decoder(_Index).decode
_encode = msgspec.msgpack.encode


class CacheSnapshot:
    """One whole snapshot: `at` (`epoch`, `version`), `written` (seconds since 1970), and the records."""

    def __init__(self, contents: Contents) -> None:
        self.at, self.written, self._blocks = contents
        self.epoch, self.version = self.at

    def blocks(self, kind: str, computer: str | None = None) -> Iterator[Block]:
        """The blocks of a kind, of one computer or of all."""
        return (b for b in self._blocks if b.kind == kind and computer in {None, b.computer})

    def array(self, kind: str, computer: str | None = None) -> bytes:
        """Give a JSON array of a kind, of one computer or of all."""
        pieces = [block.data for block in self.blocks(kind, computer)]
        pieces[-1:] = [piece[:-1] for piece in pieces[-1:]]  # the last comma
        return b"".join((b"[", *pieces, b"]"))

    def computers(self, kind: str) -> list[str]:
        """Names of the computers that have records of a kind."""
        return [computer for computer, _ in groupby(block.computer for block in self.blocks(kind))]

    def count(self, kind: str) -> int:
        """Number of records of a kind."""
        return sum(block.count for block in self.blocks(kind))


class _SlotMap:
    """Where the blocks of one slot are: start, room, and the block itself."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str, int], tuple[int, int, Block]] = {}
        self.used = 0

    def place(self, blocks: Sequence[Block], room: int) -> list[tuple[int, Block]] | None:
        """Give the blocks to copy, each with its start; None when they do not fit into `room` bytes."""
        copies: list[tuple[int, Block]] = []
        places: dict[tuple[str, str, int], tuple[int, int, Block]] = {}
        for block in blocks:
            key = (block.kind, block.computer, block.place)
            start, space, here = self.places.get(key, (0, -1, None))
            if here is not block:
                if len(block.data) > space:
                    start, space = self.used, _with_room(len(block.data))
                    self.used += space
                copies.append((start, block))
            places[key] = (start, space, block)
        self.places = places
        return copies if self.used <= room else None


def _with_room(length: int) -> int:
    return length + length // 8 + 64


class SnapshotWriter:
    """The only writer of the file at `path`. Takes over a path left by an earlier one, which its readers survive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._generation = 0
        self._index_room = self._data_room = 0
        self._slots = [_SlotMap(), _SlotMap()]
        self._map: mmap.mmap | None = None
        for left in path.parent.glob(f"{_half_made(path)}*"):  # by a writer that was killed
            left.unlink(missing_ok=True)

    def publish(self, contents: Contents) -> None:
        """Show a snapshot to all readers. Raises OSError when the file cannot be made."""
        if self._map is None or not self._store(self._map, contents):
            self._replace_file(contents)

    def close(self) -> None:
        """Let go of the file; it stays, for readers."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def _store(self, target: mmap.mmap, contents: Contents) -> bool:
        """Write into the slot that is not shown, then show it. False when it is too small."""
        slot = (self._generation + 1) & 1
        copies = self._slots[slot].place(contents.blocks, self._data_room)
        if copies is None:  # much of it may be room that nobody uses any more
            self._slots[slot] = _SlotMap()
            copies = self._slots[slot].place(contents.blocks, self._data_room)
        index = self._index_of(contents, self._slots[slot])
        if copies is None or len(index) > self._index_room:
            self._slots[slot] = _SlotMap()
            return False
        at = _HEADER + slot * (self._index_room + self._data_room)
        target[at : at + len(index)] = index
        at += self._index_room
        for start, block in copies:
            target[at + start : at + start + len(block.data)] = block.data
        _SLOT.pack_into(target, _SLOTS_AT + slot * _SLOT.size, len(index), zlib.crc32(index))
        self._generation += 1
        _GENERATION.pack_into(target, _GENERATION_AT, self._generation)
        return True

    def _index_of(self, contents: Contents, slot: _SlotMap) -> bytes:
        starts = (slot.places[b.kind, b.computer, b.place][0] for b in contents.blocks)
        entries = [
            _Entry(b.kind, b.computer, b.place, b.number, start, len(b.data), b.count, b.crc)
            for b, start in zip(contents.blocks, starts, strict=True)
        ]
        return _encode(_Index(contents.version, contents.written, entries))

    def _replace_file(self, contents: Contents) -> None:
        need = sum(_with_room(len(block.data)) for block in contents.blocks)
        names = sum(len(block.kind) + 4 * len(block.computer) + 64 for block in contents.blocks)
        index_room = _paged(max(_FIRST_INDEX, 2 * names))
        data_room = _paged(max(_FIRST_DATA, need + need // 3))
        fd, name = tempfile.mkstemp(prefix=_half_made(self._path), dir=self._path.parent)
        try:
            # All of it now: a page that is missing when it is written to ends the process (SIGBUS).
            os.posix_fallocate(fd, 0, _HEADER + 2 * (index_room + data_room))
            target = mmap.mmap(fd, 0)
        except BaseException:
            os.unlink(name)
            raise
        finally:
            os.close(fd)
        old, self._map = self._map, target
        self._index_room, self._data_room = index_room, data_room
        self._slots = [_SlotMap(), _SlotMap()]
        target[: len(_MAGIC)] = _MAGIC
        _GENERATION.pack_into(target, _INDEX_ROOM_AT, index_room)
        self._store(target, contents)
        os.replace(name, self._path)
        if old is not None:
            _GENERATION.pack_into(old, _RETIRED_AT, 1)
            old.close()


def _paged(size: int) -> int:
    return size + -size % mmap.PAGESIZE


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
        self._last: CacheSnapshot | None = None
        self._epoch = ""
        self._known: dict[tuple[str, str, int, int], Block] = {}

    def read(self) -> CacheSnapshot | None:
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

    def _newest(self, source: mmap.mmap) -> CacheSnapshot | None:
        """Read the slot that is whole. None when the writer was faster every time, or died within its first write."""
        (index_room,) = _GENERATION.unpack_from(source, _INDEX_ROOM_AT)
        size = (len(source) - _HEADER) // 2
        for _ in range(_TRIES):
            (generation,) = _GENERATION.unpack_from(source, _GENERATION_AT)
            slot = generation & 1
            length, crc = _SLOT.unpack_from(source, _SLOTS_AT + slot * _SLOT.size)
            start = _HEADER + slot * size
            data = source[start : start + length] if 0 < length <= index_room < size else b""
            if not data or zlib.crc32(data) != crc:  # the sum goes first: an index that is torn must not be decoded
                continue
            index = _decode_index(data)
            blocks = self._blocks_of(source, index, start + index_room)
            if blocks is not None:
                self._generation = generation
                return CacheSnapshot(Contents(index.version, index.written, blocks))
        return None

    def _blocks_of(self, source: mmap.mmap, index: _Index, start: int) -> list[Block] | None:
        """Copy the blocks that are not here yet. None when one is not what the index means."""
        if index.version.epoch != self._epoch:
            self._epoch, self._known = index.version.epoch, {}
        found: dict[tuple[str, str, int, int], Block] = {}
        for e in index.entries:
            key = (e.kind, e.computer, e.place, e.number)
            block = self._known.get(key)
            if block is None:
                data = source[start + e.start : start + e.start + e.length]
                if zlib.crc32(data) != e.crc:
                    return None
                block = Block(e.kind, e.computer, e.place, e.number, e.count, data, e.crc)
            found[key] = block
        self._known = found
        return list(found.values())
