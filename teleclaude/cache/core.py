"""The cache with its lock: DaemonCache, interest and lane as the doors of the process use them together.

One lock, held for microseconds and never across I/O; two conditions on it: one on which the feed's threads and the
publisher wait, one for the sync process' question for work. A change of data has nothing to say to the latter.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from teleclaude.cache import wire
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.cache.interest import InterestTable
from teleclaude.cache.request_queue import Lane
from teleclaude.cache.snapshot import Shelf, payload_of, shelf_of
from teleclaude.core.records import Kind, Scope
from teleclaude.core.requests import Outcome, Request
from teleclaude.replication.version import NOTHING, Version

BATCH = 512  # changes in one frame of the feed
EXTRAS = 256  # outcomes and outputs that wait for one subscriber

T = TypeVar("T")


class FeedSubscriber:
    """Where one reader of the feed stands, and what waits for it besides."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = NOTHING
        self.extras: deque[wire.Frame] = deque(maxlen=EXTRAS)
        self.closed = False


class CacheCore:
    """What the doors share."""

    def __init__(self, cache: DaemonCache) -> None:
        self.cache = cache
        self.interest = InterestTable()
        self.lane = Lane()
        self.filled = False
        self.numbers: dict[str, int] = {}  # what the sync process counted, by its last question for work
        self._subscribers: dict[str, FeedSubscriber] = {}
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._asked = threading.Condition(lock)
        self._joined: dict[tuple[Kind, str], Shelf] = {}

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
            case wire.Forget():
                self.cache.forget(op.computer)
            case wire.Filled():
                self.filled = True
            case _:
                self.cache.put(op.records)

    def _after(self, before: Version, *, woken: bool = False) -> None:
        if self.cache.version != before or woken:
            self._changed.notify_all()

    def expire(self) -> None:
        """Let TTLs and deadlines take effect."""
        with self._changed:
            before = self.cache.version
            self.cache.expire()
            self._after(before)
            for subscriber, outcome in self.lane.expire(time.monotonic()):
                self._send(subscriber, wire.OutcomeFrame(outcome))

    def next_expiry(self) -> float | None:
        """Seconds until `expire` has something to do; None when nothing will."""
        with self._changed:
            due = [self.cache.next_expiry()]
            deadline = self.lane.next_deadline()
            due.append(None if deadline is None else max(0.0, deadline - time.monotonic()))
            return min((d for d in due if d is not None), default=None)

    # The lane back.

    def submit(self, subscriber: str, request: Request) -> None:
        """Take a request for the sync process. Raises Unavailable when too many wait."""
        with self._changed:
            self.lane.submit(subscriber, request)
            self._asked.notify_all()

    def work(self, interest_version: int, timeout: float, numbers: dict[str, int] | None = None) -> wire.Work:
        """Wait at most `timeout` seconds for requests or for interest other than at `interest_version`."""
        deadline = time.monotonic() + timeout
        with self._asked:
            self.numbers = self.numbers if numbers is None else numbers
            while not self.lane.waiting and self.interest.version == interest_version:
                left = deadline - time.monotonic()
                if left <= 0 or not self._asked.wait(left):
                    break
            requests = self.lane.take(time.monotonic())
            version = self.interest.version
            interest = self.interest.computers() if version != interest_version else None
            return wire.Work(self.cache.version.epoch, requests, version, interest)

    def finish(self, outcome: Outcome) -> None:
        """Tell whoever asked how a request ended."""
        with self._changed:
            subscriber = self.lane.finish(outcome)
            if subscriber:
                self._send(subscriber, wire.OutcomeFrame(outcome))

    def emit(self, frame: wire.OutputFrame) -> None:
        """Send the output of a watched session to every subscriber."""
        with self._changed:
            for name in self._subscribers:
                self._send(name, frame)

    def set_interest(self, subscriber: str, client: str, wants: list[Scope]) -> None:
        """Say all that one client looks at."""
        with self._changed:
            if subscriber in self._subscribers and self.interest.set(subscriber, client, wants):
                self._asked.notify_all()

    # The feed.

    def subscribe(self, name: str) -> FeedSubscriber:
        """Add a reader of the feed; it begins with a snapshot."""
        with self._changed:
            self._subscribers[name] = found = FeedSubscriber(name)
            return found

    def unsubscribe(self, subscriber: FeedSubscriber) -> None:
        """Remove a reader, and the interest of its clients."""
        with self._changed:
            subscriber.closed = True
            self._subscribers.pop(subscriber.name, None)
            self.interest.drop(subscriber.name)
            self._asked.notify_all()
            self._changed.notify_all()

    def next_frames(self, subscriber: FeedSubscriber, timeout: float) -> list[wire.Frame]:
        """Wait for what this reader gets next; nothing after `timeout` seconds or when it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: subscriber.closed or self._has_news(subscriber), timeout)
            frames: list[wire.Frame] = [] if subscriber.closed else self._news(subscriber)
            while subscriber.extras:
                frames.append(subscriber.extras.popleft())
            return frames

    def _has_news(self, subscriber: FeedSubscriber) -> bool:
        return bool(subscriber.extras) or (self.filled and subscriber.version != self.cache.version)

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

    def _send(self, name: str, frame: wire.Frame) -> None:
        subscriber = self._subscribers.get(name)
        if subscriber:
            subscriber.extras.append(frame)
            self._changed.notify_all()

    # The snapshot.

    def wait_for_change(self, version: Version, timeout: float | None) -> bool:
        """Wait until there is something to publish other than `version`; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.filled and self.cache.version != version, timeout)

    def snapshot(self) -> tuple[Version, list[bytes]] | None:
        """Give (version, payload) of now, the payload in pieces; None before the first look at this computer is done.

        For one caller at a time.
        """
        with self._changed:
            if not self.filled:
                return None
            changed = {place: list(self.cache.bodies(*place)) for place in self.cache.dirty}
            self.cache.dirty.clear()
            version = self.cache.version
        # Joining and summing up need no lock: bodies never change, they are replaced.
        for place, bodies in changed.items():
            if bodies:
                self._joined[place] = shelf_of(*place, bodies)
            else:
                self._joined.pop(place, None)
        return version, payload_of(version, time.time(), [self._joined[place] for place in sorted(self._joined)])

    def locked(self, read: Callable[[DaemonCache], T]) -> T:
        """Read under the lock; `read` must be quick."""
        with self._changed:
            return read(self.cache)

    def stats(self) -> dict[str, int]:
        """Numbers for the metrics."""
        with self._changed:
            counts = {
                "version": self.cache.version.number,
                "subscribers": len(self._subscribers),
                "requests_waiting": self.lane.waiting,
            }
            for section in self.cache.sections():
                counts[section.kind] = counts.get(section.kind, 0) + len(section.items)
            return counts


_REPLACED: dict[type, Kind] = {
    wire.ReplaceProjects: "projects",
    wire.ReplaceSessions: "sessions",
    wire.ReplaceTodos: "todos",
}
