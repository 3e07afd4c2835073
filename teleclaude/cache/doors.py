"""The manager's door: what other processes may ask of the cache, in bytes and plain values, never in objects.

`BaseManager` serves one `Door` on a unix socket. Its messages are pickled, so nobody gets that far who is not the
same user (SO_PEERCRED) and does not have the key of this run.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import connection as mp
from pathlib import Path
from typing import Any

from teleclaude.cache import wire
from teleclaude.cache.core import CacheCore
from teleclaude.cache.door_manager import EXPOSED, DoorManager
from teleclaude.core.files import unlink_socket
from teleclaude.core.peer import is_same_user

log = logging.getLogger(__name__)

PAUSE = 0.2  # seconds, where a connection cannot be taken


class Door:
    """What other processes may ask. Arguments and answers are bytes and plain values."""

    def __init__(self, core: CacheCore, publish: Callable[[], object]) -> None:
        self._core = core
        self._publish = publish
        self._ended = threading.Event()  # never set: this process ends first

    def write(self, ops: bytes, flush: bool) -> tuple[str, int]:
        """Apply writes; with `flush` the snapshot shows them before this returns."""
        version = self._core.write(wire.decode_ops(ops))
        if flush:
            self._publish()
        return version.epoch, version.number

    def hold(self, seconds: float) -> str:
        """Give the epoch, after `seconds`: who waits here notices at once when this process ends."""
        self._ended.wait(seconds)
        return self._core.cache.version.epoch

    def stats(self) -> dict[str, int]:
        """Numbers for the metrics."""
        return self._core.stats()


def serve(door: Door, path: Path, key: bytes) -> Callable[[], None]:
    """Bind the door at `path`; give the function that serves it for ever, for a thread."""

    class _Server(DoorManager):
        pass

    _Server.register("door", callable=lambda: door, exposed=EXPOSED)
    unlink_socket(path)
    server: Any = _Server(address=str(path), authkey=key).get_server()
    path.chmod(0o600)
    server.stop_event = threading.Event()  # what its own loop would make
    return partial(_serve, server)


def _serve(server: Any) -> None:
    """Accept connections of this user, each for a thread of its own.

    In place of the server's own loop, which would run hot while no descriptor is left, end in silence when no thread
    can be started, and wake up once a second.
    """
    while True:
        try:
            _take_in(server, server.listener.accept())
        except (OSError, RuntimeError) as error:  # no descriptor, or no thread, is left
            log.warning("a connection to the cache cannot be taken: %s", error)
            time.sleep(PAUSE)


def _take_in(server: Any, connection: mp.Connection) -> None:
    try:
        with socket.socket(fileno=socket.dup(connection.fileno())) as peer:
            if is_same_user(peer):
                threading.Thread(target=server.handle_request, args=(connection,), name="door", daemon=True).start()
                return
        log.warning("refused a connection of another user")
        connection.close()
    except BaseException:
        connection.close()
        raise
