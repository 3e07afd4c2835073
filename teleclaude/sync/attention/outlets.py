"""One way to tell a person, with a thread of its own: however long it hangs, it delays nobody else.

What waits is bounded: when there is no room the oldest is dropped, for the newest matters. What goes wrong is told
once, in the log and as the trouble of a service, until it goes well again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from teleclaude.core.text import one_line
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.attention.wording import Words

log = logging.getLogger(__name__)

WAITING = 16  # texts that wait for one outlet
COMPLAINT = 200  # characters of what a program complains


class NotDelivered(Exception):
    """Nobody was told; the text says why, in words without secrets."""


class Outlet:
    """Hands words to `deliver`, one after the other, in a thread that begins with the first of them.

    `deliver` raises NotDelivered; `on_change` is called when `trouble` is another, from that thread.
    """

    def __init__(
        self, name: str, deliver: Callable[[Words], None], threads: ThreadGroup, on_change: Callable[[], None]
    ) -> None:
        self.name, self.trouble = name, ""
        self._deliver, self._threads, self._on_change = deliver, threads, on_change
        self._waiting: deque[Words] = deque(maxlen=WAITING)
        self._wake = threading.Condition()
        self._has_begun = self._stopped = False

    def put(self, words: Words) -> None:
        """Have words told, soon. Never waits."""
        with self._wake:
            if self._stopped:
                return
            self._waiting.append(words)
            self._wake.notify()
            if not self._has_begun:
                self._has_begun = True
                self._threads.start(f"notify: {self.name}", self._run)

    def stop(self) -> None:
        """Tell nothing more; the thread ends as soon as it can."""
        with self._wake:
            self._stopped = True
            self._waiting.clear()
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopped or bool(self._waiting))
                if self._stopped:
                    return
                words = self._waiting.popleft()
            self._tell(words)

    def _tell(self, words: Words) -> None:
        try:
            self._deliver(words)
        except NotDelivered as error:
            self._note(str(error))
        except Exception as error:  # one fault of ours must not end what runs beside it
            log.exception("a notification could not be told")
            self._note(f"it failed in an unforeseen way: {type(error).__name__}")
        else:
            self._note("")

    def _note(self, trouble: str) -> None:
        if trouble == self.trouble:
            return
        self.trouble = trouble
        if trouble:
            log.warning("%s: %s", self.name, trouble)
        else:
            log.info("%s: works again", self.name)
        self._on_change()


def run_within(argv: Sequence[str], seconds: float, environ: Mapping[str, str], given: bytes = b"") -> str:
    """Run a program, and give what it printed. It and what it started is killed after `seconds`.

    Raises NotDelivered when it cannot be started, fails, or takes too long.
    """
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        source.write(given)
        source.seek(0)
        try:
            program = subprocess.Popen(
                argv, stdin=source, stdout=out, stderr=errors, env=dict(environ), start_new_session=True
            )
        except OSError as error:
            raise NotDelivered(f"{one_line(argv[0], 80)} cannot be run: {error.strerror}") from error
        try:
            status = program.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise NotDelivered(f"{one_line(argv[0], 80)} did not end within {seconds:.0f} s") from error
        finally:
            _end(program)
        if status:
            errors.seek(0)
            said = one_line(errors.read(4096).decode(errors="replace"), COMPLAINT)
            raise NotDelivered(f"{one_line(argv[0], 80)} ended with status {status}{f': {said}' if said else ''}")
        out.seek(0)
        return out.read(4096).decode(errors="replace")


def _end(program: subprocess.Popen[bytes]) -> None:
    """End a program that runs, with all of its group; its number is ours as long as it is not waited for."""
    if program.poll() is None:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
