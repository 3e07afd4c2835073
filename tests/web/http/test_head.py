"""Heads of requests, and the reader that cuts them out of a stream."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.errors import TeleclaudeError, TooLarge, UserError
from teleclaude.web.api.error_responses import BadRequest, HeadTooLarge, LengthRequired
from teleclaude.web.http.head import HEAD_LIMIT, parse
from teleclaude.web.http.snapshot_reader import Reader

GOOD = b'GET /sessions?computer=a HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: "a-1"\r\n\r\n'


class Source:
    """Gives what it has in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def recv(self, size: int) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > size:
            self.pieces.insert(0, piece[size:])
        return piece[:size]


def test_a_plain_head_is_read() -> None:
    """Method, target and headers by lower-case name."""
    head = parse(GOOD)
    assert (head.method, head.target, head.minor, head.plain) == ("GET", "/sessions?computer=a", 1, True)
    assert head.headers == {"host": "localhost", "if-none-match": '"a-1"'}


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("GET / HTTP/1.1", BadRequest),  # no Host
        ("GET / HTTP/1.1|Host: a|Host: b", BadRequest),
        ("GET / HTTP/1.1|Host: a|host: a", BadRequest),
        ("GET /\x00 HTTP/1.1|Host: a", BadRequest),
        ("GET /\xe9 HTTP/1.1|Host: a", BadRequest),
        ("GET  / HTTP/1.1|Host: a", BadRequest),
        ("GET http://evil/ HTTP/1.1|Host: a", BadRequest),
        ("GET / HTTP/2.0|Host: a", BadRequest),
        ("GET /", BadRequest),
        ("GET / HTTP/1.1|Host : a", BadRequest),
        ("GET / HTTP/1.1|Host: a| folded: b", BadRequest),
        ("GET / HTTP/1.1|Host: a|X: b\nY: c", BadRequest),
        ("GET / HTTP/1.1|Host: a|X: b\rY: c", BadRequest),
        ("GET / HTTP/1.1|Host: a|X: \x00", BadRequest),
        ("GET / HTTP/1.1|Host: a|no colon", BadRequest),
        ("POST / HTTP/1.1|Host: a|Content-Length: 1|Content-Length: 2", BadRequest),
        ("POST / HTTP/1.1|Host: a|Content-Length: +1", BadRequest),
        ("POST / HTTP/1.1|Host: a|Content-Length: -1", BadRequest),
        ("POST / HTTP/1.1|Host: a|Content-Length: 1_0", BadRequest),
        ("POST / HTTP/1.1|Host: a|Content-Length: \xb2", BadRequest),
        ("POST / HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: chunked", BadRequest),
        ("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked", LengthRequired),
        ("POST / HTTP/1.1|Host: a|Content-Length: 9999999", TooLarge),
        ("POST / HTTP/1.1|Host: a|Content-Length: " + "9" * 5000, TooLarge),
        ("POST / HTTP/1.1|Host: a|Content-Length: 5|Upgrade: websocket", BadRequest),
        ("GET /" + "a" * 5000 + " HTTP/1.1|Host: a", HeadTooLarge),
        ("GET / HTTP/1.1|Host: a" + "|X: y" * 101, HeadTooLarge),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(lines: str, error: type[TeleclaudeError]) -> None:
    """Each is an error of its own kind, never a guess."""
    with pytest.raises(error):
        parse(lines.replace("|", "\r\n").encode("latin-1") + b"\r\n\r\n")


@pytest.mark.parametrize(
    "header", ["Content-Length: 0", "Origin: null", "Upgrade: x", "Connection: close", "Expect: x"]
)
def test_only_a_plain_get_takes_the_short_way(header: str) -> None:
    """Whatever needs thought goes through Flask."""
    assert not parse(f"GET /sessions HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n".encode()).plain
    assert not parse(b"HEAD /sessions HTTP/1.1\r\nHost: a\r\n\r\n").plain


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_an_error(data: bytes) -> None:
    """Nothing else is raised."""
    for noise in (data, b"GET / HTTP/1.1\r\nHost: a\r\n" + data):
        with contextlib.suppress(UserError):
            parse(noise + b"\r\n\r\n")


def test_a_head_is_cut_out_however_it_arrives() -> None:
    """Whole, byte by byte, and with the next request behind it."""
    whole = Reader(Source(GOOD))
    assert (whole.receive_head(), whole.receive_head()) == (GOOD, b"")
    slow = Reader(Source(*(bytes((byte,)) for byte in GOOD)))
    assert slow.receive_head() == GOOD
    crowded = Reader(Source(b"\r\n" + GOOD + GOOD + b"rest"))
    assert (crowded.receive_head(), crowded.receive_head(), crowded.receive_head()) == (GOOD, GOOD, b"")
    assert crowded.take() == b"rest"


def test_a_head_without_end_is_refused() -> None:
    """Memory for it is bounded, and bare line feeds do not wait for ever."""
    with pytest.raises(HeadTooLarge):
        Reader(Source(*[b"x" * 1024] * (HEAD_LIMIT // 1024 + 2))).receive_head()
    with pytest.raises(BadRequest):
        Reader(Source(b"GET / HTTP/1.1\nHost: a\n\n")).receive_head()


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9), st.integers(0, 40))
def test_the_parser_behind_reads_all_of_it(pieces: list[bytes], size: int) -> None:
    """`read` and `readline` give each byte once and in order."""
    data = b"".join(pieces)
    reader = Reader(Source(*pieces))
    assert reader.read(size) == data[:size]
    lines = []
    while line := reader.readline(7):
        assert len(line) <= 7
        assert b"\n" not in line[:-1]
        lines.append(line)
    assert b"".join(lines) == data[size:]


def test_a_head_can_be_put_back() -> None:
    """What was looked at is read again."""
    reader = Reader(Source(GOOD + b"body"))
    reader.unread(reader.receive_head())
    assert reader.readline() == GOOD.splitlines(keepends=True)[0]
    assert reader.read() == GOOD.partition(b"\r\n")[2] + b"body"
