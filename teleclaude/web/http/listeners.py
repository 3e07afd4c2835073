"""Where clients come in: the unix socket, and TCP when it is asked for."""

from __future__ import annotations

import resource
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNIX, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET

from gevent.socket import socket

from teleclaude.core.errors import Unavailable
from teleclaude.core.files import bind_socket, private_folder

BACKLOG = 4096
CONNECTIONS_LIMIT = 4096  # in all
CONNECTIONS_LEAST = 16  # with fewer it is no use to begin
_TCP_PART = 4  # TCP gets one in so many, where it is open: whoever may knock there never takes the last from this user
_FDS_OURS = 64  # descriptors that are no clients


def bind_unix(path: Path) -> socket:
    """Listen at `path`, mode 0600 from the first moment on. Raises Refused for whatever is planted there."""
    private_folder(path.parent)
    return socket(AF_UNIX, SOCK_STREAM, fileno=bind_socket(path, BACKLOG).detach())


def bind_tcp(address: str, port: int) -> socket:
    """Listen on TCP. Raises OSError."""
    found = socket(AF_INET6 if ":" in address else AF_INET, SOCK_STREAM)
    try:
        found.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        found.bind((address, port))
        found.listen(BACKLOG)
    except BaseException:
        found.close()
        raise
    return found


def allow_connections(wanted: int = CONNECTIONS_LIMIT) -> int:
    """Allow as many descriptors as `wanted` clients need; gives how many clients may come.

    Raises Unavailable where the machine's limit leaves too few.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + _FDS_OURS
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    found = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - _FDS_OURS)
    if found < CONNECTIONS_LEAST:
        least = CONNECTIONS_LEAST + _FDS_OURS
        raise Unavailable(f"only {soft} files may be open here: raise the limit (`ulimit -Hn`) to {least} or more")
    return found


def shares(connections: int, *, is_tcp_open: bool) -> tuple[int, int]:
    """Divide what clients may come among the unix socket and TCP."""
    tcp = connections // _TCP_PART if is_tcp_open else 0
    return connections - tcp, tcp
