"""Deals out what the web process asks for: requests to run here or to hand on, and what its clients look at.

Requests for this computer run in a few threads, so that a slow one delays none but those that come when all are busy.
A request is told as taken before it runs or is handed on, and does neither when it could not be told.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from pathlib import Path

from teleclaude.core.errors import Unavailable
from teleclaude.core.records import Kind
from teleclaude.core.request_wire import (
    AskCountersFrame,
    CountersFrame,
    InterestFrame,
    OutcomeFrame,
    RunFrame,
    TakenFrame,
    ToAsker,
    WatchedFrame,
    WatchFrame,
)
from teleclaude.core.requests import Outcome, Request, failed
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.commands.web_link import WebLink

log = logging.getLogger(__name__)

THREADS = 8


class Dispatch:
    """Takes requests from the web process at `path`; `run_id` names this run of the sync process.

    `run` runs a request for this computer, and gives None when somebody else will tell how it ended; `hand_on` takes
    one that is not `is_ours`; `take_interest` gets all that clients look at, `take_watched` all that they watch, as
    (computer, id); `counters` gives numbers for the metrics.
    All of them are called from threads of this class.
    """

    def __init__(
        self,
        path: Path,
        run_id: str,
        *,
        is_ours: Callable[[Request], bool],
        run: Callable[[Request], Outcome | None],
        hand_on: Callable[[Request], None],
        take_interest: Callable[[dict[str, list[Kind]]], None],
        take_watched: Callable[[frozenset[tuple[str, str]]], None],
        counters: Callable[[], dict[str, int]],
    ) -> None:
        self._is_ours, self._run_request, self._hand_on = is_ours, run, hand_on
        self._take_interest, self._take_watched, self._counters = take_interest, take_watched, counters
        self._link = WebLink(path, run_id, self._receive, self._lost)
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()

    def start(self, threads: ThreadGroup) -> None:
        """Begin."""
        threads.start("requests", self._link.run)
        for number in range(THREADS):
            threads.start(f"command {number}", self._serve)

    def stop(self) -> None:
        """Take no more requests."""
        self._link.stop()

    def finish(self, outcome: Outcome) -> None:
        """Tell how a request ended. Where the web process is gone, so is whoever asked through it."""
        try:
            self._link.send(OutcomeFrame(outcome))
        except Unavailable as error:
            log.info("nobody was told how request %s ended: %s", outcome.id, error.message)

    def emit(self, screen: WatchedFrame) -> None:
        """Show a screen to those clients here who watch it, if there is a web process."""
        try:
            self._link.send(screen)
        except Unavailable as error:
            log.debug("nobody is shown a screen: %s", error.message)

    def _receive(self, frame: ToAsker) -> None:
        match frame:
            case RunFrame():
                self._take(frame.request)
            case InterestFrame():
                self._take_interest(frame.interest)
            case WatchFrame():
                self._take_watched(frozenset(frame.watched))
            case AskCountersFrame():
                self._link.send(CountersFrame(self._counters()))

    def _take(self, request: Request) -> None:
        if request.deadline <= time.monotonic():
            self.finish(failed(request.id, Unavailable("the command came too late; it did not run")))
            return
        try:
            self._link.send(TakenFrame(request.id))
        except Unavailable:
            log.info("request %s is left to the next that asks", request.id)
            return
        (self._waiting.put if self._is_ours(request) else self._hand_on)(request)

    def _lost(self) -> None:
        """Take note that the web process is gone, and with it all that its clients looked at and watched."""
        self._take_interest({})
        self._take_watched(frozenset())

    def _serve(self) -> None:
        while True:
            outcome = self._run_request(self._waiting.get())
            if outcome:
                self.finish(outcome)
