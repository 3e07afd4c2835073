"""A reader's copy of a source's rows, and the one rule by which it changes.

Rules of this module:
- A reader has a snapshot at a version, then every later change in order, each once.
- A snapshot replaces all that was there: absent from it means gone, and a late change never brings it back.
- A change is applied only in the epoch of the snapshot, and only when it follows the version that is here. Whatever
  does not (a gap, another epoch, no snapshot yet) is answered NEED_SNAPSHOT.
- A change that ends at or before that version is a repetition: it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from teleclaude.replication.change import Change
from teleclaude.replication.version import NOTHING, Verdict, Version

K = TypeVar("K")
V = TypeVar("V")


class Replica(Generic[K, V]):
    """Copy of the rows of one source. `version` is where it stands; NOTHING before its first snapshot."""

    def __init__(self) -> None:
        self.version = NOTHING
        self._rows: dict[K, V] = {}

    @property
    def rows(self) -> Mapping[K, V]:
        """The rows, by key. A view, not a copy."""
        return self._rows

    def replace(self, version: Version, rows: Iterable[tuple[K, V]]) -> bool:
        """Take a snapshot. False, and nothing changes, when it is older than what is here."""
        if not self.version.takes_snapshot(version):
            return False
        self.version, self._rows = version, dict(rows)
        return True

    def apply(self, change: Change[K, V]) -> Verdict:
        """Take a change; what it says is applied only when the verdict is APPLIED."""
        verdict = self.version.judge(change.version, change.after)
        if verdict is Verdict.APPLIED:
            for key, row in change.rows.items():
                if row is None:
                    self._rows.pop(key, None)
                else:
                    self._rows[key] = row
            self.version = change.version
        return verdict

    def is_behind(self, head: Version) -> bool:
        """Tell whether the source, by what it says of itself, has more than is here."""
        return self.version.is_before(head)
