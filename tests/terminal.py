"""A terminal for tests: a program on a pty, its screen kept by pyte, its questions answered as a terminal would."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence

import pyte

from tests.wait import until

_CURSOR = re.compile(rb"\x1b\[6n")
_MODE = re.compile(rb"\x1b\[\?(\d+)\$p")
_ATTRIBUTES = re.compile(rb"\x1b\[>?0?c")
_DCS = re.compile(rb"\x1bP.*?\x1b\\", re.DOTALL)
_PRIVATE = re.compile(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]")  # keyboard protocol and the like, which pyte would print

# A session of its own with the pty as its controlling terminal, so that ^C and /dev/tty work; then the program.
_OWN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """Runs `argv` on a pty of `rows` by `columns`."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], rows: int = 35, columns: int = 120) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.raw = bytearray()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = {**environ, "TERM": "xterm-256color"}
        env.pop("TMUX", None)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _OWN_TERMINAL, *argv], stdin=slave, stdout=slave, stderr=slave, env=env
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        pending = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end open any more
            while data := os.read(self._master, 65536):
                self.raw += data
                self._answer(data)
                pending = _DCS.sub(b"", pending + data)
                cut = pending.rfind(b"\x1b", max(0, len(pending) - 64))
                cut = len(pending) if cut < 0 or _is_whole(pending[cut:]) else cut
                with self._lock:
                    self._stream.feed(_PRIVATE.sub(b"", pending[:cut]))
                pending = pending[cut:]

    def _answer(self, data: bytes) -> None:
        for _ in _CURSOR.findall(data):
            self.send(b"\x1b[1;1R")
        for mode in _MODE.findall(data):
            self.send(b"\x1b[?%b;2$y" % mode)
        for _ in _ATTRIBUTES.findall(data):
            self.send(b"\x1b[?62;c")

    def send(self, keys: str | bytes) -> None:
        """Type keys."""
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def lines(self) -> list[str]:
        """The screen as text, without blanks at the ends."""
        with self._lock:
            return [line.rstrip() for line in self.screen.display]

    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines())

    def selected(self) -> str:
        """The row that is highlighted as the selected one; empty when none is."""
        with self._lock:
            for number, line in enumerate(self.screen.display):
                if self.screen.buffer[number][1].bg != "default":
                    return line.rstrip()
        return ""

    def wait_for(self, text: str, timeout: float = 20.0) -> None:
        """Wait until `text` is on the screen."""
        self._wait(lambda: text in self.text(), f"{text!r} did not appear", timeout)

    def wait_gone(self, text: str, timeout: float = 20.0) -> None:
        """Wait until `text` is not on the screen any more."""
        self._wait(lambda: text not in self.text(), f"{text!r} did not go", timeout)

    def _wait(self, condition: object, what: str, timeout: float) -> None:
        try:
            until(condition, timeout)  # type: ignore[arg-type]  # a callable, typed loosely for the two callers
        except AssertionError:
            raise AssertionError(f"{what}; the screen:\n{self.text()}") from None

    def resize(self, rows: int, columns: int) -> None:
        """Change the size, and tell the program."""
        with self._lock:
            self.screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGWINCH)

    def close(self) -> None:
        """End the program and the terminal."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(2)
        os.close(self._master)


def _is_whole(sequence: bytes) -> bool:
    """Tell whether an escape sequence at the end of what was read is complete."""
    return re.fullmatch(rb"\x1b(\[[0-?]*[ -/]*[@-~]|[^\[P\]].*|\].*(\x07|\x1b\\)).*", sequence, re.DOTALL) is not None
