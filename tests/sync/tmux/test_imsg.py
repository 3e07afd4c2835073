"""tmux' own protocol: what is sent, and every way in which an answer can come."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.errors import PeerError, TooLarge
from teleclaude.sync.tmux.imsg import PROTOCOL, Broken, Conversation, OtherProtocol


def message(kind: int, body: bytes, *, protocol: int = PROTOCOL) -> bytes:
    """A message as the server sends it."""
    return struct.pack("=IHHII", kind, 16 + len(body), 0, protocol, 0xFFFFFFFF) + body


def parts(data: bytes) -> list[tuple[int, bytes]]:
    """Messages that a client sent, as (kind, body)."""
    found = []
    while data:
        kind, length = struct.unpack_from("=IH", data)
        found.append((kind, data[16:length]))
        data = data[length:]
    return found


PRINTED = (
    message(303, struct.pack("=iii", 1, 1, 0))
    + message(304, struct.pack("=i", 1) + b"one\n")
    + message(304, struct.pack("=i", 1) + b"two\n")
    + message(306, struct.pack("=i", 1))
    + message(203, struct.pack("=i", 0))
)
COMPLAINED = (
    message(303, struct.pack("=iii", 2, 2, 0))
    + message(304, struct.pack("=i", 2) + b"can't find pane: %9\n")
    + message(203, struct.pack("=i", 1))
)


def test_opening_says_who_and_what() -> None:
    """The opening ends with the command, its words as they are."""
    sent = parts(Conversation().opening([b"list-panes", b"-F", b"#{x} ;\n"], 42))
    assert sent[-1] == (200, struct.pack("=i", 3) + b"list-panes\0-F\0#{x} ;\n\0")
    assert sent[-2] == (106, b"")
    assert (107, struct.pack("=i", 42)) in sent


def test_opening_too_large() -> None:
    """A command that tmux would not take is refused before it is sent."""
    with pytest.raises(TooLarge):
        Conversation().opening([b"x" * 16400], 1)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 17, 1000])
def test_answer_in_pieces(size: int) -> None:
    """An answer is the same whole, byte by byte, and with junk behind it; output is asked for once."""
    conversation = Conversation()
    data = PRINTED + b"junk"
    sent = b""
    for at in range(0, len(data), size):
        sent += conversation.receive_data(data[at : at + size])
    assert conversation.answer is not None
    assert (conversation.answer.ok, conversation.answer.output) == (True, b"one\ntwo\n")
    assert parts(sent) == [(305, struct.pack("=ii", 1, 0))]


def test_complaint() -> None:
    """What tmux complains of is the error."""
    conversation = Conversation()
    conversation.receive_data(COMPLAINED)
    assert conversation.answer is not None
    assert (conversation.answer.ok, conversation.answer.error) == (False, "can't find pane: %9")


@given(st.binary(max_size=40_000))
def test_input_is_fed_whole(data: bytes) -> None:
    """Standard input arrives in order and in messages that tmux takes, with an end."""
    sent = parts(Conversation(data).receive_data(message(300, struct.pack("=ii", 3, 0) + b"-\0")))
    assert all(kind == 301 and body[:4] == struct.pack("=i", 3) for kind, body in sent[:-1])
    assert b"".join(body[4:] for _, body in sent[:-1]) == data
    assert sent[-1] == (302, struct.pack("=ii", 3, 0))


def test_other_files_are_not_read() -> None:
    """The server is given standard input and no other file."""
    sent = parts(Conversation(b"secret").receive_data(message(300, struct.pack("=ii", 3, 7) + b"/etc/passwd\0")))
    assert sent == [(302, struct.pack("=ii", 3, 9))]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Broken),
        (message(12, b""), OtherProtocol),
        (message(203, b"\0\0\0\0", protocol=9), OtherProtocol),
        (message(210, b""), Broken),
        (message(303, b"\1"), PeerError),
        (struct.pack("=IHHII", 203, 3, 0, PROTOCOL, 0), PeerError),
        (struct.pack("=IHHII", 203, 0xFFFF, 0, PROTOCOL, 0), PeerError),
    ],
)
def test_no_answer(data: bytes, error: type[PeerError]) -> None:
    """An end, another protocol, a shutdown and broken messages are each told as what they are."""
    with pytest.raises(error):
        Conversation().receive_data(data)


@given(st.binary(max_size=200))
def test_junk_is_never_an_answer(data: bytes) -> None:
    """Bytes that are no answer raise PeerError or wait for more."""
    conversation = Conversation()
    try:
        conversation.receive_data(data)
    except PeerError:
        return
    assert conversation.answer is None or data[:4] == struct.pack("=I", 203)
