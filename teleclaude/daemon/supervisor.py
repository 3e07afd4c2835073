"""The supervisor: keeps the three workers alive, and ends them in order.

The shell around `crew`: it waits for signals and pipes, tells the crew what happened, and does what the crew says.
Signal handlers set flags; `step` does one step. It never sleeps but in the selector, and never longer or shorter than
the next deadline, so there is nothing here that could spin.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

from teleclaude.core.errors import SettingsError
from teleclaude.core.paths import Places
from teleclaude.core.text import one_line
from teleclaude.daemon.announcements import REASON_LIMIT, Announcements
from teleclaude.daemon.crew import Crew, Order
from teleclaude.daemon.life import Action, Life, LifeState
from teleclaude.daemon.lock import Lock
from teleclaude.daemon.main_socket import MainSocket
from teleclaude.daemon.notify import SystemdNotifier
from teleclaude.daemon.relay import Relay
from teleclaude.daemon.reload import Reload
from teleclaude.daemon.settings_in_force import SettingsInForce
from teleclaude.daemon.worker import Worker, how_it_ended

log = logging.getLogger(__name__)

WORKERS = ("cache", "sync", "web")
RELOADERS = ("sync", "web")  # take a SIGHUP as: read the settings again
_LISTEN_EVERY = 0.02  # seconds, while a reload is under way

Commands = Mapping[str, Sequence[str]]


def commands() -> Commands:
    """How each worker is started. `-P`: the folder that the user happens to be in is no place to import from."""
    return {name: (sys.executable, "-P", "-m", f"teleclaude.{name}") for name in WORKERS}


class Ended(Enum):
    """Why `run` returned. After RENAMED and LOST all is to be begun anew."""

    STOPPED = auto()
    RENAMED = auto()
    LOST = auto()


class Ground(NamedTuple):
    """What makes this process the daemon here: its places, the lock and the socket in them."""

    place: Places
    lock: Lock
    main: MainSocket

    def stands(self) -> bool:
        """Whether it is all still there, so that nobody else can become the daemon here too."""
        return self.lock.is_in_place() and self.main.is_in_place()


class Supervisor:
    """All of the supervisor but the folders, the lock and the log. `run` returns after an orderly stop."""

    def __init__(self, settings: SettingsInForce, ground: Ground, relay: Relay, how: Commands | None = None) -> None:
        self._settings, self._ground, self._main = settings, ground, ground.main
        self._crew = Crew({name: Life() for name in WORKERS})
        self._workers = {name: Worker(name, command, relay.line) for name, command in (how or commands()).items()}
        self._notifier = SystemdNotifier(os.environ)
        self._selector = selectors.DefaultSelector()
        self._signals: set[int] = set()
        self._owed: set[str] = set()  # who gets a SIGHUP once ready
        self._announcements = Announcements(ground.place.workers_file, self._notifier)
        self._reloading: Reload | None = None
        self._ended = Ended.STOPPED
        self._terminal = _has_terminal()

    def run(self) -> Ended:
        """Start the workers and keep them until SIGTERM or SIGINT, or until all has to be begun anew; tells which."""
        with _wake_up_pipe(self._signals) as wake_up:
            self._selector.register(wake_up, selectors.EVENT_READ, None)
            self._selector.register(self._main, selectors.EVENT_READ, self._main)
            now = time.monotonic()
            self._obey(self._crew.start(now), now)
            while not self._crew.over:
                self._tell(now)
                self._wait()
                now = time.monotonic()
                self.step(now)
        self._selector.close()
        return self._ended

    def step(self, now: float) -> None:
        """Take in all that happened, then do what is due. What is in the pipes is read before anybody is judged."""
        self._take_signals(now)
        if not self._crew.stopping and not self._ground.stands():
            log.error("%s was removed: all is stopped, and begun anew", self._ground.place.runtime)
            self._end(Ended.LOST, now)
        for name, worker in self._workers.items():
            life = self._crew.lives[name]
            if life.alive and worker.pid:
                self._hear(worker, life, now)
        self._obey(self._crew.step(now), now)
        self._look_at_reload(now)

    def _tell(self, now: float) -> None:
        was_ready = self._announcements.was_ready
        if self._ended is not Ended.LOST:  # else the file is another daemon's by now
            self._announcements.tell(self._crew, self._workers, now)
        if self._announcements.was_ready and not was_ready:  # who waits now waited for a new beginning
            self._main.answer(f"has begun anew: {self._crew.summary()}", ok=self._crew.working)

    def _wait(self) -> None:
        """Sleep until something happens or is due."""
        due = self._crew.deadline
        if self._notifier.watchdog_every is not None:
            due = min(due, self._announcements.next_watchdog)
        if self._reloading is not None:
            due = min(due, time.monotonic() + _LISTEN_EVERY)
        timeout = None if due == float("inf") else max(0.0, due - time.monotonic())
        for key, _ in self._selector.select(timeout):
            worker = key.data
            if worker is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)
            elif worker is self._main:
                self._main.take_in()
            elif worker.pid and key.fd == worker.log_fd and not worker.relay_log():
                self._selector.unregister(key.fd)

    def _take_signals(self, now: float) -> None:
        signals = set(self._signals)
        self._signals -= signals
        if signal.SIGHUP in signals and self._terminal and not _has_terminal():
            signals = signals - {signal.SIGHUP} | {signal.SIGTERM}  # the terminal that we ran in was closed
        if signals & {signal.SIGTERM, signal.SIGINT} and not self._crew.stopping:
            log.info("stopping")
            self._notifier.stopping()
            self._end(Ended.STOPPED, now)
        elif signals & {signal.SIGTERM, signal.SIGINT}:
            self._ended = Ended.STOPPED  # not anew, then
        elif signal.SIGHUP in signals and not self._crew.stopping:
            self._begin_reload(now)

    def _hear(self, worker: Worker, life: Life, now: float) -> None:
        """Take in what a worker says, and whether it ended."""
        for word, text in worker.hear():
            if word == "ready":
                self._no_longer_awaited(worker, life)
                life.ready(now)
            elif word == "beat":
                life.beat(_said_at(text, now))
            elif word == "taken" and self._reloading:
                self._reloading.taken(worker.name, text)
        if worker.line_ended:
            self._unregister(worker.line_fd)  # or it would wake us for ever
        pid, code = worker.pid, self._reap(worker)
        if code is None:
            return
        if self._reloading:
            self._reloading.ended(worker.name)
        if life.state is LifeState.STOPPING:
            log.info("%s ended", worker.name)
        else:
            log.warning("%s (pid %d) %s", worker.name, pid, how_it_ended(code, ""))
        ended = one_line(how_it_ended(code, worker.last_line), REASON_LIMIT)
        life.died(now, ended, killed=code == -signal.SIGKILL)
        if life.state is LifeState.FATAL:
            log.error("%s is given up until SIGHUP or a restart: %s", worker.name, life.reason)

    def _no_longer_awaited(self, worker: Worker, life: Life) -> None:
        """Stop waking up for each beat: from now on the beats are read when the crew is looked after."""
        if life.state is LifeState.STARTING:
            log.info("%s is ready (pid %d)", worker.name, worker.pid)
            self._unregister(worker.line_fd)
            if worker.name in self._owed:  # it may have read the settings just before they changed
                worker.signal(signal.SIGHUP)
        self._owed.discard(worker.name)

    def _reap(self, worker: Worker) -> int | None:
        fds = (worker.line_fd, worker.log_fd)
        code = worker.reap()
        if code is not None:
            for fd in fds:
                self._unregister(fd)
        return code

    def _unregister(self, fd: int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)

    def _obey(self, orders: list[Order], now: float) -> None:
        for name, action in orders:
            worker = self._workers[name]
            if action is Action.START:
                self._start(worker, now)
            elif action is Action.TERMINATE:
                worker.signal(signal.SIGTERM)
            else:
                log.warning(
                    "%s (pid %d) is killed: %s", name, worker.pid, self._crew.lives[name].reason or "did not end"
                )
                worker.signal(signal.SIGKILL)

    def _start(self, worker: Worker, now: float) -> None:
        try:
            worker.start(os.environ)
        except OSError as error:
            log.error("%s cannot be started: %s", worker.name, error)  # noqa: TRY400  (no bug of ours to trace)
            self._crew.lives[worker.name].died(now, f"cannot be started: {error.strerror}")
            return
        self._selector.register(worker.line_fd, selectors.EVENT_READ, worker)
        self._selector.register(worker.log_fd, selectors.EVENT_READ, worker)

    def _begin_reload(self, now: float) -> None:
        """Take new settings, if they are right, and give workers that were given up a new try."""
        self._notifier.reloading()
        try:
            is_renamed = self._settings.reload()
        except SettingsError as error:
            log.error("the settings are wrong, the old ones stay in force: %s", error)  # noqa: TRY400  (the user's)
            self._finish_reload([f"the settings are wrong, the old ones stay in force: {error}"])
        else:
            log.info("the settings were read again")
            if is_renamed:
                # Who this computer is stands in each process, and in each record: none may outlive the others.
                self._end(Ended.RENAMED, now)
                return
            self._reloading = Reload(self._told_to_reload(), now)
        for life in self._crew.lives.values():
            life.revive(now)

    def _told_to_reload(self) -> list[str]:
        """Tell the workers that take settings while they run; gives who shall say so."""
        states = {name: self._crew.lives[name].state for name in RELOADERS}
        for name, state in states.items():
            if state is LifeState.RUNNING:
                self._workers[name].signal(signal.SIGHUP)
            elif state is LifeState.STARTING:
                self._owed.add(name)  # its handler may not stand yet
        return [name for name, state in states.items() if state in {LifeState.RUNNING, LifeState.STARTING}]

    def _look_at_reload(self, now: float) -> None:
        problems = self._reloading.outcome(now) if self._reloading else None
        if problems is not None:
            self._reloading = None
            self._finish_reload(problems)

    def _finish_reload(self, problems: list[str]) -> None:
        self._notifier.ready(self._crew.summary())
        self._main.answer("; ".join(problems) or "has taken its settings anew", ok=not problems)

    def _end(self, why: Ended, now: float) -> None:
        self._ended = why
        self._obey(self._crew.stop(now), now)


class _wake_up_pipe:  # noqa: N801  (a context manager)
    """Signals set flags in `signals`, and wake the selector through a pipe."""

    HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

    def __init__(self, signals: set[int]) -> None:
        self._flags = signals

    def __enter__(self) -> int:
        self._read, self._write = os.pipe()
        for fd in (self._read, self._write):
            os.set_blocking(fd, False)
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, lambda n, _: self._flags.add(n)) for number in self.HANDLED}
        return self._read

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._read)
        os.close(self._write)


def _said_at(text: str, now: float) -> float:
    """When a beat was said: not in the future, and now where it does not tell."""
    try:
        return min(now, float(text))
    except ValueError:
        return now


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
