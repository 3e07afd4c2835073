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

from teleclaude.cache.partition import Partition
from teleclaude.cache.wire import RowChange, Section
from teleclaude.core.records import KINDS, Computer, Kind, Record, key_of, kind_of, owner_of
from teleclaude.replication.change_log import Log
from teleclaude.replication.version import Version

COMPUTER_TTL: Final = 60.0  # seconds without a heartbeat until a computer is offline
SEEN_TOLD_EVERY: Final = (
    300.0  # seconds after which readers are told that a computer was seen, when nothing else changes
)
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


class DaemonCache:
    """Records by kind, computer and key. `local` is this computer's name: its records are always fresh."""

    def __init__(self, local: str, *, log_size: int = LOG_SIZE, epoch: str | None = None) -> None:
        self.local = local
        self._log: Log[RowChange] = Log(log_size, epoch or secrets.token_hex(8))
        self._partitions: dict[tuple[Kind, str], Partition] = {}
        self._told: dict[str, float] = {}  # monotonic time at which readers were last told of a computer
        self._seen: dict[str, float] = {}  # monotonic time of each computer's last heartbeat
        self._changed: set[tuple[Kind, str]] = set()  # partitions, since `take_changed`

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
        gone = [key for key in self._partition(kind, computer).records if key not in wanted]
        changes = self.remove(kind, computer, gone) + sum(self._put(record) for record in wanted.values())
        self.touch(kind, computer)
        return changes

    def remove(self, kind: Kind, computer: str, keys: Iterable[str]) -> int:
        """Remove records; unknown keys are no change."""
        partition = self._partitions.get((kind, computer))
        if partition is None:
            return 0
        removed = [key for key in keys if partition.remove(key)]
        for key in removed:
            self._note(kind, computer, key, None)
        return len(removed)

    def forget(self, computer: str) -> int:
        """Remove a computer and all that it owned."""
        count = sum(self.remove(kind, computer, self._keys(kind, computer)) for kind in reversed(KINDS))
        for kind in KINDS:
            self._partitions.pop((kind, computer), None)
        self._seen.pop(computer, None)
        self._told.pop(computer, None)
        return count

    def touch(self, kind: Kind, computer: str) -> None:
        """Begin the TTL of (kind, computer) anew: what is here is what its owner has."""
        self._partition(kind, computer).filled = time.monotonic()

    def last_heard(self, computer: str, age: float) -> None:
        """Take note that a computer was heard of `age` seconds ago; never later than is known."""
        if computer in self._seen:
            self._seen[computer] = min(self._seen[computer], time.monotonic() - age)

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
        partition = self._partitions.get((kind, computer))
        filled = None if partition is None else partition.filled
        if kind == "computers":
            filled = self._seen.get(computer)
        return filled is None or time.monotonic() - filled >= TTLS[kind]

    def get(self, kind: Kind, computer: str, key: str) -> Record | None:
        """One record, or None."""
        partition = self._partitions.get((kind, computer))
        return partition.records.get(key) if partition else None

    def records(self, kind: Kind, computer: str) -> list[Record]:
        """All records of (kind, computer)."""
        partition = self._partitions.get((kind, computer))
        return list(partition.records.values()) if partition else []

    def since(self, version: Version, limit: int | None = None) -> list[RowChange] | None:
        """Changes after `version`, in order, at most `limit`; None when a snapshot must be taken instead."""
        return self._log.since(version, limit)

    def sections(self) -> Iterator[Section]:
        """All records with their bytes, sorted by kind and computer: a snapshot at `version`."""
        for kind, computer in self.partitions():
            yield Section(kind, computer, list(self._partitions[kind, computer].items()))

    def partitions(self) -> list[tuple[Kind, str]]:
        """The pairs (kind, computer) that hold anything, sorted."""
        return sorted(place for place, partition in self._partitions.items() if partition)

    def take_changed(self) -> dict[tuple[Kind, str], dict[int, list[bytes]] | None]:
        """Give the blocks of encoded records that changed since the last call; None for a partition that is gone."""
        found = {place: self._partitions.get(place) for place in self._changed}
        self._changed.clear()
        return {place: None if here is None else here.take_changed() for place, here in found.items()}

    # Parts.

    def _partition(self, kind: Kind, computer: str) -> Partition:
        return self._partitions.setdefault((kind, computer), Partition())

    def _keys(self, kind: Kind, computer: str) -> list[str]:
        partition = self._partitions.get((kind, computer))
        return list(partition.records) if partition else []

    def _put(self, record: Record) -> int:
        kind, computer, key = kind_of(record), owner_of(record), key_of(record)
        partition = self._partition(kind, computer)
        old = partition.records.get(key)
        if isinstance(record, Computer):
            if not isinstance(old, Computer) or old.last_seen != record.last_seen:
                self._seen[key] = time.monotonic()  # whatever else is told of it anew is no sign of life
            if isinstance(old, Computer) and _same_but_seen(old, record) and not self._is_told_long_ago(key):
                partition.note(key, record)  # a heartbeat that says nothing new; the time is told when it matters
                return 0
            self._told[key] = time.monotonic()
        elif old == record:
            return 0
        body = _encode(record)
        partition.put(key, record, body)
        self._note(kind, computer, key, body)
        return 1

    def _note(self, kind: Kind, computer: str, key: str, body: bytes | None) -> None:
        number = self.version.number + 1
        self._log.append(number, RowChange(number, kind, computer, key, body))
        self._changed.add((kind, computer))

    def _is_told_long_ago(self, name: str) -> bool:
        """Tell whether readers know a `last_seen` of a computer that is too old to be left so."""
        return time.monotonic() - self._told.get(name, 0.0) >= SEEN_TOLD_EVERY

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
