"""Carries outcomes and screens to the cache, in a thread of its own: the cache may be slow, or away for a moment."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Protocol

from teleclaude.cache import wire
from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.requests import Outcome

log = logging.getLogger(__name__)

WAITING = 4096


class Counter(Protocol):
    """What is needed of the cache's client."""

    def finish(self, outcome: Outcome) -> None:
        """Tell how a request ended; raises Unavailable."""
        ...

    def emit(self, output: wire.OutputFrame) -> None:
        """Show a screen; raises Unavailable."""
        ...


class Clerk:
    """A bounded queue and its thread. What the cache does not take is dropped: who asked it is gone with it."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._queue: queue.Queue[Outcome | wire.OutputFrame | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="peers-clerk", daemon=True)
        self._thread.start()

    def finish(self, outcome: Outcome) -> None:
        """Tell how a request ended. Never waits."""
        self._put(outcome)

    def emit(self, screen: wire.OutputFrame) -> None:
        """Show a watched screen. Never waits."""
        self._put(screen)

    def stop(self, timeout: float) -> None:
        """Carry what waits, and end."""
        self._put(None)
        self._thread.join(timeout)

    def _put(self, item: Outcome | wire.OutputFrame | None) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            log.warning("the cache does not take what it is told: dropped an outcome or a screen")

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                if isinstance(item, Outcome):
                    self._counter.finish(item)
                else:
                    self._counter.emit(item)
            except TeleclaudeError as error:
                log.info("the cache did not take what it was told: %s", error.message)
