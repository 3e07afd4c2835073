"""The lock of a runtime folder: who holds it is the daemon there. The kernel lets go of it, however the holder ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path

from teleclaude.core.errors import Conflict, Refused

HELD = 75  # exit status of a daemon in the background that found another one running
_TRY_FOR = 0.3  # seconds; `is_held` holds the lock for a moment while it looks


class AlreadyRuns(Conflict):
    """Another daemon holds the lock; `pid` is 0 where it has not written its number yet."""

    def __init__(self, path: Path, pid: int) -> None:
        """Name the holder."""
        super().__init__(f"a teleclaude daemon runs already (pid {pid or 'not known yet'}, lock {path})")
        self.pid = pid


class Lock:
    """A lock that is held."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path, self._fd = path, fd

    @classmethod
    def acquire(cls, path: Path) -> Lock:
        """Take the lock and write our pid into it. Raises AlreadyRuns, or Refused for a planted file."""
        deadline = time.monotonic() + _TRY_FOR
        while True:
            fd = _open(path)
            if _flock(fd) and _is_at(fd, path):
                break
            pid = _pid_in(fd)
            os.close(fd)
            if time.monotonic() > deadline:
                raise AlreadyRuns(path, pid)
            time.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return cls(path, fd)

    def is_in_place(self) -> bool:
        """Whether the file that we hold is still the one at its path: else it locks nobody out."""
        return _is_at(self._fd, self._path)

    def release(self) -> None:
        """Let go, and remove the file while we still hold it; who waits for it looks whether it is still there."""
        if self.is_in_place():
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        os.close(self._fd)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Refused(f"{path} cannot be used as lock ({error.strerror}): remove it, then start again") from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink > 1:
        os.close(fd)
        raise Refused(f"{path} is in the way and is no lock file of ours: remove it, then start again")
    return fd


def _flock(fd: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(fd: int, path: Path) -> bool:
    """Whether the locked file is the one that others find: the last holder may have removed it meanwhile."""
    try:
        there = path.lstat()
    except OSError:
        return False
    return os.path.samestat(os.fstat(fd), there)


def _pid_in(fd: int) -> int:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else 0
