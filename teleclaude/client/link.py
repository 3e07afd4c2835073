"""One WebSocket connection to the daemon, on websockets' protocol without I/O.

One thread does all of it: it waits in `poll` for the socket and for a wake-up pipe, so sending never blocks and
stopping never waits. websockets' own threaded client would need two threads more, and its `send` blocks.
"""

from __future__ import annotations

import contextlib
import logging
import select
import time
from pathlib import Path

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from teleclaude.client.dial import dial, remaining
from teleclaude.core.errors import PeerError, Unavailable
from teleclaude.core.text import visible

FRAME_LIMIT = 256 * 1024 * 1024  # bytes; a snapshot of 100,000 sessions is 40 MB
PING_AFTER = 20.0  # seconds of silence
GONE_AFTER = 10.0  # seconds more
CONNECT_TIMEOUT = 5.0  # seconds
_CHUNK = 256 * 1024

_quiet = logging.getLogger(__name__ + ".wire")
_quiet.setLevel(logging.WARNING)  # websockets logs each frame, text included, on debug


class Link:
    """A connection. Use it from one thread. `wake_fd`: readable when `receive` should return early."""

    def __init__(self, path: Path, wake_fd: int, *, timeout: float = CONNECT_TIMEOUT) -> None:
        """Connect within `timeout` seconds. Raises Unavailable, Refused or PeerError."""
        self._deadline = time.monotonic() + timeout
        self._socket = dial(path, self._deadline)
        self._socket.setblocking(False)
        self._protocol = ClientProtocol(
            parse_uri("ws://localhost/ws"), extensions=None, max_size=FRAME_LIMIT, logger=_quiet
        )
        self._outgoing = bytearray()
        self._parts: list[bytes] = []
        self._heard = time.monotonic()
        self._is_pinged = False
        self._poll = select.poll()
        self._poll.register(wake_fd, select.POLLIN)
        self._wake_fd = wake_fd
        self._is_open = False
        self._protocol.send_request(self._protocol.connect())
        try:
            self._flush()
        except BaseException:
            self._socket.close()  # it may end at once, and nobody has this link then to close it
            raise

    def send(self, text: bytes) -> None:
        """Send a text message, now or as soon as the socket takes it."""
        self._protocol.send_text(text)
        self._flush()

    def receive(self) -> list[bytes]:
        """Wait for frames, or for the wake-up (then the list may be empty). Gives whole text messages, in order.

        Raises Unavailable when the connection ended or the daemon has fallen silent, PeerError when it broke the
        protocol.
        """
        self._raise_if_ended()
        if self._wait():
            self._heard, self._is_pinged = time.monotonic(), False
            self._read()
        else:
            self._keep_alive()
        self._flush()
        messages = self._messages()
        if not messages:  # what came before the end is delivered first; the next call finds the end
            self._raise_if_ended()
        return messages

    def close(self) -> None:
        """Say goodbye if the socket takes it at once, and close. Safe to repeat."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.GOING_AWAY)
            with contextlib.suppress(Unavailable):
                self._flush()
        self._socket.close()

    def _wait(self) -> bool:
        """Wait until the socket can be read; False for a wake-up, a sent rest, or silence."""
        events = select.POLLIN | (select.POLLOUT if self._outgoing else 0)
        self._poll.register(self._socket, events)
        if not self._is_open:
            until = self._deadline
        else:
            until = self._heard + PING_AFTER + (GONE_AFTER if self._is_pinged else 0.0)
        found = dict(self._poll.poll(max(0.0, until - time.monotonic()) * 1000))
        return bool(found.get(self._socket.fileno(), 0) & ~select.POLLOUT)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            raise Unavailable("the connection to the daemon broke") from error
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()

    def _keep_alive(self) -> None:
        if not self._is_open:
            remaining(self._deadline)
            return
        silence = time.monotonic() - self._heard
        if silence >= PING_AFTER + GONE_AFTER:
            raise Unavailable("the daemon does not answer")
        if silence >= PING_AFTER and not self._is_pinged:
            self._protocol.send_ping(b"")
            self._is_pinged = True

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            self._outgoing += data  # empty data asks for a half-close: the other side sees our close anyway
        while self._outgoing:
            try:
                sent = self._socket.send(self._outgoing)
            except BlockingIOError:
                return
            except OSError as error:
                raise Unavailable("the connection to the daemon broke") from error
            del self._outgoing[:sent]

    def _messages(self) -> list[bytes]:
        whole: list[bytes] = []
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._check_handshake()
            elif isinstance(event, Frame):
                self._take(event, whole)
        return whole

    def _take(self, frame: Frame, whole: list[bytes]) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.CONT}:
            self._parts.append(bytes(frame.data))
            if frame.fin:
                whole.append(b"".join(self._parts))
                self._parts.clear()
        elif frame.opcode is Opcode.BINARY:
            raise PeerError("the daemon sent a binary frame, which it never does")

    def _check_handshake(self) -> None:
        error = self._protocol.handshake_exc
        if isinstance(error, InvalidStatus):
            raise Unavailable(f"the daemon is not ready (it answered {error.response.status_code})")
        if error is not None:
            raise PeerError(f"what answers at the daemon's socket is no daemon: {error}")
        self._is_open = True

    def _raise_if_ended(self) -> None:
        protocol = self._protocol
        if protocol.handshake_exc is not None:
            self._check_handshake()
        if protocol.parser_exc is not None and not isinstance(protocol.parser_exc, EOFError):
            raise PeerError(f"the daemon broke the protocol: {protocol.parser_exc}")
        closing = protocol.close_rcvd
        if closing is not None and closing.code == CloseCode.GOING_AWAY:
            raise Unavailable("the daemon is stopping")
        if closing is not None and closing.reason:
            raise Unavailable(f"the daemon closed the connection: {visible(closing.reason)}")
        if closing is not None or protocol.parser_exc is not None or protocol.state is State.CLOSED:
            raise Unavailable("the daemon has gone")
