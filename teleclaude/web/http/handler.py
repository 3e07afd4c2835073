"""One connection: who it is, whole heads, ready answers at once, everything else through pywsgi and Flask.

A GET of all of a kind whose bytes are ready is answered before Flask, head and body in one send; heads that came
before are not even parsed again. Whatever is not as plain as that takes the long way, and gets the same bytes.
Nobody is served for long without the others having their turn, however fast he asks and reads.
"""

from __future__ import annotations

import logging
import socket as sockets
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import gevent
from gevent.pywsgi import WSGIHandler
from gevent.socket import socket

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.peer import is_same_user
from teleclaude.web.http.error_responses import Unauthorised, body_of
from teleclaude.web.http.head import Head
from teleclaude.web.http.request_reader import RequestReader

if TYPE_CHECKING:
    from teleclaude.web.http.server import HttpServer

log = logging.getLogger(__name__)

LINE_KEY: Final = "teleclaude.line"
TOKEN_WITHIN: Final = 10.0  # seconds that a TCP client may take until it begins to say who it is
TCP_PATIENCE: Final = 30.0  # seconds that a TCP client with a token may take for a part of its request, or between two
_ANSWERS_A_TURN: Final = 32  # ready ones; each of the others is a turn
_SEND_BUFFER: Final = 1024 * 1024  # asks for as much as the kernel allows: 1,000 sessions then go in one call
_DRAIN_LIMIT: Final = 1.0  # seconds for the last frames of a client
_PHRASES: Final = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 408: "Request Timeout"} | {
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class UpgradedConnection(Protocol):
    """A connection that speaks another protocol from its upgrade on."""

    def wsgi_input(self) -> Any:
        """Give what stands in a WSGI environment for the request's body."""
        ...

    def end(self, within: float) -> None:
        """Let what is to be sent go out within so many seconds, and close."""
        ...


class Handler(WSGIHandler):  # type: ignore[misc]  # gevent is untyped
    """Serves one connection until it ends."""

    server: HttpServer  # pyright: ignore[reportIncompatibleVariableOverride]  # gevent's stub knows its own server only

    def __init__(self, sock: socket, address: Any, server: HttpServer) -> None:
        reader = RequestReader(sock, _give_way)
        super().__init__(sock, address, server, rfile=reader)  # pyright: ignore[reportCallIssue]  # the stub leaves it out
        self._reader = reader
        self._head: Head | None = None
        self._upgraded: UpgradedConnection | None = None
        self._turns = 0
        self._is_known = server.gate.is_local

    def handle(self) -> None:
        """Serve, unless it is another user."""
        try:
            if self._is_welcome():
                super().handle()
        finally:
            self._reader.close()

    def _is_welcome(self) -> bool:
        if self.socket.family == sockets.AF_UNIX:
            if not is_same_user(self.socket):
                log.warning("refused a connection of another user")
                self.socket.close()
                return False
            self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, _SEND_BUFFER)
        else:
            self.socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
            self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
            self._wait_at_most(TOKEN_WITHIN)
        return True

    def _wait_at_most(self, seconds: float) -> None:
        self._reader.idle = seconds
        self.socket.settimeout(seconds)

    def handle_one_request(self) -> Any:
        """Answer what is ready at once; hand the rest to pywsgi. Gives what pywsgi's own method gives."""
        while True:
            data, head = b"", None
            try:
                data = self._reader.receive_head()
                if not data:
                    return None
                head = self._head = self.server.head(data)
                refusal = self.server.gate.refusal(head, time.time())
            except TeleclaudeError as error:
                refusal = error
            except OSError:
                return None
            if refusal is not None or head is None:
                assert refusal is not None  # without a head there is a refusal
                self.server.refused += 1
                return str(refusal.status), refusal_bytes(refusal)
            if not self._is_known:
                self._is_known = True
                self._wait_at_most(TCP_PATIENCE)
            ready = self.server.site.ready(head.target, head.headers.get("if-none-match")) if head.plain else None
            if ready is None:
                _give_way()
                self._reader.unread(data)
                return super().handle_one_request()
            self.socket.sendall(ready)
            self._let_others_in()

    def _let_others_in(self) -> None:
        self._turns += 1
        if self._turns % _ANSWERS_A_TURN == 0:
            _give_way()

    def get_environ(self) -> dict[str, Any]:
        """Prepare an upgrade: a line in place of the socket, and no compression."""
        environ: dict[str, Any] = super().get_environ()
        if self._head is not None and self._head.headers.get("upgrade", "").lower() == "websocket":
            self.socket.settimeout(None)
            self._upgraded = environ[LINE_KEY] = self.server.site.upgrade(self.socket, self._reader.take())
            environ["wsgi.input"] = self._upgraded.wsgi_input()
            environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return environ

    def run_application(self) -> None:
        """Run Flask; after an upgrade the connection is at its end, and is closed, which pywsgi leaves out."""
        try:
            super().run_application()
        finally:
            if self._upgraded is not None:
                self.close_connection = True
                self._upgraded.end(_DRAIN_LIMIT)

    def log_request(self) -> None:
        """Log no access."""


def refusal_bytes(error: TeleclaudeError) -> bytes:
    """Make the whole response for a request that does not come as far as Flask; the connection ends with it."""
    body = body_of(error)
    head = [
        f"HTTP/1.1 {error.status} {_PHRASES.get(error.status, 'Error')}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if isinstance(error, Unauthorised):
        head.append("WWW-Authenticate: Bearer")
    return "\r\n".join([*head, "", ""]).encode() + body


def _give_way() -> None:
    gevent.sleep(0)
