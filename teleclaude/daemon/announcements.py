"""What the supervisor tells: the states of its workers in a file, and a line to the service manager."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from teleclaude.core.files import write_atomic
from teleclaude.core.lifeline import WorkerState
from teleclaude.core.records import utc_text
from teleclaude.core.text import one_line
from teleclaude.daemon.crew import Crew
from teleclaude.daemon.life import LifeState
from teleclaude.daemon.notify import SystemdNotifier
from teleclaude.daemon.worker import Worker

log = logging.getLogger(__name__)

REASON_LIMIT = 300
_SHOWN = {LifeState.ENDING: "stopping"}


class Announcements:
    """Tells everybody who wants to know how the crew is, when that changed."""

    def __init__(self, file: Path, notifier: SystemdNotifier) -> None:
        self._file, self._notifier = file, notifier
        self._announced = self._told_status = self._problem = ""
        self.was_ready = False
        """Whether every worker was once running, or given up."""
        self.next_watchdog = 0.0
        self._since: dict[str, str] = {}

    def tell(self, crew: Crew, workers: Mapping[str, Worker], now: float) -> None:
        """Tell what changed, and the watchdog that we are alive."""
        summary = crew.summary()
        if not self.was_ready and crew.settled:
            # A worker that was given up counts as settled: the rest serves, and says what is missing. A manager
            # that took us for not started would only repeat the same for ever.
            self.was_ready = True
            self._notifier.ready(summary)
        elif summary != self._told_status:
            self._notifier.status(summary)
        self._told_status = summary
        self._write(msgspec.json.encode(self._states(crew, workers)))
        every = self._notifier.watchdog_every
        if every is not None and now >= self.next_watchdog:
            # The watchdog is about this loop and nothing else: workers are our own care, and a manager that
            # restarted us for one that is given up would do so for ever.
            self._notifier.watchdog()
            self.next_watchdog = now + every

    def _write(self, text: bytes) -> None:
        if text.decode() == self._announced:
            return
        try:
            self._replace(text)
        except OSError as error:
            self._note(f"cannot write {self._file}: {error.strerror}")
            return
        self._note("")
        self._announced = text.decode()

    def _replace(self, text: bytes) -> None:
        """Write the file; in place where there is no room for a second one. Readers try again what makes no sense."""
        try:
            write_atomic(self._file, text, durable=False)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            fd = os.open(self._file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(fd, "wb", buffering=0) as file:
                file.write(text)
                file.truncate()

    def _note(self, problem: str) -> None:
        """Log a problem once, not at each try."""
        if problem and problem != self._problem:
            log.error("%s", problem)
        self._problem = problem

    def _states(self, crew: Crew, workers: Mapping[str, Worker]) -> dict[str, WorkerState]:
        own = "stopping" if crew.stopping else "running" if self.was_ready else "starting"
        states = {"supervisor": self._stated("supervisor", own, os.getpid(), 0, "")}
        for name, life in crew.lives.items():
            shown = _SHOWN.get(life.state, life.state.value)
            reason = life.reason or one_line(workers[name].status, REASON_LIMIT)
            states[name] = self._stated(name, shown, workers[name].pid, max(0, life.starts - 1), reason)
        return states

    def _stated(self, name: str, state: str, pid: int, restarts: int, reason: str) -> WorkerState:
        key = f"{name} {state} {pid}"
        if key not in self._since:
            self._since = {k: v for k, v in self._since.items() if not k.startswith(f"{name} ")}
            self._since[key] = utc_text(time.time())
        return WorkerState(state=state, pid=pid, since=self._since[key], restarts=restarts, reason=reason)
