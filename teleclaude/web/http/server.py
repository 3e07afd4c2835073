"""One listener: how many may come, its gate, and TLS where it has any."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gevent.pywsgi import WSGIServer
from gevent.socket import socket

from teleclaude.core.errors import Unavailable
from teleclaude.web.http.handler import Handler, UpgradedConnection, refusal_bytes
from teleclaude.web.http.head import Head, parse
from teleclaude.web.http.security import Gate

if TYPE_CHECKING:
    from teleclaude.web.http.tls import Certificate

log = logging.getLogger(__name__)

_HEADS_KEPT: Final = 512
_HEAD_KEPT_LIMIT: Final = 1024


@dataclass(frozen=True, slots=True)
class Site:
    """What is served: a WSGI application, and two ways around it.

    `ready` gives the whole response to a plain GET by (target, If-None-Match), or None where the application must
    make it; `upgrade` takes a connection and what came early on it, when it is to speak WebSocket.
    """

    app: Any
    ready: Callable[[str, str | None], bytes | None]
    upgrade: Callable[[socket, bytes], UpgradedConnection]


class HttpServer(WSGIServer):  # type: ignore[misc]  # gevent is untyped
    """Serves a site on `listener`, to at most `limit` connections at a time; `refused` counts requests."""

    handler_class = Handler

    def __init__(
        self, listener: socket, site: Site, gate: Gate, limit: int, certificate: Certificate | None = None
    ) -> None:
        super().__init__(listener, site.app, log=None, error_log=logging.getLogger("teleclaude.web.http"))
        self.site, self.gate, self.limit = site, gate, limit
        self.connections = 0
        self.refused = 0
        self._certificate = certificate
        self._heads: dict[bytes, Head] = {}

    def handle(self, sock: socket, address: Any) -> None:
        """Serve one connection until it ends. It counts from its first moment, before any handshake."""
        self.connections += 1
        try:
            if self.connections > self.limit:
                self._turn_away(sock)
            elif self._certificate is None:
                super().handle(sock, address)
            else:
                super().handle(self._certificate.shake_hands(sock), address)
        except OSError as error:
            log.debug("a connection broke: %s", error)
        finally:
            self.connections -= 1

    def _turn_away(self, sock: socket) -> None:
        if self._certificate is None:
            sock.setblocking(False)  # it fits what the kernel keeps for a new connection, or is not worth a wait
            sock.send(refusal_bytes(Unavailable("too many connections")))

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
