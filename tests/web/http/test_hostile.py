"""Input that nobody should send: a clear error, and the same process goes on serving everybody else."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.wait import until
from tests.web.daemon import Daemon
from tests.web.raw_http import ask, connected, raw, until_closed
from tests.web.ws import Peer

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def frame(payload: bytes, first: int = 0x81, *, masked: bool = True) -> bytes:
    """Make a client's frame; masked with zeros, so that the payload is as it is."""
    size = len(payload)
    mark = 0x80 if masked else 0
    if size < 126:
        head = bytes((first, mark | size))
    elif size < 65536:
        head = struct.pack("!BBH", first, mark | 126, size)
    else:
        head = struct.pack("!BBQ", first, mark | 127, size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


def close_code(answer: bytes) -> int:
    """The code of the close frame that an answer ends with."""
    at = answer.rindex(b"\x88")
    return int(struct.unpack_from("!H", answer, at + 2)[0])


@contextlib.contextmanager
def unharmed(web: Daemon) -> Iterator[None]:
    """The process is the same, another client is served, no command ran, and nothing failed inside."""
    pid = web.processes["web"].pid
    logged = len(web.log())
    with Peer(web.api) as witness:
        yield
        witness.say(subscribe="sessions")
        assert len(witness.until("sessions_initial")["data"]["sessions"]) == 3
    assert len(web.get("/sessions").json) == 3
    assert web.processes["web"].poll() is None
    assert web.processes["web"].pid == pid
    assert web.requests == []
    assert "Traceback" not in web.log()[logged:]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x80\x04\x95\x1a\0\0\0\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /sessions\r\n\r\n", 400),
        (b"GET /sessions HTTP/1.1\r\n\r\n", 400),
        (b"GET /sessions HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /sessions HTTP/1.1\nHost: a\n\n", 400),
        (b"GET http://a/sessions HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /sessions HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000, 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"POST /refresh HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (
            b"POST /refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nDELETE /sessions/a00001 HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
        (b"POST /refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\nx", 400),
        (b"GET /sessions HTTP/1.1\r\nHost: a\r\nOrigin: http://evil.example\r\n\r\n", 403),
        (b"GET /sessions HTTP/1.1\r\nHost: a\r\nOrigin: null\r\n\r\n", 403),
        (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nOrigin: http://evil.example\r\n\r\n"), 403),
        (b"POST /refresh HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nContent-Length: 0\r\n\r\n", 403),
    ],
)
def test_a_bad_request_is_refused_and_ends_its_connection(web: Daemon, request_bytes: bytes, status: int) -> None:
    """Nothing behind it is read as a request."""
    with unharmed(web):
        answer = raw(web.api, request_bytes)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert len(re.findall(rb"HTTP/1.1 \d", answer)) == 1
        assert b'{"error":{"code":' in answer


@pytest.mark.parametrize(
    "body",
    [
        b'{"title": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"title": "a", "title": "b"}',
        b'{"title": NaN}',
        b'{"title": 1180591620717411303424}',
        b'{"title": "\\ud800"}',
        b'{"title": "\xff"}',
        b'{"title": "a"} trailing',
        b"\x80\x04\x95pickle",
        b"title=a",
        b"",
    ],
)
def test_a_bad_document_is_400(web: Daemon, body: bytes) -> None:
    """Depth, doubled keys, numbers that are none, broken text, other formats."""
    with unharmed(web):
        answer = ask(web.api, "PATCH", "/sessions/a00001", body, {"Content-Type": "application/json"})
        assert answer.status == 400
        assert answer.json["error"]["message"]


NAMES = [
    "#(touch x)",
    "#{pid}",
    "x;",
    "\\;",
    "-R",
    "--",
    "$1",
    "%0",
    "=a",
    "a*",
    "$(id)",
    "`id`",
    "../x",
    "\u202eabc",
    "\x1b]52;c;x\x07",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_are_only_names(web: Daemon, name: str) -> None:
    """As an id they find nothing; as a filter they fit nothing; in an error they are shown, never acted on."""
    with unharmed(web):
        assert web.get(f"/sessions/{quote(name, safe='')}").status == 404
        assert web.get(f"/sessions?computer={quote(name, safe='')}").json == []
        assert web.send("DELETE", f"/sessions/{quote(name, safe='')}").status == 404


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b'"' + b"x" * 1_048_576), 1009),
        (frame(b"x" * 100_000, 0x01) + frame(b"x" * 100_000, 0x00) * 9, 1009),
        (frame(b'{"refresh":true}', masked=False), 1002),
        (frame(b"x", 0xC1), 1002),
        (frame(b"\xff\xfe", 0x81), 1007),
        (frame(b"x", 0x83), 1002),
        (frame(b"x" * 126, 0x89), 1002),
        (frame(b"x", 0x80), 1002),
    ],
    ids=["1 MiB", "fragments", "unmasked", "compressed", "no UTF-8", "opcode", "large ping", "continuation"],
)
def test_a_bad_frame_ends_its_connection_with_a_code(web: Daemon, data: bytes, code: int) -> None:
    """The reason is told in the close frame, and no HTTP is written into the stream."""
    with unharmed(web):
        answer = raw(web.api, HANDSHAKE + data)
        assert answer.startswith(b"HTTP/1.1 101")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert close_code(answer) == code


def test_a_compression_bomb_is_never_inflated(web: Daemon) -> None:
    """Compression is not agreed on, so a compressed frame breaks the protocol."""
    bomb = zlib.compress(b"\0" * 50_000_000, 9)
    offer = HANDSHAKE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
    with unharmed(web):
        assert close_code(raw(web.api, offer + frame(bomb, 0xC1))) == 1002


def test_endless_empty_fragments_hold_no_memory(web: Daemon) -> None:
    """A message that never ends costs nobody anything."""
    with unharmed(web), connected(web.api) as sock:
        sock.sendall(HANDSHAKE + frame(b"", 0x01))
        before = _memory(web)
        for _ in range(50):
            sock.sendall(frame(b"", 0x00) * 1000)
        assert _memory(web) - before < 8 * 1024 * 1024


def test_who_floods_and_does_not_read_is_not_read_from(web: Daemon) -> None:
    """A client that asks for states without end and reads none holds a bounded amount."""
    ask_again = frame(b'{"subscribe":"sessions"}')
    with unharmed(web), connected(web.api) as sock:
        sock.sendall(HANDSHAKE)
        before = _memory(web)
        sock.settimeout(1.0)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 * 1024 * 1024:
                sent += sock.send(ask_again * 1000)
        assert sent < 64 * 1024 * 1024  # it was left waiting
        assert _memory(web) - before < 16 * 1024 * 1024


@contextlib.contextmanager
def flooded(web: Daemon, opening: bytes, junk: bytes, clients: int = 2) -> Iterator[None]:
    """Clients send `opening`, then `junk` without end, and read what comes as fast as they can."""
    flood = [sys.executable, "-c", FLOOD, str(web.api), opening.hex(), junk.hex()]
    processes = [subprocess.Popen(flood, stdout=subprocess.PIPE) for _ in range(clients)]  # noqa: S603
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"flooding\n"
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.communicate(timeout=60)  # the others flooded on, and the machine may be busy


FLOOD = """
import socket, sys, threading
def connected():
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    sock.sendall(bytes.fromhex(sys.argv[2]))
    return sock
def read(sock):
    try:
        while sock.recv(1 << 20): pass
    except OSError: pass
junk = bytes.fromhex(sys.argv[3])
junk *= 1 + (1 << 20) // len(junk)
said = False
while True:
    sock = connected()
    threading.Thread(target=read, args=(sock,), daemon=True).start()
    try:
        while True:
            sock.sendall(junk[:65536] if not said else junk)
            if not said: print("flooding", flush=True)
            said = True
    except OSError: sock.close()
"""


@pytest.mark.parametrize(
    ("opening", "junk"),
    [
        (b"", b"\r\n"),
        (b"GET /sessions HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n"),
        (b"", b"GET /sessions/a00001 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (b"", b"GET /sessions HTTP/1.1\r\nHost: a\r\n\r\n"),
        (b"", b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"),
        (HANDSHAKE, frame(b"", 0x8A)),
        (HANDSHAKE, frame(b"x" * 125, 0x89)),
        (HANDSHAKE + frame(b"", 0x01), frame(b"", 0x00)),
        (HANDSHAKE, frame(b'{"subscribe":"sessions"}')),
    ],
    ids=[
        "blank lines",
        "headers",
        "requests",
        "ready answers",
        "wrong ones",
        "pongs",
        "pings",
        "fragments",
        "messages",
    ],
)
def test_who_floods_without_end_keeps_nobody_waiting(web: Daemon, opening: bytes, junk: bytes) -> None:
    """Whatever is sent, and however fast, others are answered meanwhile."""
    with unharmed(web), flooded(web, opening, junk):
        for _ in range(10):
            assert web.get("/sessions/a00001").status == 200
            with Peer(web.api) as other:
                assert other.hello


def test_one_message_costs_one_state_however_often_it_asks(web: Daemon) -> None:
    """The same subscription said a thousand times is refused; said often, it is answered once."""
    everywhere = {"computer": "*", "types": ["sessions"]}
    with unharmed(web), Peer(web.api) as peer:
        peer.say(subscribe=[everywhere] * 5000)
        assert peer.next()["data"]["field"] == "subscribe"
        peer.say(subscribe=[everywhere, "sessions"] * 100, unwatch={"session_id": "x"})
        peer.say(refresh=False)
        assert peer.next()["event"] == "sessions_initial"
        assert peer.next()["data"]["field"] == "refresh"


def test_a_client_that_pings_without_end_and_reads_nothing_holds_no_memory(web: Daemon) -> None:
    """Its pongs wait, and while they do nothing more is read from it."""
    with unharmed(web), connected(web.api) as sock:
        sock.sendall(HANDSHAKE)
        before = _memory(web)
        sock.settimeout(1.0)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 * 1024 * 1024:
                sent += sock.send(frame(b"x" * 125, 0x89) * 1000)
        assert sent < 64 * 1024 * 1024
        assert _memory(web) - before < 16 * 1024 * 1024


def test_a_broken_handshake_is_400(web: Daemon) -> None:
    """Without a key, of another version, with a body."""
    with unharmed(web):
        for spoilt in (
            HANDSHAKE.replace(b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", b""),
            HANDSHAKE.replace(b"Version: 13", b"Version: 8"),
            HANDSHAKE.replace(b"Host: a", b"Host: a\r\nContent-Length: 5"),
        ):
            answer = raw(web.api, spoilt)
            assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 426 "))


def test_subscriptions_of_one_client_are_bounded(web: Daemon) -> None:
    """Over the limit: an error that names the field, and the old subscriptions stay."""
    with unharmed(web), Peer(web.api) as peer:
        event: dict[str, Any] = {}
        for number in range(257):
            peer.say(subscribe={"computer": f"c{number}", "types": ["sessions"]})
            event = peer.next()
        assert (event["event"], event["data"]["field"]) == ("error", "subscribe")


def test_commands_of_one_client_are_bounded(web: Daemon) -> None:
    """A flood of refreshes becomes errors, not thousands of requests."""
    go_on = threading.Event()
    web.answer = lambda _: {"waited": go_on.wait(10)}
    with Peer(web.api) as peer:
        for _ in range(50):
            peer.say(refresh=True)
        assert peer.until("error")["data"]["code"] == "too_large"
        go_on.set()
        until(lambda: web.requests)
        for _ in range(8):
            peer.until("refreshed")
    web.requests.clear()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
def test_another_user_is_closed_at_once(own: Daemon) -> None:
    """Even where the permissions let them come: the kernel says who it is."""
    own.folder.chmod(0o755)
    own.place.runtime.chmod(0o755)
    own.api.chmod(0o666)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _as_nobody(str(own.api), writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as result:
        assert result.read() == b"connected, then nothing"
    os.waitpid(child, 0)
    assert own.get("/sessions").status == 200


def _as_nobody(path: str, writer: int) -> None:
    try:
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(10)
            sock.connect(path)
            with contextlib.suppress(OSError):
                sock.sendall(b"GET /sessions HTTP/1.1\r\nHost: a\r\n\r\n")
            os.write(writer, b"connected, then " + (until_closed(sock) or b"nothing"))
    finally:
        os._exit(0)


def _memory(web: Daemon) -> int:
    status = Path(f"/proc/{web.processes['web'].pid}/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmRSS:")[1].split()[0])
