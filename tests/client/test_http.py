"""One HTTP exchange, from bytes."""

from __future__ import annotations

import pytest

from teleclaude.client.http import HEAD_LIMIT, Response, request_to_send
from teleclaude.core.errors import PeerError

WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "e-7"\r\n\r\n[]'


def fed(*pieces: bytes) -> Response:
    """Give a response that received these pieces."""
    response = Response()
    for piece in pieces:
        response.receive_data(piece)
    return response


@pytest.mark.parametrize("size", [1, 2, 7, len(WHOLE)])
def test_an_answer_in_pieces_of_any_size_is_the_same(size: int) -> None:
    """Whole or byte by byte, the answer is the same."""
    response = fed(*(WHOLE[start : start + size] for start in range(0, len(WHOLE), size)))
    assert response.is_complete
    assert (response.status, response.body, response.headers["etag"]) == (200, b"[]", '"e-7"')


def test_junk_behind_an_answer_is_no_part_of_it() -> None:
    """Bytes after the stated length are left out."""
    assert fed(WHOLE + b"junk").body == b"[]"


def test_without_a_length_the_end_of_the_connection_ends_it() -> None:
    """A body without Content-Length lasts until the end."""
    response = fed(b"HTTP/1.0 200 OK\r\n\r\nab", b"c")
    before_the_end = response.is_complete
    response.receive_data(b"")
    assert (before_the_end, response.is_complete, response.body) == (False, True, b"abc")


def test_not_modified_has_no_body() -> None:
    """A 304 is complete with its headers."""
    assert fed(b"HTTP/1.1 304 Not Modified\r\n\r\n").is_complete


@pytest.mark.parametrize(
    "pieces",
    [
        [b""],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b""],
        [b"SSH-2.0-OpenSSH_9.2\r\n\r\n"],
        [b"HTTP/1.1 abc\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
        [b"x" * (HEAD_LIMIT + 1)],
    ],
)
def test_what_is_no_answer_is_an_error_of_the_peer(pieces: list[bytes]) -> None:
    """Nothing, a cut body, another protocol and endless headers are told as the peer's error."""
    with pytest.raises(PeerError):
        fed(*pieces)


def test_a_request_has_a_length_only_with_a_body() -> None:
    """A GET carries no body headers; a POST says its length."""
    assert b"Content-Length" not in request_to_send("GET", "/x")
    assert request_to_send("POST", "/x", b"{}").endswith(b"Content-Length: 2\r\n\r\n{}")
