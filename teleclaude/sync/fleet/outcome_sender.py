"""Carries outcomes and screens to the cache, in a thread of its own: the cache may be slow, or away for a moment."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Protocol, TypeAlias

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.request_wire import WatchedFrame
from teleclaude.core.requests import Outcome
from teleclaude.core.thread_group import ThreadGroup

log = logging.getLogger(__name__)

WAITING = 4096
_Place: TypeAlias = tuple[str, str]


class OutcomeTaker(Protocol):
    """Takes how requests ended, and screens: the cache's client, and the queue before it."""

    def finish(self, outcome: Outcome) -> None:
        """Tell how a request ended. The cache's client raises Unavailable."""
        ...

    def emit(self, screen: WatchedFrame) -> None:
        """Show a watched screen. The cache's client raises Unavailable."""
        ...


class OutcomeSender:
    """A bounded queue before `taker`. What that does not take is dropped: who asked it is gone with it."""

    def __init__(self, taker: OutcomeTaker) -> None:
        self._taker = taker
        self._queue: queue.Queue[Outcome | _Place | None] = queue.Queue(WAITING)
        self._screens: dict[_Place, WatchedFrame] = {}  # the newest of each session that waits
        self._lock = threading.Lock()
        self._threads = ThreadGroup()
        self._threads.start("fleet-outcomes", self._run)

    def finish(self, outcome: Outcome) -> None:
        """Tell how a request ended. Never waits."""
        self._put(outcome)

    def emit(self, screen: WatchedFrame) -> None:
        """Show a watched screen, in place of one of its session that waits. Never waits."""
        place = (screen.computer, screen.session_id)
        with self._lock:
            is_queued = place in self._screens
            self._screens[place] = screen
        if not is_queued and not self._put(place):
            self._take(place)

    def stop(self, timeout: float) -> None:
        """Carry what waits, and end."""
        self._put(None)
        self._threads.join(timeout)

    def _put(self, item: Outcome | _Place | None) -> bool:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            log.warning("the cache does not take what it is told: dropped an outcome or a screen")
            return False
        return True

    def _take(self, place: _Place) -> WatchedFrame:
        with self._lock:
            return self._screens.pop(place)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                if isinstance(item, Outcome):
                    self._taker.finish(item)
                else:
                    self._taker.emit(self._take(item))
            except TeleclaudeError as error:
                log.info("the cache did not take what it was told: %s", error.message)
