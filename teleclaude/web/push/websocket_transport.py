"""What simple_websocket takes for its socket: reads from the client, writes to the outbox.

It calls `send` and ignores the count, reads without end into a list, and would duplicate the descriptor. Here a send
is always whole, and a client that says more than is worked off is not read until it is. Nor is one read that does not
take its answers, pongs included; and one that says nothing that could be worked off, in however many frames (pings,
pongs, fragments without end), is read at leisure. Each read lets others in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from gevent.socket import socket

from teleclaude.web.push.outbox import Outbox

INBOUND_LIMIT = 32  # messages of one client that wait to be worked off
OWED_LIMIT = 64 * 1024  # bytes of answers that wait for one client
READ_SIZE = 4 * 1024  # bytes; as frames of nothing they take 20 ms
_PAUSES = ((8, 0.0), (128, 0.05))  # so many reads without a message, and seconds before each; the largest takes 64
_LAST_PAUSE = 0.25  # seconds


class WebSocketTransport:
    """One upgraded connection. `early` is what came in one packet with the handshake."""

    def __init__(self, sock: socket, early: bytes) -> None:
        self._sock = sock
        self._early = early
        self.outbox = Outbox(sock, on_room=self._has_room)
        self._waiting: Callable[[], int] = lambda: 0
        self._on_room: Callable[[], None] = lambda: None
        self._taken = Event()
        self._reads = 0  # since a message was taken
        self._owed = 0

    def begin(self, waiting: Callable[[], int], on_room: Callable[[], None]) -> None:
        """Take whom it serves: how many messages wait to be worked off, and who gives a fresh state."""
        self._waiting, self._on_room = waiting, on_room

    def _has_room(self) -> None:
        self._on_room()

    def note_taken(self) -> None:
        """Take note that a message is worked off."""
        self._reads = 0
        self._taken.set()

    def dup(self) -> WebSocketTransport:
        """Give itself: one descriptor a client."""
        return self

    def fileno(self) -> int:
        """File descriptor of the connection."""
        return int(self._sock.fileno())

    def send(self, data: bytes) -> int:
        """Take all of it."""
        self._owed = len(data) if self.outbox.empty.is_set() else self._owed + len(data)
        self.outbox.push_state(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        """Give what the client sent, once what it sent before is nearly worked off."""
        self._reads += 1
        gevent.sleep(next((pause for reads, pause in _PAUSES if self._reads <= reads), _LAST_PAUSE))
        if self._owed > OWED_LIMIT:
            self.outbox.empty.wait()
        while self._waiting() >= INBOUND_LIMIT and not self.outbox.closed:
            self._taken.clear()
            self._taken.wait(1.0)
        if self._early:
            data, self._early = self._early[:size], self._early[size:]
            return data
        return bytes(self._sock.recv(size))

    def wsgi_input(self) -> UpgradedInput:
        """Give what simple_websocket finds this in."""
        return UpgradedInput(self)

    def end(self, within: float) -> None:
        """Let the outbox drain for so many seconds, and close."""
        self.outbox.finish(within)
        self.outbox.abort()

    def close(self) -> None:
        """Do nothing: the connection is closed by its handler, when the outbox is empty."""


class ReaderGreenlet:
    """A greenlet where simple_websocket expects a thread."""

    running: ClassVar[int] = 0

    def __init__(self, target: Callable[[], Any]) -> None:
        self._target = target
        self.name = "reader"
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begin."""
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        ReaderGreenlet.running += 1
        try:
            self._target()
        finally:
            ReaderGreenlet.running -= 1

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end."""
        if self._greenlet is not None:
            self._greenlet.join(timeout)


class UpgradedInput:
    """The place in a WSGI environment where simple_websocket looks for its socket: `raw._sock`."""

    def __init__(self, transport: WebSocketTransport) -> None:
        self.raw = self
        self._sock = transport
