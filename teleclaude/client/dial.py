"""Connecting to the daemon's socket, and making sure that it is ours."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from teleclaude.core.errors import Refused, Unavailable
from teleclaude.core.peer import is_same_user

_BUSY_PAUSE = 0.01  # seconds


class NotRunning(Unavailable):
    """Nobody serves the socket: there is no daemon."""


def dial(path: Path, deadline: float) -> socket.socket:
    """Connect to a unix socket before `deadline` (time.monotonic()).

    Raises Unavailable when nobody answers there, Refused when another user's process does.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _connect(connection, path, deadline)
        if not is_same_user(connection):
            raise Refused(f"{path} is served by another user's process: not spoken to")
    except OSError as error:
        connection.close()
        raise _unavailable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def remaining(deadline: float) -> float:
    """Seconds until `deadline`. Raises Unavailable when it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise Unavailable("the daemon did not answer in time")
    return left


def _connect(connection: socket.socket, path: Path, deadline: float) -> None:
    while True:
        connection.settimeout(remaining(deadline))
        try:
            connection.connect(str(path))
            return
        except BlockingIOError:  # its backlog is full: a unix socket says so at once instead of waiting
            time.sleep(_BUSY_PAUSE)


def _unavailable(path: Path, error: OSError) -> Unavailable:
    if isinstance(error, FileNotFoundError):
        return NotRunning("the daemon is not running")
    if isinstance(error, ConnectionRefusedError):
        return NotRunning("the daemon has gone")
    if isinstance(error, TimeoutError):
        return Unavailable("the daemon did not answer in time")
    return Unavailable(f"the daemon cannot be reached at {path}: {error.strerror or error}")
