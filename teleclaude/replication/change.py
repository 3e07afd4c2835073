"""A change of a source of rows: whole rows that are put, and keys that are gone, from one number to a later one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from teleclaude.replication.version import Version

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Change(Generic[K, V]):
    """The changes `after` + 1 to `version.number` as one: `rows` by key, None for one that is gone."""

    version: Version
    after: int
    rows: dict[K, V | None]

    @property
    def puts(self) -> dict[K, V]:
        """The rows that are there now."""
        return {key: row for key, row in self.rows.items() if row is not None}

    @property
    def removes(self) -> list[K]:
        """Keys of the rows that are not."""
        return [key for key, row in self.rows.items() if row is None]


def merge(changes: Iterable[Change[K, V]]) -> Change[K, V] | None:
    """Make one change of some that follow each other in one epoch; None of none. Costs one row for each key.

    Raises ValueError where one is missing between two.
    """
    rows: dict[K, V | None] = {}
    first = last = None
    for change in changes:
        if last and (change.version.epoch != last.epoch or change.after > last.number):
            raise ValueError(f"{change.version} from {change.after} does not follow {last}")
        first = change.after if first is None else first
        last = change.version
        rows.update(change.rows)
    return None if last is None or first is None else Change(last, first, rows)
