"""The TLS side of a listener: its certificate, and handshakes that end in time."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import gevent
from gevent.socket import socket
from gevent.ssl import SSLContext, SSLSocket

log = logging.getLogger(__name__)

HANDSHAKE_WITHIN = 10.0  # seconds


class Certificate:
    """A certificate and its key. Files that changed are read again: one that was renewed counts at once."""

    def __init__(self, cert: str, key: str) -> None:
        """Read both files. Raises OSError, which includes what TLS finds wrong in them."""
        self._cert, self._key = cert, key
        self._stamp = self._stamp_now()
        self._context = self._load()

    def shake_hands(self, sock: socket) -> SSLSocket:
        """Begin TLS on an accepted connection. Raises OSError when the client does not, or takes too long."""
        secure: SSLSocket = self._newest().wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        try:
            with gevent.Timeout(HANDSHAKE_WITHIN, TimeoutError(f"no TLS handshake within {HANDSHAKE_WITHIN:g} s")):
                secure.do_handshake()
        except BaseException:
            secure.close()
            raise
        return secure

    def _newest(self) -> SSLContext:
        try:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._context = self._load()
                self._stamp = stamp
        except OSError as error:  # it is being renewed just now
            log.warning("the last good certificate stays: %s", error)
        return self._context

    def _load(self) -> SSLContext:
        context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._cert, self._key)
        return context

    def _stamp_now(self) -> list[tuple[int, int]]:
        found = [Path(name).stat() for name in (self._cert, self._key)]
        return [(stat.st_mtime_ns, stat.st_ino) for stat in found]
