"""The feed of changes: a unix socket on which each subscriber gets a snapshot, then every later change in order.

Contract: frames to one subscriber are in order and without holes; changes may come many to a frame; a subscriber
that falls behind the log is given a new snapshot instead.
A subscriber that does not read costs its own two threads and a bounded number of frames, and delays nobody.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from pathlib import Path

from teleclaude.cache import wire
from teleclaude.cache.core import CacheCore, FeedSubscriber
from teleclaude.core.files import bind_socket
from teleclaude.core.framing import framed
from teleclaude.core.peer import is_same_user

log = logging.getLogger(__name__)

SUBSCRIBERS_LIMIT = 16
_IDLE = 3600.0  # seconds; a wait without news
_PAUSE = 0.2  # seconds, where a subscriber cannot be taken


class FeedServer:
    """Accepts subscribers at `path`."""

    def __init__(self, core: CacheCore, path: Path) -> None:
        self._core = core
        self._listener = bind_socket(path, SUBSCRIBERS_LIMIT)
        self._places = threading.BoundedSemaphore(SUBSCRIBERS_LIMIT)
        self._closing = False

    def close(self) -> None:
        """Accept nobody any more."""
        self._closing = True
        self._listener.close()

    def run(self) -> None:
        """Take in subscribers until closed; for a thread of its own."""
        while not self._closing:
            try:
                self._take_in(self._listener.accept()[0])
            except (OSError, RuntimeError) as error:  # no descriptor, or no thread, is left
                if not self._closing:
                    log.warning("a subscriber cannot be taken: %s", error)
                    time.sleep(_PAUSE)

    def _take_in(self, connection: socket.socket) -> None:
        try:
            is_welcome = is_same_user(connection) and self._places.acquire(blocking=False)
        except BaseException:
            connection.close()
            raise
        if not is_welcome:
            log.warning("refused a subscriber: another user, or too many")
            connection.close()
            return
        try:
            threading.Thread(target=self._serve, args=(connection,), name="subscriber", daemon=True).start()
        except BaseException:
            self._places.release()
            connection.close()
            raise

    def _serve(self, connection: socket.socket) -> None:
        subscriber = self._core.subscribe()
        try:
            threading.Thread(target=self._await_end, args=(connection, subscriber), daemon=True).start()
            _send(connection, wire.WelcomeFrame(self._core.cache.local))
            while not subscriber.closed:
                for frame in self._core.next_frames(subscriber, _IDLE):
                    _send(connection, frame)
        except (OSError, RuntimeError) as error:  # the latter: no thread is left
            log.info("a subscriber is gone: %s", error)
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
    connection.sendall(framed(wire.encode(frame)))
