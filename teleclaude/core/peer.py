"""Who is at the other end of a unix socket."""

from __future__ import annotations

import os
import socket
import struct
from typing import Protocol

_CREDENTIALS = struct.Struct("3i")


class HasPeer(Protocol):
    """A connected unix socket, or something that looks like one."""

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes:
        """Read a socket option."""
        ...


def peer_uid(connection: HasPeer) -> int:
    """User id of the process that connected, or that listens, by SO_PEERCRED (unix(7)). Raises OSError."""
    return _credentials(connection)[1]


def peer_pid(connection: HasPeer) -> int:
    """Process id of the same. Raises OSError."""
    return _credentials(connection)[0]


def _credentials(connection: HasPeer) -> tuple[int, int, int]:
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(found)
    return pid, uid, gid


def is_same_user(connection: HasPeer) -> bool:
    """Tell whether the other end is a process of this user."""
    return peer_uid(connection) == os.geteuid()
