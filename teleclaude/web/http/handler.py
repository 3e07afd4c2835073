"""One connection: who it is, whole heads, ready answers at once, everything else through pywsgi and Flask.

A GET of all of a kind whose bytes are ready is answered before Flask, head and body in one send; heads that came
before are not even parsed again. Whatever is not as plain as that takes the long way, and gets the same bytes.
"""

from __future__ import annotations

import logging
import socket as sockets
import time
from typing import Any, Final

import gevent
from gevent.pywsgi import WSGIHandler, WSGIServer
from gevent.socket import socket

from teleclaude.core.errors import TeleclaudeError, Unavailable
from teleclaude.core.peer import is_same_user
from teleclaude.web.api.error_responses import Unauthorised, body_of
from teleclaude.web.api.queries import Reads
from teleclaude.web.http.head import Head, parse
from teleclaude.web.http.security import Gate
from teleclaude.web.http.snapshot_reader import Reader
from teleclaude.web.push.websocket_transport import Line, UpgradedInput

log = logging.getLogger(__name__)

LINE_KEY: Final = "teleclaude.line"
CONNECTIONS_LIMIT: Final = 4096
TCP_PATIENCE: Final = 30.0  # seconds that a TCP client may take for a part of its request
_HEADS_KEPT: Final = 512
_HEAD_KEPT_LIMIT: Final = 1024
_TURN: Final = 32  # answers to one client without letting others in
_SEND_BUFFER: Final = 1024 * 1024  # asks for as much as the kernel allows: 1,000 sessions then go in one call
_DRAIN_LIMIT: Final = 1.0  # seconds for the last frames of a client
_PHRASES: Final = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 411: "Length Required"} | {
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Handler(WSGIHandler):  # type: ignore[misc]  # gevent is untyped
    """Serves one connection until it ends."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]  # gevent's stub knows its own server only

    def __init__(self, sock: socket, address: Any, server: Server) -> None:
        reader = Reader(sock)
        super().__init__(sock, address, server, rfile=reader)  # pyright: ignore[reportCallIssue]  # the stub leaves it out
        self._reader = reader
        self._head: Head | None = None
        self._line: Line | None = None
        self._turns = 0

    def handle(self) -> None:
        """Serve, unless it is another user, or one too many."""
        self.server.connections += 1
        try:
            if self._is_welcome():
                super().handle()
        except OSError as error:
            log.debug("a connection broke: %s", error)
        finally:
            self.server.connections -= 1
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
            self.socket.settimeout(TCP_PATIENCE)
        if self.server.connections > self.server.connections_limit:
            self.socket.sendall(refusal_bytes(Unavailable("too many connections")))
            self.socket.close()
            return False
        return True

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
            ready = self.server.reads.ready(head.target, head.headers.get("if-none-match")) if head.plain else None
            if ready is None:
                self._reader.unread(data)
                return super().handle_one_request()
            self.socket.sendall(ready)
            self._let_others_in()

    def _let_others_in(self) -> None:
        self._turns += 1
        if self._turns % _TURN == 0:
            gevent.sleep(0)

    def get_environ(self) -> dict[str, Any]:
        """Prepare an upgrade: a line in place of the socket, and no compression."""
        environ: dict[str, Any] = super().get_environ()
        if self._head is not None and self._head.headers.get("upgrade", "").lower() == "websocket":
            self.socket.settimeout(None)
            self._line = environ[LINE_KEY] = Line(self.socket, self._reader.take())
            environ["wsgi.input"] = UpgradedInput(self._line)
            environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return environ

    def run_application(self) -> None:
        """Run Flask; after an upgrade the connection is at its end, and is closed, which pywsgi leaves out."""
        try:
            super().run_application()
        finally:
            if self._line is not None:
                self.close_connection = True
                self._line.outbox.finish(_DRAIN_LIMIT)
                self._line.outbox.abort()

    def log_request(self) -> None:
        """Log no access."""


class Server(WSGIServer):  # type: ignore[misc]  # gevent is untyped
    """One listener with its gate."""

    handler_class = Handler

    def __init__(self, listener: socket, app: Any, gate: Gate, reads: Reads, **tls: Any) -> None:
        super().__init__(listener, app, log=None, error_log=logging.getLogger("teleclaude.web.http"), **tls)
        self.gate, self.reads = gate, reads
        self.connections = 0
        self.connections_limit = CONNECTIONS_LIMIT
        self.refused = 0
        self._heads: dict[bytes, Head] = {}

    def head(self, data: bytes) -> Head:
        """Parse a head, or know it again. Heads with tokens are not kept."""
        found = self._heads.get(data)
        if found is None:
            found = parse(data)
            if found.plain and self.gate.is_local and len(data) <= _HEAD_KEPT_LIMIT:
                if len(self._heads) >= _HEADS_KEPT:
                    self._heads.clear()
                self._heads[data] = found
        return found


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
