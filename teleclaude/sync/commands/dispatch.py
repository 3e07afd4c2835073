"""The lane from the cache: requests to run here or to hand on, and who is interested in what.

One thread asks the cache for work; requests for this computer run in a few more, so that a slow one delays none but
those that come when all are busy. A cache that is away is asked again with growing pauses.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Protocol

from teleclaude.cache.wire import Work
from teleclaude.core.backoff import Backoff
from teleclaude.core.errors import TeleclaudeError, Unavailable
from teleclaude.core.records import Kind
from teleclaude.core.requests import Outcome, Request

log = logging.getLogger(__name__)

ASK_FOR = 20.0  # seconds that one question may wait in the cache
THREADS = 8
_UNKNOWN = -1  # a version that no cache has, so that it tells its interest at once


class Door(Protocol):
    """What the lane needs of the cache."""

    def work(self, interest_version: int, timeout: float, numbers: dict[str, int] | None = None) -> Work:
        """Wait for work; raises Unavailable."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """Tell how a request ended; raises Unavailable."""
        ...


class Lane:
    """Asks for work and deals it out. `run` runs a request for this computer, and gives None when somebody else
    will tell how it ended; the rest is assigned.
    """

    def __init__(self, door: Door, run: Callable[[Request], Outcome | None]) -> None:
        self._door, self._run_request = door, run
        self._stopped = threading.Event()
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self.is_ours: Callable[[Request], bool] = lambda _: True
        self.hand_on: Callable[[Request], None] = lambda _: None  # a request for another computer
        self.on_epoch: Callable[[str], None] = lambda _: None
        self.on_interest: Callable[[dict[str, list[Kind]]], None] = lambda _: None
        self.numbers: Callable[[], dict[str, int]] = dict  # for the metrics, told with each question

    def start(self) -> None:
        """Begin, in threads that end with the process."""
        threading.Thread(target=self.run, name="lane", daemon=True).start()
        for number in range(THREADS):
            threading.Thread(target=self._serve, name=f"command {number}", daemon=True).start()

    def stop(self) -> None:
        """Take no more requests."""
        self._stopped.set()

    def run(self) -> None:
        """Ask for work until stopped."""
        backoff = Backoff(0.05, 1.0)
        epoch, version = "", _UNKNOWN
        while not self._stopped.is_set():
            try:
                work = self._door.work(version, ASK_FOR, self.numbers())
                backoff.reset()
            except TeleclaudeError as error:
                level = logging.DEBUG if isinstance(error, Unavailable) else logging.ERROR
                log.log(level, "the cache gives no work: %s", error.message)
                epoch, version = "", _UNKNOWN
                self._stopped.wait(backoff.next())
                continue
            is_new = work.epoch != epoch
            epoch = work.epoch
            # A new cache counts its interest from the start: the same number may mean another interest.
            version = _UNKNOWN if is_new and work.interest is None else work.interest_version
            self._deal_out(work)

    def _deal_out(self, work: Work) -> None:
        try:
            self.on_epoch(work.epoch)
            if work.interest is not None:
                self.on_interest(work.interest)
        except Exception:  # commands must go on, whatever interest brought about
            log.exception("a change of interest failed")
        for request in work.requests:
            (self._waiting.put if self.is_ours(request) else self.hand_on)(request)

    def finish(self, outcome: Outcome) -> None:
        """Tell the cache how a request ended. When it is away, so is whoever asked through it."""
        try:
            self._door.finish(outcome)
        except TeleclaudeError as error:
            log.info("nobody was told how request %s ended: %s", outcome.id, error.message)

    def _serve(self) -> None:
        while True:
            outcome = self._run_request(self._waiting.get())
            if outcome:
                self.finish(outcome)
