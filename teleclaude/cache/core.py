"""The cache with its lock: DaemonCache as the doors of the process use it together.

One lock, held for microseconds and never across I/O, and a condition on it, on which the feed's threads and the
publisher wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from teleclaude.cache import wire
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.cache.snapshot import Block, Contents, block_of
from teleclaude.core.records import Kind
from teleclaude.replication.version import NOTHING, Version

BATCH = 512  # changes in one frame of the feed

T = TypeVar("T")


class FeedSubscriber:
    """Where one reader of the feed stands, and what waits for it besides."""

    def __init__(self) -> None:
        self.version = NOTHING
        self.closed = False


class CacheCore:
    """What the doors share."""

    def __init__(self, cache: DaemonCache) -> None:
        self.cache = cache
        self.filled = False
        self._subscribers: set[FeedSubscriber] = set()
        self._changed = threading.Condition(threading.Lock())
        self._blocks: dict[tuple[Kind, str], dict[int, Block]] = {}

    # Writes.

    def write(self, ops: list[wire.Op]) -> Version:
        """Apply writes in order, as one step for every reader. Gives the version after them."""
        with self._changed:
            before = self.cache.version
            was_filled = self.filled
            for op in ops:
                self._apply(op)
            self._after(before, woken=self.filled != was_filled)
            return self.cache.version

    def _apply(self, op: wire.Op) -> None:
        match op:
            case wire.ReplaceProjects() | wire.ReplaceSessions() | wire.ReplaceTodos():
                kind: Kind = _REPLACED[type(op)]
                self.cache.replace(kind, op.computer, op.records)
            case wire.Remove():
                self.cache.remove(op.kind, op.computer, op.keys)
            case wire.Touch():
                self.cache.touch(op.kind, op.computer)
            case wire.LastHeard():
                self.cache.last_heard(op.computer, op.age)
            case wire.ForgetComputer():
                self.cache.forget(op.computer)
            case wire.Filled():
                self.filled = True
            case _:
                self.cache.put(op.records)

    def _after(self, before: Version, *, woken: bool = False) -> None:
        if self.cache.version != before or woken:
            self._changed.notify_all()

    def expire(self) -> None:
        """Let TTLs take effect."""
        with self._changed:
            before = self.cache.version
            self.cache.expire()
            self._after(before)

    def next_expiry(self) -> float | None:
        """Seconds until `expire` has something to do; None when nothing will."""
        with self._changed:
            return self.cache.next_expiry()

    # The feed.

    def subscribe(self) -> FeedSubscriber:
        """Add a reader of the feed; it begins with a snapshot."""
        with self._changed:
            found = FeedSubscriber()
            self._subscribers.add(found)
            return found

    def unsubscribe(self, subscriber: FeedSubscriber) -> None:
        """Remove a reader."""
        with self._changed:
            subscriber.closed = True
            self._subscribers.discard(subscriber)
            self._changed.notify_all()

    def next_frames(self, subscriber: FeedSubscriber, timeout: float) -> list[wire.Frame]:
        """Wait for what this reader gets next; nothing after `timeout` seconds or when it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: subscriber.closed or self._has_news(subscriber), timeout)
            return [] if subscriber.closed else self._news(subscriber)

    def _has_news(self, subscriber: FeedSubscriber) -> bool:
        return self.filled and subscriber.version != self.cache.version

    def _news(self, subscriber: FeedSubscriber) -> list[wire.Frame]:
        version = self.cache.version
        if not self.filled or subscriber.version == version:
            return []
        changes = self.cache.since(subscriber.version, BATCH)
        if changes is None:
            subscriber.version = version
            return [wire.SnapshotFrame(version, list(self.cache.sections()))]
        subscriber.version = Version(version.epoch, changes[-1].number)
        return [wire.ChangesFrame(version.epoch, changes)]

    # The snapshot.

    def wait_for_change(self, version: Version, timeout: float | None) -> bool:
        """Wait until there is something to publish other than `version`; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.filled and self.cache.version != version, timeout)

    def snapshot(self) -> Contents | None:
        """Give all that is cached; None before the first look at this computer is done. For one caller at a time."""
        with self._changed:
            if not self.filled:
                return None
            changed = self.cache.take_changed()
            version = self.cache.version
        # Joining and summing up need no lock: bodies never change, they are replaced.
        for (kind, computer), bodies in changed.items():
            here = self._blocks.setdefault((kind, computer), {}) if bodies is not None else {}
            for number, each in (bodies or {}).items():
                here.pop(number, None)
                if each:
                    here[number] = block_of(kind, computer, number, version.number, each)
            if not here:
                self._blocks.pop((kind, computer), None)
        blocks = [block for _, here in sorted(self._blocks.items()) for _, block in sorted(here.items())]
        return Contents(version, time.time(), blocks)

    def locked(self, read: Callable[[DaemonCache], T]) -> T:
        """Read under the lock; `read` must be quick."""
        with self._changed:
            return read(self.cache)

    def stats(self) -> dict[str, int]:
        """Numbers for the metrics."""
        with self._changed:
            counts = {"version": self.cache.version.number, "subscribers": len(self._subscribers)}
            for section in self.cache.sections():
                counts[section.kind] = counts.get(section.kind, 0) + len(section.items)
            return counts


_REPLACED: dict[type, Kind] = {
    wire.ReplaceProjects: "projects",
    wire.ReplaceSessions: "sessions",
    wire.ReplaceTodos: "todos",
}
