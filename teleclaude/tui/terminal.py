"""The terminal: raw keys in, bytes out, its size, and signals as bytes in a pipe.

Everything is put back as it was, whatever happens in between. While another job of the shell has the terminal, this
program does not touch it: like any other it is stopped by the kernel until the shell brings it to the foreground.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import termios
from collections.abc import Callable, Iterator

from teleclaude.tui.screen import ENTER, LEAVE

_WATCHED = (
    signal.SIGWINCH,
    signal.SIGCHLD,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGTSTP,
    signal.SIGCONT,
)
_CHUNK = 64 * 1024


class Terminal:
    """The terminal on `fd_in` and `fd_out`."""

    def __init__(self, fd_in: int = 0, fd_out: int = 1) -> None:
        """Raises termios.error where there is no terminal."""
        self._in, self._out = fd_in, fd_out
        self._before = termios.tcgetattr(fd_in)
        self._is_taken = False
        self.signals, self._signal_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @contextlib.contextmanager
    def watching_signals(self) -> Iterator[None]:
        """Have signals written as bytes to `signals`, so that the loop wakes; nothing runs inside of a handler."""
        old_fd = signal.set_wakeup_fd(self._signal_in, warn_on_full_buffer=False)
        old = {number: signal.signal(number, _only_wake) for number in _WATCHED}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(old_fd)

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Keys come one by one, unechoed, ^C and ^S as well; the screen is ours."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Take the terminal, as soon as it is this job's. Raises termios.error when it has gone."""
        _uninterrupted(lambda: termios.tcflow(self._in, termios.TCOON))  # stops this job while it is in the background
        mode = termios.tcgetattr(self._in)
        if not self._is_taken:  # while it is in the background, what the shell has set for itself would be seen
            self._before = termios.tcgetattr(self._in)
        mode[0] &= ~(termios.IXON | termios.ICRNL | termios.INLCR | termios.BRKINT | termios.ISTRIP)
        mode[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        _uninterrupted(lambda: termios.tcsetattr(self._in, termios.TCSADRAIN, mode))
        self._is_taken = True
        self.write(ENTER.encode())

    def leave(self) -> None:
        """Give the terminal back as it was. Safe when it has gone, or is another job's by now."""
        if not self._is_taken or self._is_others():
            return
        self._is_taken = False
        with contextlib.suppress(OSError, termios.error):
            self.write(LEAVE.encode())
            _uninterrupted(lambda: termios.tcsetattr(self._in, termios.TCSADRAIN, self._before))

    def stop(self) -> None:
        """Stop this job as the terminal's own ^Z does; returns when the shell has continued it."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            os.killpg(0, signal.SIGTSTP)
        finally:
            signal.signal(signal.SIGTSTP, _only_wake)

    def _is_others(self) -> bool:
        try:
            return os.tcgetpgrp(self._in) != os.getpgrp()
        except OSError:  # it controls no session of ours: nobody else's job can have it
            return False

    def name(self) -> str:
        """Path of the terminal; empty when it has none."""
        try:
            return os.ttyname(self._in)
        except OSError:
            return ""

    def size(self) -> tuple[int, int]:
        """(lines, columns)."""
        try:
            columns, lines = os.get_terminal_size(self._out)
        except OSError:
            return 24, 80
        return (lines, columns) if lines and columns else (24, 80)

    def read(self) -> bytes:
        """Read what was typed; empty when the terminal has gone."""
        try:
            return os.read(self._in, _CHUNK)
        except OSError:
            return b""

    def read_signals(self) -> bytes:
        """Numbers of the signals that came since."""
        try:
            return os.read(self.signals, 4096)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        """Write all of it. Raises OSError when the terminal has gone."""
        while data:
            data = data[os.write(self._out, data) :]

    def fileno(self) -> int:
        """File descriptor on which keys come."""
        return self._in


def _only_wake(*_: object) -> None:
    """Handle a signal by its byte in the pipe alone."""


def _uninterrupted(act: Callable[[], None]) -> None:
    """Act on the terminal again when a signal came in between: termios, unlike os, does not do so itself."""
    while True:
        try:
            act()
        except termios.error as error:
            if error.args[0] != errno.EINTR:
                raise
        else:
            return
