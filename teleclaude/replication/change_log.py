"""The bounded log of changes: what a reader needs who has a snapshot and wants what came after.

Rules: versions in the log have no holes; what was trimmed is answered with None, and the reader takes a snapshot.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Generic, Protocol, TypeVar


class Numbered(Protocol):
    """A change, with the number that it has in its epoch."""

    @property
    def version(self) -> int:
        """Number of the change."""
        ...


C = TypeVar("C", bound=Numbered)


class ChangeLog(Generic[C]):
    """The last `size` changes of one epoch."""

    def __init__(self, size: int) -> None:
        self._changes: deque[C] = deque(maxlen=size)
        self.version = 0

    def append(self, change: C) -> None:
        """Take the change that follows. Raises ValueError when it does not."""
        if change.version != self.version + 1:
            raise ValueError(f"version {change.version} does not follow {self.version}")
        self._changes.append(change)
        self.version = change.version

    def since(self, version: int, limit: int) -> list[C] | None:
        """Give at most `limit` changes after `version`; None when some of them are gone or it is of the future."""
        missing = self.version - version
        if missing < 0 or missing > len(self._changes):
            return None
        start = len(self._changes) - missing
        return list(islice(self._changes, start, start + limit))
