"""The bounded log of a source's changes: what a reader needs who has a snapshot and wants what came after.

Rules: numbers only grow; a number that is not in the log had nothing to tell. Who stands before what was trimmed, in
another epoch or in the future is answered with None, and takes a snapshot.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from teleclaude.replication.version import Version

C = TypeVar("C")


class Log(Generic[C]):
    """The last `size` changes in one epoch. `version` is the source's; `oldest` the first number it can tell from."""

    def __init__(self, size: int, epoch: str = "") -> None:
        self._changes: deque[tuple[int, C]] = deque(maxlen=size)
        self.version = Version(epoch, 0)
        self.oldest = 0

    def append(self, number: int, change: C) -> None:
        """Take the change that leads to `number`. Raises ValueError when that is not after all others."""
        self.advance(number)
        if len(self._changes) == self._changes.maxlen:
            self.oldest = self._changes[0][0]
        self._changes.append((number, change))

    def advance(self, number: int) -> None:
        """Go to `number` with nothing to tell. Raises ValueError when it is not after all others."""
        if number <= self.version.number:
            raise ValueError(f"{number} does not follow {self.version.number}")
        self.version = Version(self.version.epoch, number)

    def restart(self, version: Version) -> None:
        """Begin anew at `version`: nothing before it can be told."""
        self._changes.clear()
        self.version, self.oldest = version, version.number

    def since(self, version: Version, limit: int | None = None) -> list[C] | None:
        """Give the changes after `version`, in order, the first `limit`; None when a snapshot is to be taken."""
        if version.epoch != self.version.epoch or not self.oldest <= version.number <= self.version.number:
            return None
        found: list[C] = []
        for number, change in reversed(self._changes):
            if number <= version.number:
                break
            found.append(change)
        found.reverse()
        return found[:limit]
