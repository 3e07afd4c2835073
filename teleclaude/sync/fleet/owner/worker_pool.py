"""Threads that run requests of other computers: in order for each session, and a slow one delays few others.

A command is written into the journal before it runs and after it ended, so its id runs at most once, through crashes
too. Each that was taken, and each that was not, is told to the node as an event.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable

import msgspec

from teleclaude.core.errors import TeleclaudeError, Unavailable
from teleclaude.core.requests import Outcome, Request, failed
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.core.verbs import verb_name
from teleclaude.sync.fleet.node_effects import RunHere
from teleclaude.sync.fleet.node_events import RequestRan
from teleclaude.sync.fleet.owner.journal import Journal
from teleclaude.sync.fleet.wire.clock import now as clock

log = logging.getLogger(__name__)

LANES = 4
WAITING = 100  # requests in a lane


class WorkerPool:
    """A few lanes, each with a thread that starts with its first request. `ran` is called in it, and must be quick."""

    def __init__(
        self, journal: Journal, run_local: Callable[[Request], Outcome], ran: Callable[[RequestRan], None]
    ) -> None:
        self._journal = journal
        self._run_local = run_local
        self._ran = ran
        self._lanes: list[queue.Queue[RunHere | None]] = [queue.Queue(WAITING) for _ in range(LANES)]
        self._started: set[int] = set()
        self._threads = ThreadGroup()
        self._stopped = threading.Event()

    def take(self, work: RunHere) -> None:
        """Run a request after those that were given for the same lane; tell it at once when too many wait."""
        number = zlib.crc32(work.lane.encode("utf-8", "replace")) % LANES
        try:
            if self._stopped.is_set():
                raise queue.Full
            self._lanes[number].put_nowait(work)
        except queue.Full:
            request = work.request
            error = Unavailable(f"{request.computer} has too much to do; the command did not run")
            self._ran(RequestRan(failed(request.id, error), has_run=False))
            return
        if number not in self._started:
            self._started.add(number)
            self._threads.start(f"fleet-run-{number}", self._work, number)

    def stop(self) -> None:
        """Take no more; what waits does not run. Does not wait for the one that runs."""
        self._stopped.set()
        for number in self._started:
            lane = self._lanes[number]
            while not lane.empty():
                try:
                    lane.get_nowait()
                except queue.Empty:
                    break
            lane.put(None)

    def _work(self, number: int) -> None:
        while not self._stopped.is_set():
            work = self._lanes[number].get()
            if work is None:
                return
            self._ran(self._journaled(work) if work.journaled else self._run(work))

    def _journaled(self, work: RunHere) -> RequestRan:
        request = work.request
        try:
            known = self._journal.begin(request.id, request.origin, verb_name(request.args))
            if known is not None:
                return RequestRan(known, has_run=False)
            ran = self._run(work)
            self._journal.finish(ran.outcome)
        except sqlite3.Error as error:
            log.exception("the journal of commands cannot be written; nothing runs for other computers")
            reason = f"the journal of {request.computer} cannot be written: {error}"
            return RequestRan(failed(request.id, Unavailable(reason)), has_run=False)
        return ran

    def _run(self, work: RunHere) -> RequestRan:
        left = work.expires - clock()
        if left <= 0:
            late = Unavailable("its time was up before it could run; it did not run")
            return RequestRan(failed(work.request.id, late), has_run=False)
        request = msgspec.structs.replace(work.request, deadline=time.monotonic() + left)
        try:
            return RequestRan(self._run_local(request), has_run=True)
        except TeleclaudeError as error:
            return RequestRan(failed(request.id, error), has_run=True)
        except Exception:
            log.exception("a command of another computer failed")
            wrong = TeleclaudeError(f"the command failed on {request.computer}: see its log")
            return RequestRan(failed(request.id, wrong), has_run=True)
