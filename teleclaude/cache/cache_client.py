"""How the other workers reach the cache: the door (any thread) and the feed's socket.

A call raises Unavailable when the cache is not there; the next call connects anew. A write that raised may or may
not have been applied: puts and replaces can be repeated, and a new epoch means that everything must be.
"""

from __future__ import annotations

import logging
import socket
import threading
from multiprocessing import AuthenticationError
from multiprocessing.managers import BaseProxy, RemoteError
from typing import Any

from teleclaude.cache import wire
from teleclaude.cache.door_manager import DoorManager
from teleclaude.core.errors import TeleclaudeError, Unavailable
from teleclaude.core.paths import Places

log = logging.getLogger(__name__)

_GONE = (EOFError, OSError, AuthenticationError)


class CacheClient:
    """The door of the cache at `places`. Each thread that calls has a connection of its own."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._door: Any = None

    def write(self, ops: list[wire.Op], *, flush: bool = False) -> tuple[str, int]:
        """Apply writes as one step; `flush` when a client waits to read them. Gives (epoch, version)."""
        epoch, version = self._call("write", wire.encode(ops), flush)
        return epoch, version

    def hold(self, seconds: float) -> str:
        """Give the epoch of the cache, after `seconds`. Raises Unavailable as soon as the cache ends."""
        return str(self._call("hold", seconds))

    def stats(self) -> dict[str, int]:
        """Numbers for the metrics."""
        return dict(self._call("stats"))

    def _call(self, method: str, *args: Any) -> Any:
        door = None
        try:
            door = self._connected()
            return getattr(door, method)(*args)
        except TeleclaudeError:
            raise
        except RemoteError as error:
            raise TeleclaudeError(f"the cache failed at {method}: {error}") from error
        except _GONE as error:
            self._disconnect(door)
            raise Unavailable(f"the cache does not answer: {type(error).__name__} {error}") from error

    def _connected(self) -> Any:
        with self._lock:
            if self._door is None:
                key = self._places.key_file.read_bytes()
                manager = DoorManager(address=str(self._places.cache_socket), authkey=key)
                manager.connect()
                self._door = manager.door()  # type: ignore[attr-defined]  # registered by name
            return self._door

    def _disconnect(self, failed: Any) -> None:
        """Forget the connections of a cache that is gone.

        BaseProxy keeps them in a table by address, and would go on to use the broken ones for ever.
        """
        with self._lock:
            if failed is self._door:
                self._door = None
                address = str(self._places.cache_socket)
                with BaseProxy._mutex:  # noqa: SLF001
                    BaseProxy._address_to_local.pop(address, None)  # noqa: SLF001


def open_feed(places: Places) -> socket.socket:
    """Connect to the feed, blocking. Raises Unavailable."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(places.feed_socket))
    except OSError as error:
        connection.close()
        raise Unavailable(f"the cache's feed does not answer: {error}") from error
    return connection
