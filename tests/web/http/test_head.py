"""Heads of requests, and the reader that cuts them out of a stream."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.errors import TeleclaudeError, TooLarge, UserError
from teleclaude.web.http.error_responses import BadRequest, HeadTooLarge, HeadTooSlow, LengthRequired
from teleclaude.web.http.head import HEAD_LIMIT, parse
from teleclaude.web.http.request_reader import HEAD_WITHIN, READS_A_TURN, RequestReader

GOOD = b'GET /sessions?computer=a HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: "a-1"\r\n\r\n'


class Source:
    """Gives what it has in pieces, each after `takes` seconds of its own clock."""

    def __init__(self, *pieces: bytes, takes: float = 0.0) -> None:
        self.pieces = list(pieces)
        self.takes, self.now, self.timeout = takes, 0.0, float("inf")
        self.reads = 0

    def settimeout(self, seconds: float | None) -> None:
        self.timeout = float("inf") if seconds is None else seconds

    def recv(self, size: int) -> bytes:
        self.reads += 1
        self.now += min(self.takes, self.timeout)
        if self.takes > self.timeout:
            raise TimeoutError
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > size:
            self.pieces.insert(0, piece[size:])
        return piece[:size]


def reader_of(*pieces: bytes, takes: float = 0.0) -> RequestReader:
    """A reader of pieces that come one by one."""
    source = Source(*pieces, takes=takes)
    return RequestReader(source, lambda: None, lambda: source.now)


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
    whole = reader_of(GOOD)
    assert (whole.receive_head(), whole.receive_head()) == (GOOD, b"")
    slow = reader_of(*(bytes((byte,)) for byte in GOOD))
    assert slow.receive_head() == GOOD
    crowded = reader_of(b"\r\n" + GOOD + GOOD + b"rest")
    assert (crowded.receive_head(), crowded.receive_head(), crowded.receive_head()) == (GOOD, GOOD, b"")
    assert crowded.take() == b"rest"


def test_a_head_without_end_is_refused() -> None:
    """Memory for it is bounded, and bare line feeds do not wait for ever."""
    with pytest.raises(HeadTooLarge):
        reader_of(*[b"x" * 1024] * (HEAD_LIMIT // 1024 + 2)).receive_head()
    with pytest.raises(BadRequest):
        reader_of(b"GET / HTTP/1.1\nHost: a\n\n").receive_head()


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9), st.integers(0, 40))
def test_the_parser_behind_reads_all_of_it(pieces: list[bytes], size: int) -> None:
    """`read` and `readline` give each byte once and in order."""
    data = b"".join(pieces)
    reader = reader_of(*pieces)
    assert reader.read(size) == data[:size]
    lines = []
    while line := reader.readline(7):
        assert len(line) <= 7
        assert b"\n" not in line[:-1]
        lines.append(line)
    assert b"".join(lines) == data[size:]


def test_a_head_can_be_put_back() -> None:
    """What was looked at is read again."""
    reader = reader_of(GOOD + b"body")
    reader.unread(reader.receive_head())
    assert reader.readline() == GOOD.splitlines(keepends=True)[0]
    assert reader.read() == GOOD.partition(b"\r\n")[2] + b"body"


def test_blank_lines_before_a_head_are_bounded() -> None:
    """One is passed over, as HTTP has it; a client that sends nothing else is refused at its second."""
    assert reader_of(b"\r\n", GOOD).receive_head() == GOOD
    source = Source(*[b"\r\n" * 4096] * 100)
    with pytest.raises(BadRequest, match="blank line"):
        RequestReader(source, lambda: None).receive_head()
    assert source.reads == 1


def test_a_head_must_be_whole_in_time() -> None:
    """From its first byte to its last, however often something comes; before its first byte there is no haste."""
    with pytest.raises(HeadTooSlow):
        reader_of(*(bytes((byte,)) for byte in GOOD), takes=HEAD_WITHIN / 8).receive_head()
    with pytest.raises(HeadTooSlow):
        reader_of(GOOD[:5], b"", takes=2 * HEAD_WITHIN).receive_head()
    patient = reader_of(GOOD, GOOD, takes=5 * HEAD_WITHIN)
    assert (patient.receive_head(), patient.receive_head()) == (GOOD, GOOD)


def test_an_idle_connection_waits_as_long_as_it_may() -> None:
    """What a slow head left of its time does not count for what is read behind it."""
    source = Source(GOOD[:5], GOOD[5:], GOOD, takes=3.0)
    reader = RequestReader(source, lambda: None, lambda: source.now)
    reader.idle = 4.0
    assert reader.receive_head() == GOOD
    assert source.timeout == 4.0
    source.takes = 5.0
    with pytest.raises(TimeoutError):
        reader.receive_head()


def test_others_have_their_turn_while_one_is_read() -> None:
    """A client that always has more to say lets go every so many reads."""
    turns: list[int] = []
    reader = RequestReader(Source(*[b"x"] * 100), lambda: turns.append(1))
    assert reader.read(64) == b"x" * 64
    assert len(turns) == 64 // READS_A_TURN
