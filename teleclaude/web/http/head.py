"""The head of an HTTP request, read strictly. Pure: bytes in, a Head out.

Rules of this module:
- What two readers could understand in two ways is refused: two Hosts or lengths, a folded line, a bare line feed,
  blanks before a colon, a transfer coding. So nothing can be smuggled past it to the parser behind.
- A body says its length. Chunked bodies are refused (RFC 9112, section 6.1, allows that).

It knows no sockets and no routes.
"""

from __future__ import annotations

import re
from typing import Final

from teleclaude.core.errors import TooLarge
from teleclaude.web.http.error_responses import BadRequest, HeadTooLarge, LengthRequired

HEAD_LIMIT: Final = 32 * 1024
HEADERS_LIMIT: Final = 100
TARGET_LIMIT: Final = 4096
BODY_LIMIT: Final = 64 * 1024
TEXT_BODY_LIMIT: Final = 6 * 256 * 1024 + 4096  # a message of 256 KiB, each byte of it escaped as \\u00XX

_REQUEST = re.compile(rb"([A-Za-z]{1,32}) (/[\x21-\x7e]*) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_ONCE = frozenset(
    {"host", "content-length", "transfer-encoding", "authorization", "origin", "upgrade", "connection", "expect"}
)
_NOT_PLAIN = frozenset({"content-length", "origin", "upgrade", "expect", "range"})


class Head:
    """Method, target, minor version, and headers by their names in lower case; repeated ones joined by commas."""

    __slots__ = ("headers", "method", "minor", "plain", "target")

    def __init__(self, method: str, target: str, minor: int, headers: dict[str, str]) -> None:
        self.method, self.target, self.minor, self.headers = method, target, minor, headers
        self.plain = (
            method == "GET"
            and minor == 1
            and headers.keys().isdisjoint(_NOT_PLAIN)
            and headers.get("connection", "keep-alive").lower() == "keep-alive"
        )

    @property
    def upgrades(self) -> bool:
        """Tell whether the client asks for another protocol."""
        return "upgrade" in self.headers


def parse(data: bytes) -> Head:
    """Read a head, up to and with its empty line.

    Raises BadRequest, TooLarge (by the length it announces), HeadTooLarge or LengthRequired.
    """
    lines = data[:-4].split(b"\r\n")
    request = _REQUEST.fullmatch(lines[0])
    if not request:
        raise BadRequest("the request line must be METHOD /path HTTP/1.1")
    if len(request[2]) > TARGET_LIMIT or len(lines) - 1 > HEADERS_LIMIT:
        raise HeadTooLarge(f"at most {TARGET_LIMIT} bytes of path and query, and {HEADERS_LIMIT} headers")
    found = Head(request[1].decode(), request[2].decode(), int(request[3]), _headers(lines[1:]))
    _check(found)
    return found


def _headers(lines: list[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if not header:
            raise BadRequest("a header must be one line, `name: value`, without control characters")
        name, value = header[1].decode().lower(), header[2].decode("latin-1").rstrip()
        if name in found:
            if name in _ONCE:
                raise BadRequest(f"the header {name} is there twice", field=name)
            value = f"{found[name]}, {value}"
        found[name] = value
    return found


def _check(head: Head) -> None:
    length = head.headers.get("content-length")
    if head.minor == 1 and "host" not in head.headers:
        raise BadRequest("HTTP/1.1 asks for a Host header", field="host")
    if "transfer-encoding" in head.headers:
        if length is not None:
            raise BadRequest("both Content-Length and Transfer-Encoding", field="transfer-encoding")
        raise LengthRequired("a body must come with a Content-Length, not chunked", field="content-length")
    if length is not None:
        if not (length.isascii() and length.isdigit()):
            raise BadRequest("Content-Length must be a number", field="content-length")
        if len(length) > 16 or int(length) > TEXT_BODY_LIMIT:
            raise TooLarge(f"a body has at most {BODY_LIMIT} bytes, with a message {TEXT_BODY_LIMIT}", field="body")
    if head.upgrades and (head.method != "GET" or length not in {None, "0"}):
        raise BadRequest("only a GET without a body can be upgraded", field="upgrade")
