"""DaemonCache: the cached state of all computers, versioned. A plain class without I/O.

Rules of this module:
- One change, one version, one entry in the log. A put that changes nothing is no change.
- A replace is the whole truth about (kind, computer): what is absent from it is removed.
- Stale entries are served, never hidden. Expiry only marks: computers go offline, other kinds answer `stale`.
- TTLs are judged with this process's monotonic clock, read here, so that a frozen clock moves them.
- Each record is encoded once, when it changes.
It knows no sockets, files, tmux, Redis or HTTP, and takes no lock: its caller has one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from teleclaude.cache.wire import RowChange, Section
from teleclaude.core.records import KINDS, Computer, Kind, Record, key_of, kind_of, owner_of
from teleclaude.replication.change_log import Log
from teleclaude.replication.version import Version

COMPUTER_TTL: Final = 60.0  # seconds without a heartbeat until a computer is offline
PLAN_TTL: Final = 300.0  # seconds until remote projects and todos are stale
NEVER: Final = float("inf")
TTLS: Final[dict[Kind, float]] = {
    "computers": COMPUTER_TTL,
    "projects": PLAN_TTL,
    "todos": PLAN_TTL,
    "sessions": NEVER,
}
LOG_SIZE: Final = 4096

_encode = msgspec.json.Encoder().encode


class _Shelf:
    """Records of one kind of one computer."""

    __slots__ = ("bodies", "filled", "records")

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.bodies: dict[str, bytes] = {}
        self.filled: float | None = None  # monotonic time of the last word from the owner


class DaemonCache:
    """Records by kind, computer and key. `local` is this computer's name: its records are always fresh."""

    def __init__(self, local: str, *, log_size: int = LOG_SIZE, epoch: str | None = None) -> None:
        self.local = local
        self._log: Log[RowChange] = Log(log_size, epoch or secrets.token_hex(8))
        self._shelves: dict[tuple[Kind, str], _Shelf] = {}
        self._seen: dict[str, float] = {}  # monotonic time of each computer's last heartbeat
        self.dirty: set[tuple[Kind, str]] = set()  # what changed since the caller last cleared it

    @property
    def version(self) -> Version:
        """Where it stands: its epoch, and the number of its last change."""
        return self._log.version

    # Writes: each tells how many changes it made.

    def put(self, records: Iterable[Record]) -> int:
        """Put records by their keys. A computer whose `last_seen` is another than before has been heard of now."""
        return sum(self._put(record) for record in records)

    def replace(self, kind: Kind, computer: str, records: Iterable[Record]) -> int:
        """Make `records` all that `computer` has of `kind`. Raises ValueError for a record that is neither."""
        wanted = {key_of(record): record for record in records}
        for record in wanted.values():
            if kind_of(record) != kind or owner_of(record) != computer:
                raise ValueError(f"a {kind_of(record)} record of {owner_of(record)} among the {kind} of {computer}")
        shelf = self._shelf(kind, computer)
        gone = [key for key in shelf.records if key not in wanted]
        changes = self.remove(kind, computer, gone) + sum(self._put(record) for record in wanted.values())
        self.touch(kind, computer)
        return changes

    def remove(self, kind: Kind, computer: str, keys: Iterable[str]) -> int:
        """Remove records; unknown keys are no change."""
        shelf = self._shelves.get((kind, computer))
        count = 0
        for key in keys if shelf else ():
            assert shelf is not None  # noqa: S101  (the loop is empty otherwise)
            if shelf.records.pop(key, None) is not None:
                del shelf.bodies[key]
                self._note(kind, computer, key, None)
                count += 1
        return count

    def forget(self, computer: str) -> int:
        """Remove a computer and all that it owned."""
        count = sum(self.remove(kind, computer, self._keys(kind, computer)) for kind in reversed(KINDS))
        for kind in KINDS:
            self._shelves.pop((kind, computer), None)
        self._seen.pop(computer, None)
        return count

    def touch(self, kind: Kind, computer: str) -> None:
        """Begin the TTL of (kind, computer) anew: what is here is what its owner has."""
        self._shelf(kind, computer).filled = time.monotonic()

    def expire(self) -> int:
        """Show as offline each remote computer that was not heard of for `COMPUTER_TTL`."""
        limit = time.monotonic() - COMPUTER_TTL
        late = [name for name, seen in self._seen.items() if seen <= limit and name != self.local]
        return sum(self._set_offline(name) for name in late)

    # Reads.

    def next_expiry(self) -> float | None:
        """Seconds until `expire` has something to do; None when nothing will expire."""
        due = [seen for name, seen in self._seen.items() if name != self.local and self._is_online(name)]
        return max(0.0, min(due) + COMPUTER_TTL - time.monotonic()) if due else None

    def stale(self, kind: Kind, computer: str) -> bool:
        """Tell whether (kind, computer) was never filled, or longer ago than its TTL. Own records never are."""
        if computer == self.local:
            return False
        shelf = self._shelves.get((kind, computer))
        filled = shelf.filled if shelf else None
        if kind == "computers":
            filled = self._seen.get(computer)
        return filled is None or time.monotonic() - filled >= TTLS[kind]

    def get(self, kind: Kind, computer: str, key: str) -> Record | None:
        """One record, or None."""
        shelf = self._shelves.get((kind, computer))
        return shelf.records.get(key) if shelf else None

    def records(self, kind: Kind, computer: str) -> list[Record]:
        """All records of (kind, computer)."""
        shelf = self._shelves.get((kind, computer))
        return list(shelf.records.values()) if shelf else []

    def since(self, version: Version, limit: int | None = None) -> list[RowChange] | None:
        """Changes after `version`, in order, at most `limit`; None when a snapshot must be taken instead."""
        return self._log.since(version, limit)

    def sections(self) -> Iterator[Section]:
        """All records with their bytes, sorted by kind and computer: a snapshot at `version`."""
        for kind, computer in sorted(self._shelves):
            bodies = self._shelves[kind, computer].bodies
            if bodies:
                yield Section(kind, computer, list(bodies.items()))

    def bodies(self, kind: Kind, computer: str) -> Iterable[bytes]:
        """Encoded records of (kind, computer)."""
        shelf = self._shelves.get((kind, computer))
        return shelf.bodies.values() if shelf else ()

    def shelves(self) -> list[tuple[Kind, str]]:
        """The pairs (kind, computer) that hold anything, sorted."""
        return sorted(place for place, shelf in self._shelves.items() if shelf.bodies)

    # Parts.

    def _shelf(self, kind: Kind, computer: str) -> _Shelf:
        return self._shelves.setdefault((kind, computer), _Shelf())

    def _keys(self, kind: Kind, computer: str) -> list[str]:
        shelf = self._shelves.get((kind, computer))
        return list(shelf.records) if shelf else []

    def _put(self, record: Record) -> int:
        kind, computer, key = kind_of(record), owner_of(record), key_of(record)
        shelf = self._shelf(kind, computer)
        old = shelf.records.get(key)
        if isinstance(record, Computer):
            if not isinstance(old, Computer) or old.last_seen != record.last_seen:
                self._seen[key] = time.monotonic()  # whatever else is told of it anew is no sign of life
            if isinstance(old, Computer) and _same_but_seen(old, record):
                shelf.records[key] = record  # a heartbeat that says nothing new; the time is told when it matters
                return 0
        elif old == record:
            return 0
        shelf.records[key] = record
        shelf.bodies[key] = body = _encode(record)
        self._note(kind, computer, key, body)
        return 1

    def _note(self, kind: Kind, computer: str, key: str, body: bytes | None) -> None:
        number = self.version.number + 1
        self._log.append(number, RowChange(number, kind, computer, key, body))
        self.dirty.add((kind, computer))

    def _is_online(self, name: str) -> bool:
        found = self.get("computers", name, name)
        return isinstance(found, Computer) and found.status == "online"

    def _set_offline(self, name: str) -> int:
        found = self.get("computers", name, name)
        if not isinstance(found, Computer) or found.status == "offline":
            return 0
        return self._put(msgspec.structs.replace(found, status="offline"))


def _same_but_seen(old: Computer, new: Computer) -> bool:
    return msgspec.structs.replace(old, last_seen=new.last_seen) == new
