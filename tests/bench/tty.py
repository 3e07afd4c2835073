"""A program on a raw pty, read as bytes as they come: an emulator would cost more than what is measured."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Mapping, Sequence

from tests.bench import cores

PAINTED = b"\x1b[?2026l"  # the end of a synchronised update
_CURSOR = re.compile(rb"\x1b\[6n")
_MODE = re.compile(rb"\x1b\[\?(\d+)\$p")
_ATTRIBUTES = re.compile(rb"\x1b\[>?0?c")


class Tty:
    """Runs `argv` on a pty. `began`: monotonic time just before it was started."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], rows: int = 40, columns: int = 120) -> None:
        self.began = time.monotonic()
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvpe(argv[0], list(argv), {**environ, "TERM": "xterm-256color"})
        self._seen = b""

    def send(self, keys: bytes) -> None:
        """Type."""
        os.write(self._fd, keys)

    def until(self, mark: bytes, timeout: float = 20.0) -> float:
        """Read until `mark` has come; the monotonic time at which it had. What came up to it is forgotten."""
        deadline = time.monotonic() + timeout
        while mark not in self._seen:
            if not select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"{mark!r} did not come; the last bytes: {self._seen[-500:]!r}")
            self._take()
        at = time.monotonic()
        self._seen = self._seen[self._seen.index(mark) + len(mark) :]
        return at

    def quiet(self, seconds: float) -> bytes:
        """Read until nothing came for `seconds`; what came is given, and forgotten."""
        while select.select([self._fd], [], [], seconds)[0]:
            self._take()
        seen, self._seen = self._seen, b""
        return seen

    def _take(self) -> None:
        data = os.read(self._fd, 1 << 16)
        self._seen += data
        for _ in _CURSOR.findall(data):
            self.send(b"\x1b[1;1R")
        for mode in _MODE.findall(data):
            self.send(b"\x1b[?%b;2$y" % mode)
        for _ in _ATTRIBUTES.findall(data):
            self.send(b"\x1b[?62;c")

    def cpu_seconds(self) -> float:
        """CPU time that the program has used so far."""
        return cores.cpu_seconds(self._pid)

    def close(self) -> None:
        """End the program."""
        os.close(self._fd)  # a hang-up
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            if os.waitpid(self._pid, os.WNOHANG)[0]:
                return
            time.sleep(0.01)
        os.kill(self._pid, 9)
        os.waitpid(self._pid, 0)
