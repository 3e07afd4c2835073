"""The connection to the web process, over which requests come and outcomes go (core/request_wire.py has the rules).

One thread connects and reads; any thread may send. A connection that does not take a frame in time is given up, so
that a web process that is stopped holds nobody for long; it is tried again with growing pauses.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from teleclaude.core.backoff import Backoff
from teleclaude.core.errors import Unavailable
from teleclaude.core.framing import FrameReader
from teleclaude.core.peer import is_same_user
from teleclaude.core.request_wire import LIMIT, AskerFrame, FromAsker, ToAsker, frame_to_asker, to_bytes

log = logging.getLogger(__name__)

SEND_WITHIN = 5  # seconds
RETRY_FIRST, RETRY_MOST = 0.02, 1.0  # seconds between tries to connect
_CHUNK = 64 * 1024
_TIME = struct.Struct("ll")  # struct timeval


class WebLink:
    """Asks at `path`, as the run `run` of this process. `receive` is called with each frame, `ended` after each end."""

    def __init__(self, path: Path, run: str, receive: Callable[[ToAsker], None], ended: Callable[[], None]) -> None:
        self._path, self._run, self._receive, self._ended = path, run, receive, ended
        self._sending = threading.Lock()
        self._connection: socket.socket | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        """Connect and read until stopped; for a thread of its own."""
        backoff = Backoff(RETRY_FIRST, RETRY_MOST)
        while not self._stopped.is_set():
            try:
                self._connect()
                backoff.reset()
                self._read()
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                log.debug("the web process is not there: %s %s", type(error).__name__, error)
            if self._disconnect():
                self._ended()
            self._stopped.wait(backoff.next())

    def stop(self) -> None:
        """End `run`, and the connection."""
        self._stopped.set()
        self._cut_off()

    def send(self, frame: FromAsker) -> None:
        """Send a frame. Raises Unavailable when it cannot arrive whole."""
        data = to_bytes(frame)
        with self._sending:
            if self._connection is None:
                raise Unavailable("the web process is not there")
            try:
                self._connection.sendall(data)
            except OSError as error:
                self._cut_off()  # half a frame may have gone, and nothing may follow it
                raise Unavailable(f"the web process takes nothing: {error}") from error

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self._path))
            if not is_same_user(connection):
                raise PermissionError("the web process is another user's")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIME.pack(SEND_WITHIN, 0))
            connection.sendall(to_bytes(AskerFrame(self._run)))
        except BaseException:
            connection.close()
            raise
        with self._sending:
            self._connection = connection

    def _read(self) -> None:
        connection, reader = self._connection, FrameReader(LIMIT)
        while connection and (data := connection.recv(_CHUNK)):
            for payload in reader.receive_data(data):
                self._receive(frame_to_asker(payload))

    def _cut_off(self) -> None:
        connection = self._connection
        if connection:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _disconnect(self) -> bool:
        """Close the connection; False when there was none."""
        self._cut_off()
        with self._sending:
            connection, self._connection = self._connection, None
        if connection is None:
            return False
        connection.close()
        return True
