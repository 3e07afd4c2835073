"""Bytes become keys: whole, byte by byte, and with junk behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.tui.keys import PASTE_LIMIT, Input, Key, KeyReader, Paste

KNOWN = {
    b"a": "a",
    b"G": "G",
    "ü".encode(): "ü",
    "漢".encode(): "漢",
    "🎉".encode(): "🎉",
    b"\r": "enter",
    b"\n": "ctrl+j",
    b"\t": "tab",
    b"\x7f": "backspace",
    b"\x13": "ctrl+s",
    b"\x03": "ctrl+c",
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[C": "right",
    b"\x1b[D": "left",
    b"\x1b[H": "home",
    b"\x1bOH": "home",
    b"\x1b[1~": "home",
    b"\x1b[7~": "home",
    b"\x1b[F": "end",
    b"\x1b[4~": "end",
    b"\x1b[8~": "end",
    b"\x1b[5~": "pgup",
    b"\x1b[6~": "pgdn",
    b"\x1b[3~": "delete",
    b"\x1b[Z": "shift+tab",
    b"\x1b[1;5C": "ctrl+right",
    b"\x1b[1;3D": "alt+left",
    b"\x1b[1;2A": "shift+up",
    b"\x1bOM": "enter",
    b"\x1b[13;2u": "shift+enter",
    b"\x1b[115;5u": "ctrl+s",
    b"\x1bx": "alt+x",
    b"\x1b\r": "alt+enter",
    b"\x1bOP": "f1",
}


def read(*pieces: bytes) -> list[Input]:
    """Feed pieces, then nothing more."""
    reader = KeyReader()
    found = [key for piece in pieces for key in reader.receive_data(piece)]
    return found + reader.flush()


@pytest.mark.parametrize(("data", "name"), KNOWN.items())
def test_every_key_whole_and_byte_by_byte_and_before_others(data: bytes, name: str) -> None:
    """However the bytes arrive, it is the same one key; what follows is not eaten."""
    assert read(data) == [Key(name)]
    assert read(*(data[i : i + 1] for i in range(len(data)))) == [Key(name)]
    assert read(data + b"q") == [Key(name), Key("q")]


def test_escape_alone_is_told_when_nothing_follows() -> None:
    """ESC waits for what may follow; flushed, it is the key; twice, it is at least one key at once."""
    reader = KeyReader()
    assert reader.receive_data(b"\x1b") == []
    held = reader.pending
    assert reader.flush() == [Key("esc")]
    assert (held, reader.pending) == (True, False)
    assert read(b"\x1b\x1b") == [Key("esc"), Key("esc")]
    assert read(b"\x1b\x1b[A") == [Key("esc"), Key("up")]


@pytest.mark.parametrize(
    "report",
    [
        b"\x1b[<0;10;5M",
        b"\x1b[12;40R",
        b"\x1b[?2026;2$y",
        b"\x1b[?62;22c",
        b"\x1bP>|xterm\x1b\\",
        b"\x1b]11;rgb:0/0/0\x07",
        b"\x1b[I",
    ],
)
def test_what_the_terminal_reports_is_no_key(report: bytes) -> None:
    """Mouse reports and answers to questions never act as keys."""
    assert read(report + b"q") == [Key("q")]
    assert read(*(report[i : i + 1] for i in range(len(report))), b"q") == [Key("q")]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_paste_is_one_text_however_it_arrives(size: int) -> None:
    """A paste is text, not keys: a newline in it is no Enter, an escape in it no command."""
    data = "\x1b[200~line one\rline two\r\nläst\x1b[A\x1b[201~x".encode()
    assert read(*(data[i : i + size] for i in range(0, len(data), size))) == [
        Paste("line one\nline two\nläst\x1b[A"),
        Key("x"),
    ]


def test_a_large_paste_is_quick_and_an_endless_one_bounded() -> None:
    """A quarter of a megabyte comes as one; a paste that never ends costs no more than its limit."""
    text = "x" * 262_144
    assert read(b"\x1b[200~" + text.encode() + b"\x1b[201~") == [Paste(text)]
    reader = KeyReader()
    reader.receive_data(b"\x1b[200~")
    for _ in range(40):
        reader.receive_data(b"y" * 65536)
    assert len(reader._buffer) <= PASTE_LIMIT + 65536


@given(st.binary(max_size=60))
def test_no_bytes_are_an_error_and_cutting_them_changes_nothing_of_what_is_known(data: bytes) -> None:
    """Whatever arrives, in whatever pieces, gives keys and ends."""
    reader = KeyReader()
    for start in range(len(data)):
        reader.receive_data(data[start : start + 1])
    reader.flush()
    assert not reader.pending
    KeyReader().receive_data(data)
