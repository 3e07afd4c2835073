"""A reader's copy of an owner's records, and the one rule by which it changes.

Rules of this module:
- A reader has a snapshot at (epoch, seq), then every later change in order, each once.
- A snapshot replaces all that was there: absent from it means gone, and a late change never brings it back.
- A change is applied only in the epoch of the snapshot, and only when it follows the position. Whatever does not
  follow (a gap, another epoch, no snapshot yet) is answered NEED_SNAPSHOT. Nobody guesses.
- A change at or below the position is a repetition: it changes nothing.

It knows no wire, no clock and no record: keys and values are whatever the caller says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Verdict(Enum):
    """What became of a change."""

    APPLIED = "applied"
    REPEATED = "repeated"
    NEED_SNAPSHOT = "need_snapshot"


class Replica(Generic[K, V]):
    """Copy of one owner's records of one kind."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.seq = 0
        self._items: dict[K, V] = {}

    @property
    def items(self) -> Mapping[K, V]:
        """The records, by key. A view, not a copy."""
        return self._items

    def replace(self, epoch: str, seq: int, items: Iterable[tuple[K, V]]) -> bool:
        """Take a snapshot. False, and nothing changes, when it is older than what is here."""
        if epoch == self.epoch and seq < self.seq:
            return False
        self.epoch, self.seq, self._items = epoch, seq, dict(items)
        return True

    def apply(
        self,
        epoch: str,
        seq: int,
        puts: Iterable[tuple[K, V]],
        removes: Iterable[K] = (),
        *,
        after: int | None = None,
    ) -> Verdict:
        """Apply the change `seq`, which follows the change `after` (seq - 1 when not said).

        A source that leaves out what this reader did not ask for says with `after` what it sent last.
        """
        if epoch != self.epoch:
            return Verdict.NEED_SNAPSHOT
        if seq <= self.seq:
            return Verdict.REPEATED
        if (seq - 1 if after is None else after) != self.seq:
            return Verdict.NEED_SNAPSHOT
        for key in removes:
            self._items.pop(key, None)
        self._items.update(puts)
        self.seq = seq
        return Verdict.APPLIED

    def is_behind(self, epoch: str, head: int) -> bool:
        """Tell whether the owner, by what it says of itself, has more than is here."""
        return epoch != self.epoch or head > self.seq

    def clear(self) -> None:
        """Forget everything, the position too."""
        self.epoch, self.seq, self._items = None, 0, {}
