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

import msgspec

from teleclaude.core.errors import SettingsError
from teleclaude.core.files import write_atomic
from teleclaude.core.lifeline import WorkerState
from teleclaude.core.paths import Places
from teleclaude.core.records import utc_text
from teleclaude.core.text import one_line
from teleclaude.daemon.crew import Crew, Order
from teleclaude.daemon.life import Action, Life, State
from teleclaude.daemon.notify import Notifier
from teleclaude.daemon.relay import Relay
from teleclaude.daemon.settings_in_force import Rules
from teleclaude.daemon.worker import Worker, how_it_ended

log = logging.getLogger(__name__)

WORKERS = ("cache", "sync", "web")
RELOADERS = ("sync", "web")  # take a SIGHUP as: read the settings again
RESTART_PATIENCE = 2.0  # seconds
_REASON_LIMIT = 300
_SHOWN = {State.ENDING: "stopping"}

Commands = Mapping[str, Sequence[str]]


def commands() -> Commands:
    """How each worker is started. `-P`: the folder that the user happens to be in is no place to import from."""
    return {name: (sys.executable, "-P", "-m", f"teleclaude.{name}") for name in WORKERS}


class Supervisor:
    """All of the supervisor but the folders, the lock and the log. `run` returns after an orderly stop."""

    def __init__(self, place: Places, rules: Rules, relay: Relay, how: Commands | None = None) -> None:
        self._place, self._rules = place, rules
        self._crew = Crew({name: Life() for name in WORKERS})
        self._workers = {name: Worker(name, command, relay.line) for name, command in (how or commands()).items()}
        self._notifier = Notifier(os.environ)
        self._selector = selectors.DefaultSelector()
        self._signals: set[int] = set()
        self._owed: set[str] = set()  # who gets a SIGHUP once ready
        self._announced = self._told_status = ""
        self._was_ready = False
        self._next_watchdog = 0.0
        self._since: dict[str, str] = {}
        self._terminal = _has_terminal()

    def run(self) -> None:
        """Start the workers and keep them until SIGTERM or SIGINT."""
        with _wake_up_pipe(self._signals) as wake_up:
            self._selector.register(wake_up, selectors.EVENT_READ, None)
            now = time.monotonic()
            self._obey(self._crew.start(now), now)
            while not self._crew.over:
                self._tell(now)
                self._wait(now)
                now = time.monotonic()
                self.step(now)
        self._selector.close()

    def step(self, now: float) -> None:
        """Take in all that happened, then do what is due. What is in the pipes is read before anybody is judged."""
        self._take_signals(now)
        for name, worker in self._workers.items():
            life = self._crew.lives[name]
            if life.alive and worker.pid:
                self._hear(worker, life, now)
        self._obey(self._crew.step(now), now)

    def _wait(self, now: float) -> None:
        """Sleep until something happens or is due."""
        due = self._crew.deadline(now)
        if self._notifier.watchdog_every is not None:
            due = min(due, self._next_watchdog)
        timeout = None if due == float("inf") else max(0.0, due - time.monotonic())
        for key, _ in self._selector.select(timeout):
            worker = key.data
            if worker is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)
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
            self._obey(self._crew.stop(now), now)
        elif signal.SIGHUP in signals and not self._crew.stopping:
            self._reload(now)

    def _hear(self, worker: Worker, life: Life, now: float) -> None:
        """Take in what a worker says, and whether it ended."""
        for word in worker.hear():
            if word == "ready":
                self._no_longer_awaited(worker, life)
                life.ready(now)
            elif word == "beat":
                life.beat(now)
        if worker.line_ended:
            self._unregister(worker.line_fd)  # or it would wake us for ever
        pid, code = worker.pid, self._reap(worker)
        if code is None:
            return
        if life.state is State.STOPPING:
            log.info("%s ended", worker.name)
        else:
            log.warning("%s (pid %d) %s", worker.name, pid, how_it_ended(code, ""))
        ended = one_line(how_it_ended(code, worker.last_line), _REASON_LIMIT)
        life.died(now, ended, killed=code == -signal.SIGKILL)
        if life.state is State.FATAL:
            log.error("%s is given up until SIGHUP or a restart: %s", worker.name, life.reason)

    def _no_longer_awaited(self, worker: Worker, life: Life) -> None:
        """Stop waking up for each beat: from now on the beats are read when the crew is looked after."""
        if life.state is State.STARTING:
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

    def _reload(self, now: float) -> None:
        """Take new settings, if they are right, and give workers that were given up a new try."""
        self._notifier.reloading()
        try:
            renamed = self._rules.reload()
        except SettingsError as error:
            log.error("the settings are wrong, the old ones stay in force: %s", error)  # noqa: TRY400  (the user's)
        else:
            log.info("the settings were read again")
            if renamed:  # the cache knows whose records are its own from its start only
                self._obey([("cache", act) for act in self._crew.lives["cache"].restart(now, RESTART_PATIENCE)], now)
            for name in RELOADERS:
                if self._crew.lives[name].state is State.RUNNING:
                    self._workers[name].signal(signal.SIGHUP)
                elif self._crew.lives[name].state is State.STARTING:
                    self._owed.add(name)  # its handler may not stand yet
        for life in self._crew.lives.values():
            life.revive(now)
        self._notifier.ready(self._crew.summary())

    def _tell(self, now: float) -> None:
        """Tell everybody who wants to know how things are, when that changed."""
        self._write_states()
        summary = self._crew.summary()
        if not self._was_ready and self._crew.settled:
            # A worker that was given up counts as settled: the rest serves, and says what is missing. A manager
            # that took us for not started would only repeat the same for ever.
            self._was_ready = True
            self._notifier.ready(summary)
        elif summary != self._told_status:
            self._notifier.status(summary)
        self._told_status = summary
        every = self._notifier.watchdog_every
        if every is not None and now >= self._next_watchdog:
            # The watchdog is about this loop and nothing else: workers are our own care, and a manager that
            # restarted us for one that is given up would do so for ever.
            self._notifier.watchdog()
            self._next_watchdog = now + every

    def _write_states(self) -> None:
        text = msgspec.json.encode(self._states())
        if text.decode() == self._announced:
            return
        try:
            write_atomic(self._place.workers_file, text, durable=False)
        except OSError as error:
            log.error("cannot write %s: %s", self._place.workers_file, error)  # noqa: TRY400  (a full disk)
            return
        self._announced = text.decode()

    def _states(self) -> dict[str, WorkerState]:
        own = "stopping" if self._crew.stopping else "running" if self._was_ready else "starting"
        states = {"supervisor": self._stated("supervisor", own, os.getpid(), 0, "")}
        for name, life in self._crew.lives.items():
            worker = self._workers[name]
            shown = _SHOWN.get(life.state, life.state.value)
            reason = life.reason or one_line(worker.status, _REASON_LIMIT)
            states[name] = self._stated(name, shown, worker.pid, max(0, life.starts - 1), reason)
        return states

    def _stated(self, name: str, state: str, pid: int, restarts: int, reason: str) -> WorkerState:
        key = f"{name} {state} {pid}"
        if key not in self._since:
            self._since = {k: v for k, v in self._since.items() if not k.startswith(f"{name} ")}
            self._since[key] = utc_text(time.time())
        return WorkerState(state=state, pid=pid, since=self._since[key], restarts=restarts, reason=reason)


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


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
