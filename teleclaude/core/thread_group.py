"""Threads that cannot die unseen: one that ends by an exception ends its process, and the supervisor brings it back.

A process whose writer is dead and whose main loop beats on looks well and does nothing. So each thread that is to live
as long as its process, or as long as a part of it that others rely on, is started by a group. It may return, once it
was told to; what it raises is logged, and is the end of the process.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator

from teleclaude.core.errors import TeleclaudeError

log = logging.getLogger(__name__)

EXIT_STATUS = 70  # EX_SOFTWARE, sysexits.h


def end_process(name: str, error: BaseException) -> None:
    """Log that `name` failed, and end the process at once: orderly ends wait for threads, which may wait for others.

    What went wrong is the last line of the log, for that is what the supervisor tells.
    """
    try:
        if isinstance(error, TeleclaudeError):
            log.critical("%s failed: %s", name, error)
        else:
            log.critical("%s failed", name, exc_info=error)
            log.critical("%s failed: %s: %s", name, type(error).__name__, error)
        logging.shutdown()
    finally:
        os._exit(EXIT_STATUS)


End = Callable[[str, BaseException], None]


@contextlib.contextmanager
def fatal(name: str, end: End = end_process) -> Iterator[None]:
    """Let no exception out of this block: it ends the process, with `name` in the log. SystemExit is one, too."""
    try:
        yield
    except BaseException as error:  # noqa: BLE001  (it is not swallowed: the process ends by it)
        end(name, error)


class ThreadGroup:
    """Starts threads, and waits for them. `end` is called with a thread's name and what it raised."""

    def __init__(self, end: End = end_process) -> None:
        self._end = end
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[..., object], *args: object) -> threading.Thread:
        """Run `work(*args)` in a thread of its own, called `name`. Raises RuntimeError when there can be no more."""
        thread = threading.Thread(target=self._run, args=(name, work, args), name=name, daemon=True)
        thread.start()
        self._threads = [*(other for other in self._threads if other.is_alive()), thread]
        return thread

    def join(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds, in all, until every thread returned. False when one did not."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, name: str, work: Callable[..., object], args: tuple[object, ...]) -> None:
        with fatal(f"the thread {name!r}", self._end):
            work(*args)
