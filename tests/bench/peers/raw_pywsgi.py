"""Peer: gevent's WSGI server, and an application that gives ready bytes."""

from __future__ import annotations

import socket as sockets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gevent import socket
from gevent.pywsgi import WSGIServer


def main() -> None:
    """Serve the file argv[2] on the unix socket argv[1]."""
    path, body = sys.argv[1], Path(sys.argv[2]).read_bytes()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]

    def application(_: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], Any]) -> list[bytes]:
        start("200 OK", headers)
        return [body]

    listener = socket.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    listener.bind(path)
    listener.listen(128)
    WSGIServer(listener, application, log=None, error_log=None).serve_forever()


main()
