"""A webhook: one POST, within a bounded time. Its URL is a secret, and so is all that it answers.

No redirect is followed: it would carry the text, and perhaps the secret, to somebody else.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from teleclaude.core.notify_settings import NotifyRule, url_trouble
from teleclaude.sync.attention.outlets import NotDelivered
from teleclaude.sync.attention.wording import Words, fields_of, filled_in

POST_WITHIN = 10.0  # seconds, in all but the look-up of the name
STEP_WITHIN = 5.0


def post(rule: NotifyRule, words: Words) -> None:
    """Tell it. Raises NotDelivered."""
    url = _url(rule.url)
    fields = fields_of(words)
    if rule.json:
        kind, body = "application/json", json.dumps(filled_in(rule.json, fields)).encode()
    else:
        kind, body = "text/plain; charset=utf-8", f"{words.title}\n{words.text}".encode()
    headers = {"Content-Type": kind, "User-Agent": "teleclaude"}
    headers |= {name: _header(filled_in(value, fields)) for name, value in rule.headers.items()}
    try:
        status = _status_of(url, body, headers)
    except (OSError, http.client.HTTPException) as error:
        raise NotDelivered(f"no answer: {_reason(error)}") from None  # its chain could show the URL
    if not 200 <= status < 300:
        hint = ": it leads elsewhere, which is not followed; give the address where it ends" if status < 400 else ""
        raise NotDelivered(f"answered {status}{hint}")


def _url(setting: str) -> str:
    if not setting.startswith("@"):
        return setting
    try:
        url = Path(setting[1:]).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        raise NotDelivered(f"the file of its URL cannot be read: {getattr(error, 'strerror', '') or error}") from None
    trouble = url_trouble(url)
    if trouble:
        raise NotDelivered(f"the URL in its file {trouble}")
    return url


def _status_of(url: str, body: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with contextlib.closing(connection), _until(connection):
        connection.request("POST", target, body, headers)
        return connection.getresponse().status


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=STEP_WITHIN, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=STEP_WITHIN)


@contextlib.contextmanager
def _until(connection: http.client.HTTPConnection) -> Iterator[None]:
    """End a connection that is not done in time: one that sends a byte a second is never late by itself."""

    def end() -> None:
        if connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(POST_WITHIN, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _header(text: str) -> str:
    """One line of a header; what is not ASCII is encoded (RFC 2047)."""
    return text if text.isascii() else f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason}"
    return getattr(error, "strerror", None) or type(error).__name__
