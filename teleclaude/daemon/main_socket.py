"""The supervisor's own socket. Who listens there is the daemon: the kernel says so, not a number in a file.

A client connects and says nothing. From its peer's credentials it knows the daemon's process and can signal it. If it
stays until the settings were read again, it is told how that went: one line, `ok TEXT` or `wrong TEXT`.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from teleclaude.core.errors import Refused
from teleclaude.core.files import bind_socket, is_file_at
from teleclaude.core.paths import Places
from teleclaude.core.peer import is_same_user, peer_pid
from teleclaude.daemon.lock import is_held

_WAITING_LIMIT = 16
_PATIENCE = 5.0  # seconds
_ANSWER_LIMIT = 4096  # bytes


class MainSocket:
    """The supervisor's end. Nothing here waits. Raises Refused for what is planted at `path`, and OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener = bind_socket(path, _WAITING_LIMIT)
        self._listener.setblocking(False)
        self._file = path.lstat()
        self._waiting: list[socket.socket] = []

    def fileno(self) -> int:
        """Becomes readable when somebody connects; then call `take_in`."""
        return self._listener.fileno()

    def is_in_place(self) -> bool:
        """Whether others still find it at its path."""
        return is_file_at(self._path, self._file)

    def take_in(self) -> None:
        """Keep whoever came, as long as he stays."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._waiting.append(connection)
        gone = [each for each in self._waiting if _has_left(each)] + self._waiting[:-_WAITING_LIMIT]
        self._waiting = [each for each in self._waiting if each not in gone]
        for connection in gone:
            connection.close()

    def answer(self, text: str, *, ok: bool) -> None:
        """Tell everybody who waits how it went."""
        self.take_in()
        line = f"{'ok' if ok else 'wrong'} {' '.join(text.split())}".encode()[: _ANSWER_LIMIT - 1] + b"\n"
        for connection in self._waiting:
            with contextlib.suppress(OSError), connection:
                connection.send(line)
        self._waiting.clear()

    def close(self) -> None:
        """Accept nobody any more, and remove the file if it is still ours."""
        if self.is_in_place():
            self._path.unlink()
        for each in (self._listener, *self._waiting):
            each.close()


def _has_left(connection: socket.socket) -> bool:
    try:
        return not is_same_user(connection) or connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class RunningDaemon(NamedTuple):
    """A daemon: its pid, a pidfd of it, which means nobody else, and a connection to its socket."""

    pid: int
    fd: int
    connection: socket.socket

    def outcome(self, timeout: float) -> tuple[bool, str]:
        """Wait for the end of a reload: whether it went well, and how. Raises OSError."""
        self.connection.settimeout(timeout)
        data = b""
        while not data.endswith(b"\n") and (more := self.connection.recv(_ANSWER_LIMIT)):
            data += more
        word, _, text = data.decode(errors="replace").strip().partition(" ")
        return word == "ok", text or "the daemon ended meanwhile"


@contextlib.contextmanager
def running(place: Places) -> Iterator[RunningDaemon | None]:
    """Get hold of the daemon at `place`, or of None when none listens. Raises Refused when another user does."""
    with contextlib.ExitStack() as stack:
        yield _found(place.main_socket, stack)


def holder(place: Places) -> int | None:
    """Pid of the daemon (0: it holds the lock and does not listen yet), or None when there is none."""
    with running(place) as found:
        if found is not None:
            return found.pid
    return 0 if is_held(place.lock_file) else None


def _found(path: Path, stack: contextlib.ExitStack) -> RunningDaemon | None:
    try:
        connection = stack.enter_context(_connected(path))
        pid = peer_pid(connection)
        fd = os.pidfd_open(pid)
        stack.callback(os.close, fd)
        # Once more: it may have ended before we got hold of it, and the number be somebody else's.
        with _connected(path) as again:
            is_same = peer_pid(again) == pid
    except (FileNotFoundError, ConnectionError, ProcessLookupError):
        return None
    return RunningDaemon(pid, fd, connection) if is_same else None


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_PATIENCE)
        connection.connect(os.fspath(path))
        if not is_same_user(connection):
            raise Refused(f"{path} is served by another user's process: not spoken to")
    except BaseException:
        connection.close()
        raise
    return connection
