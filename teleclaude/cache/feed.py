"""The feed of changes: a unix socket on which each subscriber gets a snapshot, then every later change in order.

Contract: frames to one subscriber are in order and without holes; changes may come many to a frame; a subscriber
that falls behind the log is given a new snapshot instead. Outcomes and outputs are sent best effort, at most once.
A subscriber that does not read costs its own two threads and a bounded number of frames, and delays nobody.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import threading
from pathlib import Path

from teleclaude.cache import wire
from teleclaude.cache.core import CacheCore, FeedSubscriber
from teleclaude.core.files import unlink_socket
from teleclaude.core.peer import is_same_user

log = logging.getLogger(__name__)

SUBSCRIBERS_LIMIT = 16
_IDLE = 3600.0  # seconds; a wait without news


class FeedServer:
    """Accepts subscribers at `path`."""

    def __init__(self, core: CacheCore, path: Path) -> None:
        self._core = core
        unlink_socket(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(SUBSCRIBERS_LIMIT)
        self._places = threading.BoundedSemaphore(SUBSCRIBERS_LIMIT)

    def start(self) -> None:
        """Serve from threads of its own."""
        threading.Thread(target=self._accept, name="feed", daemon=True).start()

    def close(self) -> None:
        """Accept nobody any more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                log.info("the feed is closed")
                return
            if not is_same_user(connection) or not self._places.acquire(blocking=False):
                log.warning("refused a subscriber: another user, or too many")
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), name="subscriber", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        subscriber = self._core.subscribe(secrets.token_hex(4))
        threading.Thread(target=self._await_end, args=(connection, subscriber), daemon=True).start()
        try:
            _send(connection, wire.WelcomeFrame(subscriber.name, self._core.cache.local))
            while not subscriber.closed:
                for frame in self._core.next_frames(subscriber, _IDLE):
                    _send(connection, frame)
        except OSError as error:
            log.info("subscriber %s is gone: %s", subscriber.name, error)
        finally:
            self._core.unsubscribe(subscriber)
            connection.close()
            self._places.release()

    def _await_end(self, connection: socket.socket, subscriber: FeedSubscriber) -> None:
        """Notice that an idle subscriber went away; it has nothing to say."""
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass
        self._core.unsubscribe(subscriber)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _send(connection: socket.socket, frame: wire.Frame) -> None:
    connection.sendall(wire.framed(wire.encode(frame)))
