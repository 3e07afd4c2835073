"""Writes into the cache, in order, from one thread; and everything again when the cache is new.

While the cache is away nothing is queued: when it is back, the providers give all there is. After that every
write since follows in order, so the cache ends where its sources are.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from teleclaude.cache import wire
from teleclaude.core.backoff import Backoff
from teleclaude.core.errors import TeleclaudeError, Unavailable

log = logging.getLogger(__name__)

Provider = Callable[[], list[wire.Op]]


HOLD = 20.0  # seconds for which the cache is held on to at a time, to notice its end


class WritableCache(Protocol):
    """What the writer needs of the cache."""

    def write(self, ops: list[wire.Op], *, flush: bool = False) -> tuple[str, int]:
        """Apply writes; raises Unavailable."""
        ...


class CacheWriter:
    """The one writer of this process. `submit` never waits; `flush` does."""

    def __init__(self, cache: WritableCache) -> None:
        self._cache = cache
        self._providers: list[Provider] = []
        self._changed = threading.Condition()
        self._queue: list[wire.Op] = []
        self._submitted = 0  # number of the last submit
        self._written = 0  # number of the last submit that is in the cache
        self._flush_to = 0
        self._epoch: str | None = None  # None: the cache is away or unknown; it gets everything
        self._stopped = False

    def add_provider(self, provider: Provider) -> None:
        """Add a source of all that the cache should have, asked when the cache is new. Called from this thread."""
        self._providers.append(provider)

    def submit(self, ops: list[wire.Op]) -> None:
        """Queue writes."""
        if not ops:
            return
        with self._changed:
            self._submitted += 1
            if self._epoch is not None:
                self._queue += ops
            self._changed.notify_all()

    def refill(self) -> None:
        """Give the cache everything anew, soon."""
        with self._changed:
            self._forget_cache()

    def watch_cache(self, hold: Callable[[float], str]) -> None:
        """Notice a new cache also while there is nothing to write; for a thread of its own.

        `hold` gives the epoch after so many seconds, and raises Unavailable as soon as the cache ends.
        """
        backoff = Backoff(0.05, 1.0)
        seconds = 0.0
        while not self._stopped:
            try:
                self.seen_epoch(hold(seconds))
                seconds = HOLD
                backoff.reset()
            except TeleclaudeError as error:
                log.debug("the cache ended, or is not there: %s", error.message)
                seconds = 0.0  # who comes back says its epoch at once
                time.sleep(backoff.next())

    def seen_epoch(self, epoch: str) -> None:
        """Take note of the cache's epoch: another one than before means a new cache."""
        with self._changed:
            if self._epoch is not None and epoch != self._epoch:
                self._forget_cache()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was submitted can be read by clients. False after `timeout` seconds."""
        with self._changed:
            target = self._flush_to = self._submitted = self._submitted + 1
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._written >= target or self._stopped, timeout)

    def stop(self) -> None:
        """End `run`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self) -> None:
        """Write until stopped; for a thread of its own."""
        backoff = Backoff(0.05, 1.0)
        while not self._stopped:
            try:
                self._step()
                backoff.reset()
            except Unavailable as error:
                log.info("waiting for the cache: %s", error.message)
                self._pause(backoff.next())
            except TeleclaudeError:
                log.exception("the cache refused a write; giving it everything anew")
                self._pause(1.0)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._forget_cache()
        deadline = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or time.monotonic() >= deadline, seconds)

    def _forget_cache(self) -> None:
        self._epoch = None
        self._queue.clear()
        self._changed.notify_all()

    def _step(self) -> None:
        with self._changed:
            self._changed.wait_for(self._has_work)
            if self._stopped:
                return
            is_new = self._epoch is None
            number, flush = self._submitted, self._flush_to > self._written
            ops, self._queue = self._queue, []
            if is_new:
                self._epoch = ""  # from here on submits are queued, so nothing falls between them and the providers
        if is_new:
            ops = [op for provider in self._providers for op in provider()]
        epoch, _ = self._cache.write(ops, flush=flush or is_new)
        with self._changed:
            self._note_written(epoch, number, is_new=is_new)

    def _note_written(self, epoch: str, number: int, *, is_new: bool) -> None:
        if is_new and self._epoch == "":
            self._epoch = epoch
        elif self._epoch != epoch:
            self._forget_cache()
            return
        self._written = max(self._written, number)
        self._changed.notify_all()

    def _has_work(self) -> bool:
        return self._stopped or self._epoch is None or self._written < self._submitted
