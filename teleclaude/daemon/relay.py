"""The daemon's log: lines of the workers and our own go to standard error; a log file stays below a size.

Nobody waits for the log: lines that standard error cannot take at once (a terminal that is held with Ctrl-S) are
dropped and counted, for a supervisor that waits can look after nobody.
"""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path

FILE_LIMIT = 4 * 1024 * 1024  # bytes; then the file becomes `.1` and a new one begins


class Relay:
    """Writes lines to `fd`. `file`: the file behind it, where it is one that we keep small."""

    def __init__(self, fd: int = 2, file: Path | None = None, limit: int = FILE_LIMIT) -> None:
        self._fd, self._file, self._limit = fd, file, limit
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._dropped = 0
        self._written = _size(fd) if file else 0

    def line(self, line: bytes) -> None:
        """Write one line, of at most 4 KiB, given without its end."""
        if self._dropped and self._write(b"(%d lines of the log were dropped)" % self._dropped):
            self._dropped = 0
        if not self._write(line):
            self._dropped += 1

    def write(self, text: str) -> None:
        """Take what a logging handler writes: lines with their ends."""
        for line in text.splitlines():
            self.line(line.encode(errors="replace"))

    def flush(self) -> None:
        """Nothing is held back."""

    def _write(self, line: bytes) -> bool:
        if not self._takes():
            return False
        if self._file is not None and self._written > self._limit:
            self._turn_over(self._file)
        try:
            self._written += os.write(self._fd, line + b"\n")
        except OSError:  # the terminal is gone, or the disk is full
            return False
        return True

    def _takes(self) -> bool:
        return any(event & select.POLLOUT for _, event in self._poll.poll(0))

    def _turn_over(self, file: Path) -> None:
        """Begin a new file, keeping the last as `.1`."""
        with contextlib.suppress(OSError):
            os.replace(file, file.with_name(file.name + ".1"))
            fd = open_log(file)
            os.dup2(fd, self._fd)
            os.close(fd)
        self._written = _size(self._fd)


def open_log(file: Path) -> int:
    """Open a log file to write behind its end; a file descriptor. Raises OSError, also for a link."""
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _size(fd: int) -> int:
    with contextlib.suppress(OSError):
        return os.fstat(fd).st_size
    return 0
