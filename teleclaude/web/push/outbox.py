"""The only writer of one connection: what it sends goes out whole and in order, and delays nobody.

Rules of this module:
- One try without waiting; what is left is written by a greenlet that lives only while there is a backlog. While it
  lives everything queues behind it, or frames would interleave.
- What waits is bounded. Over the limit all of it is dropped but the frame under way, and once that is out the client
  is given a fresh state instead.
- Of what is only good while it is the newest, a screen, nothing waits but the newest, behind all else; it takes nothing
  of the limit, and is made when it is sent.
- Who takes nothing for `patience` seconds while something waits is cut off.
"""

from __future__ import annotations

import logging
import socket as sockets
from collections import deque
from collections.abc import Callable, Hashable

import gevent
from gevent import Greenlet
from gevent.event import Event
from gevent.socket import socket, wait_write

log = logging.getLogger(__name__)

LIMIT = 1024 * 1024  # bytes of events that wait
PATIENCE = 15.0  # seconds


class Outbox:
    """Writes to `sock`. `on_room` is called when a client that fell behind can take a fresh state."""

    def __init__(
        self,
        sock: socket,
        *,
        limit: int = LIMIT,
        patience: float = PATIENCE,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._sock = sock
        # The plain socket below gevent's, which does not block: one system call, no Python in between. Below TLS there
        # is none to be used, so there everything is written by the greenlet.
        self._is_tls = type(sock) is not socket  # TLS has a class of its own; who has no use for it does not import it
        self._send: Callable[[bytes | memoryview], int] = _would_block if self._is_tls else sock._sock.send  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]  # gevent's own attribute
        self._limit, self._patience = limit, patience
        self._queue: deque[tuple[bytes, int]] = deque()  # what waits, and how much of the limit it takes
        self._waiting = 0
        self._newest: dict[Hashable, Callable[[], bytes]] = {}
        self._drain: Greenlet | None = None
        self._is_behind = False
        self.empty = Event()
        self.empty.set()
        self.closed = False
        self._on_room = on_room
        self.times_behind = 0
        # All of it at once is how nearly everything goes, to each client at each change: see audience.py.
        self.sending: list[Callable[[bytes], int]] = [self._send]

    def push(self, data: bytes) -> None:
        """Send an event; dropped when the client is behind, because a fresh state comes instead."""
        try:
            sent = self.sending[0](data)
        except OSError as error:
            self.not_sent(data, error)
            return
        if sent < len(data):
            self.sent_partly(data, sent)

    def push_state(self, data: bytes) -> None:
        """Send a state, which takes nothing of the limit: there is one at a time."""
        if self._drain is None:
            self.push(data)
        else:
            self._put_behind(data, 0)

    def push_newest(self, place: Hashable, make: Callable[[], bytes]) -> None:
        """Send what `make` gives; when something waits, what it gives once that is out, in place of an earlier one."""
        if self._drain is None:
            self.push(make())
        elif not self.closed:
            self._newest[place] = make

    def forget_newest(self, place: Hashable) -> None:
        """Send nothing of a place that still waits."""
        self._newest.pop(place, None)

    def restart(self) -> None:
        """Drop what waits; what is pushed next begins anew."""
        self._newest.clear()
        self._queue.clear()
        self._waiting = 0
        self._is_behind = False

    def not_sent(self, data: bytes, error: OSError) -> None:
        """Take what the socket does not take now; for any other error the connection is cut off."""
        if isinstance(error, BlockingIOError):
            self._write_later(memoryview(data))
        else:
            self.abort()

    def sent_partly(self, data: bytes, size: int) -> None:
        """Take what the socket did not take behind the first `size` bytes."""
        self._write_later(memoryview(data)[size:])

    def abort(self) -> None:
        """Cut the connection off; its reader notices."""
        self._close()
        self.restart()
        try:
            self._sock.shutdown(sockets.SHUT_RDWR)
        except OSError as error:
            log.debug("cut off: %s", error)

    def finish(self, timeout: float) -> None:
        """Wait at most `timeout` seconds until all is out, then write nothing more."""
        self.empty.wait(timeout)
        self._close()
        if self._drain is not None:
            self._drain.kill()

    def _close(self) -> None:
        self.closed = True
        self.sending[0] = self._push_behind

    def _push_behind(self, data: bytes) -> int:
        self._put_behind(data, len(data))
        return len(data)

    def _put_behind(self, data: bytes, size: int) -> None:
        if self._is_behind or self.closed:
            return
        self._queue.append((data, size))
        self._waiting += size
        if self._waiting > self._limit:
            self._fall_behind()

    def _write_later(self, rest: memoryview) -> None:
        self.empty.clear()
        self.sending[0] = self._push_behind
        self._drain = gevent.spawn(self._write_out, rest)

    def _fall_behind(self) -> None:
        self._queue.clear()
        self._waiting = 0
        self._is_behind = True
        self.times_behind += 1

    def _write_out(self, rest: memoryview) -> None:
        try:
            while self._write(rest):
                if self._is_behind and not self._queue:
                    self._is_behind = False
                    self._on_room()
                if self._queue:
                    data, size = self._queue.popleft()
                    self._waiting -= size
                elif self._newest:
                    data = self._newest.pop(next(iter(self._newest)))()
                else:
                    break
                rest = memoryview(data)
        finally:
            self._drain = None
            if not self.closed:
                self.sending[0] = self._send
            self.empty.set()

    def _write(self, rest: memoryview) -> bool:
        """Write all of it; False when the connection is no more."""
        while rest and not self.closed:
            try:
                rest = rest[self._write_some(rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                log.info("a client is cut off: %s", error)
                self.abort()
        return not self.closed

    def _write_some(self, rest: memoryview) -> int:
        stalled = TimeoutError(f"it takes nothing for {self._patience:g} s")
        if self._is_tls:
            with gevent.Timeout(self._patience, stalled):
                return int(self._sock.send(rest))
        wait_write(self._sock.fileno(), timeout=self._patience, timeout_exc=stalled)
        return self._send(rest)


def _would_block(_: bytes | memoryview) -> int:
    raise BlockingIOError
