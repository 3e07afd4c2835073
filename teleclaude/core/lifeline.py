"""The line between the supervisor and a worker.

The supervisor starts a worker with one end of a socket pair, its number in `TELECLAUDE_LIFELINE`. The worker writes
lines: `ready`, `beat SECONDS`, `status TEXT`, and after SIGHUP `taken PROBLEM`. When the line ends, the supervisor is
gone and the worker ends itself; on Linux the kernel sees to that even for a worker that is stopped.

Who beats proves that it works: call `beat` from the loop that does the work, never from a side thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

import msgspec

VARIABLE = "TELECLAUDE_LIFELINE"
BEAT_EVERY = 1.0  # seconds; each wake costs a process some half a millisecond of a machine at rest
_PR_SET_PDEATHSIG = 1


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor knows of a worker; `workers_file` holds a JSON object of these by worker name."""

    state: str  # starting, running, backoff, fatal, stopping, stopped
    pid: int = 0
    since: str = ""
    restarts: int = 0
    reason: str = ""


class Lifeline:
    """The worker's end. Without a supervisor (started by hand) it does nothing."""

    def __init__(self, line: socket.socket | None) -> None:
        self._line = line
        if line is not None:
            line.setblocking(False)

    @classmethod
    def from_environment(cls) -> Lifeline:
        """Take the end that the supervisor passed, and end with the supervisor."""
        number = os.environ.pop(VARIABLE, "")
        if not number:
            return cls(None)
        line = socket.socket(fileno=int(number))
        line.set_inheritable(False)
        _die_with_parent()
        return cls(line)

    def fileno(self) -> int | None:
        """File descriptor that becomes readable (end of file) when the supervisor is gone, or None."""
        return None if self._line is None else self._line.fileno()

    def ready(self) -> None:
        """Say that this worker does its work now."""
        self._say("ready")

    def beat(self) -> None:
        """Say that this worker is alive; at least every `BEAT_EVERY` seconds.

        It says when, on the clock that all processes share: so the supervisor need not be there to hear it.
        """
        self._say(f"beat {time.monotonic():.3f}")

    def settings_taken(self, problem: str = "") -> None:
        """Say that the settings, read again, are in force here; `problem`: what of them could not be done."""
        self._say("taken " + " ".join(problem.split()))

    def status(self, text: str) -> None:
        """Say in a few words what this worker is doing."""
        self._say("status " + " ".join(text.split()))

    def _say(self, line: str) -> None:
        if self._line is not None:
            # A full line means that the supervisor is stopped; a broken one, that it is gone, and `watch` acts on it.
            with contextlib.suppress(BlockingIOError, OSError):
                self._line.send(line.encode() + b"\n")

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call `on_gone` from a thread of its own once the supervisor is gone."""
        if self._line is not None:
            from teleclaude.core.thread_group import ThreadGroup  # not for those who only read what a state is

            ThreadGroup().start("lifeline", self._wait, on_gone)

    def _wait(self, on_gone: Callable[[], None]) -> None:
        import select  # noqa: PLC0415  (not in the web process, which waits with gevent)

        assert self._line is not None  # noqa: S101  (watch checked it)
        select.select([self._line], [], [])
        on_gone()


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, so that a stopped worker does not outlive it."""
    import ctypes  # not needed by those who only read what a worker's state is

    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
