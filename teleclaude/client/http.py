"""One HTTP/1.1 exchange, without I/O: bytes to send, bytes received.

Why not http.client: its import costs a fifth of the time to the first painted row, and all that is needed here is
one request and one answer on a unix socket. It knows no socket and no clock.
"""

from __future__ import annotations

from teleclaude.core.errors import PeerError

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 256 * 1024 * 1024


def request_to_send(method: str, target: str, body: bytes | None = None) -> bytes:
    """Give the bytes of a request; `target` is already quoted, `body` is JSON. The answer ends the connection."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", "Accept: application/json"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")


class Response:
    """An answer that grows as bytes are received. Header names are in lower case."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_complete = False
        self._buffer = bytearray()
        self._length: int | None = None

    @property
    def body(self) -> bytes:
        """The body, as far as it has come."""
        return bytes(self._buffer) if self.status else b""

    def receive_data(self, data: bytes) -> None:
        """Take bytes; empty means that the other side closed. Raises PeerError for what is no HTTP answer."""
        self._buffer += data
        if not self.status:
            self._read_head()
        if self.status:
            self._read_body(is_end=not data)
        elif not data:
            raise PeerError("the daemon closed the connection without an answer")

    def _read_head(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise PeerError("the daemon's answer has no end of headers")
            return
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        parts = first.split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdecimal():
            raise PeerError("what answers at the daemon's socket does not speak HTTP")
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        if "transfer-encoding" in self.headers:
            raise PeerError("the daemon answered in chunks, which it never does")
        length = self.headers.get("content-length", "")
        if length and (not length.isdecimal() or int(length) > BODY_LIMIT):
            raise PeerError(f"the daemon's answer has a bad length: {length[:20]}")
        self._length = int(length) if length else None
        del self._buffer[: end + 4]
        self.status = int(parts[1])

    def _read_body(self, *, is_end: bool) -> None:
        if self.status in {204, 304}:
            self._length = 0
        if self._length is None:
            self.is_complete = is_end
            return
        if len(self._buffer) >= self._length:
            del self._buffer[self._length :]
            self.is_complete = True
        elif is_end:
            raise PeerError("the daemon's answer was cut off")
