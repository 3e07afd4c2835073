"""Bytes become keys: whole, byte by byte, and with junk behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.tui.keys import ESC_DELAY, PASTE_DELAY, PASTE_LIMIT, SEQUENCE_DELAY, Input, Key, KeyReader, Paste

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
    b"\x1b[27;2;13~": "shift+enter",
    b"\x1b[27;5;115~": "ctrl+s",
    b"\x1b[27;6;1114111~": "ctrl+\U0010ffff",
    b"\x1b[97u": "a",
    b"\x1b[97;2u": "A",
    b"\x1b[49:33;2u": "!",
    b"\x1b[97;1:2u": "a",
    b"\x1b[1;1:1B": "down",
    b"\x1b[57414u": "enter",
    b"\x1b[57401;1u": "2",
    b"\x1b[105;5u": "tab",
    b"\x1b\xc3\xa4": "alt+ä",
    b"\x1b[": "alt+[",
    b"\x1bO": "alt+O",
}
SEQUENCES_BEGUN = {b"\x1b[", b"\x1bO"}  # keys only when nothing follows


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
    if data not in SEQUENCES_BEGUN:
        assert read(data + b"q") == [Key(name), Key("q")]


def test_escape_alone_is_told_when_nothing_follows() -> None:
    """ESC waits for what may follow; flushed, it is the key; twice, it is at least one key at once."""
    reader = KeyReader()
    assert reader.receive_data(b"\x1b") == []
    held = reader.deadline
    assert reader.flush() == [Key("esc")]
    assert (held, reader.deadline) == (ESC_DELAY, None)
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
        b"\x1b[M !!",
        b"\x1b[Mxyq",
        b"\x1b[M \xe9\xf1",
        b"\x1b[M \xc2\x80q",
        b"\x1b[M !\xc4\xb0",
        b"\x1b[1114112u",
        b"\x1b[55296u",
        b"\x1b[99999999999999999999u",
        b"\x1b[27;2;1114112~",
        b"\x1b[27~",
        b"\x1b[0u",
        b"\x1b[;;u",
        b"\x1b[57441u",
        b"\x1b[120;1:3u",
        b"\x1b[1;1:3B",
        b"\x1b[27;1:3;120~",
        b"\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26;27;28x",
        b"\x1b[201~",
        b"\x1b[[A",
        b"\x1b_Gi=1;OK\x1b\\",
        b"\xff\xc0",
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
    """A quarter of a megabyte comes as one; a paste that never ends costs no more than its limit, and says so."""
    text = "x" * 262_144
    assert read(b"\x1b[200~" + text.encode() + b"\x1b[201~") == [Paste(text)]
    reader = KeyReader()
    reader.receive_data(b"\x1b[200~")
    for _ in range(40):
        reader.receive_data(b"y" * 65536)
    assert len(reader._pasted) + len(reader._held) <= PASTE_LIMIT
    assert reader.receive_data(b"\x1b[201~q") == [Paste("y" * PASTE_LIMIT, is_cut=True), Key("q")]


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_paste_over_the_limit_ends_where_it_ends(cut: int) -> None:
    """However its end is split between two reads, the keys behind it are keys."""
    end = b"\x1b[201~"
    reader = KeyReader()
    assert reader.receive_data(b"\x1b[200~" + b"x" * PASTE_LIMIT) == []
    assert reader.receive_data(b"yy" + end[:cut]) == []
    paste, *keys = reader.receive_data(end[cut:] + b"q\x03")
    assert paste == Paste("x" * PASTE_LIMIT, is_cut=True)
    assert keys == [Key("q"), Key("ctrl+c")]


def test_a_paste_whose_end_is_lost_does_not_take_the_keyboard() -> None:
    """Silence ends it and nothing of it is lost; ^C ends it at once; what comes late in a run is text, not keys."""
    reader = KeyReader()
    assert reader.receive_data(b"\x1b[200~abc\x1b[20", now=5.0) == []
    assert reader.deadline == 5.0 + PASTE_DELAY
    assert reader.receive_data(b"d", now=5.5) == []
    assert reader.deadline == 5.5 + PASTE_DELAY
    assert reader.flush() == [Paste("abc\x1b[20d")]
    assert reader.receive_data(b"x") == [Key("x")]
    assert reader.receive_data(b"the rest: x y x y\r") == []  # a link that stood still, not a typist
    assert reader.receive_data(b"and more\x1b[201~n") == [Paste("the rest: x y x y\nand more"), Key("n")]
    assert reader.receive_data(b"the rest: x y x y"[:5]) == [Key(char) for char in "the r"]
    assert reader.receive_data(b"\x1b[200~lost") == []
    assert reader.receive_data(b"\x03") == [Paste("lost"), Key("ctrl+c")]


def test_a_sequence_that_comes_in_two_is_one_key() -> None:
    """ESC, 60 ms, [B is down: within the delay, and after it as well; what is longer than ESC has longer."""
    reader = KeyReader()
    assert reader.receive_data(b"\x1b", now=1.0) == []
    assert reader.deadline is not None
    assert reader.deadline > 1.06
    assert reader.receive_data(b"[B", now=1.06) == [Key("down")]
    assert reader.receive_data(b"\x1b") + reader.flush() == [Key("esc")]
    assert reader.receive_data(b"[B") == [Key("down")]
    assert reader.receive_data(b"\x1b") + reader.flush() + reader.receive_data(b"x[B") == [
        Key(name) for name in ("esc", "x", "[", "B")
    ]
    assert reader.receive_data(b"\x1b[1;", now=2.0) == []
    assert reader.deadline == 2.0 + SEQUENCE_DELAY


def test_what_a_terminal_never_ends_is_given_up() -> None:
    """Keys typed into a string or sequence whose end was lost do not put its deadline off, and ^C breaks it."""
    for begun in (b"\x1b]11;rgb", b"\x1bPabc", b"\x1b[123", b"\x1b[M!", b"\xe6"):
        reader = KeyReader()
        assert reader.receive_data(begun, now=1.0) == []
        reader.receive_data(b"1", now=1.4)
        assert reader.deadline is None or reader.deadline == 1.0 + SEQUENCE_DELAY
        reader.flush()
        assert reader.receive_data(b"q") == [Key("q")]
        assert reader.receive_data(begun + b"\x03q")[-2:] == [Key("ctrl+c"), Key("q")]
    assert read(b"\x1b]0;title\x1b[Aq") == [Key("up"), Key("q")]


PIECES = (
    b"\x1b [ O M P ] \\ \x07 ~ u ; : 27 200 1114112 \x1b[200~ \x1b[201~ \x1b[M \xc3 \xa4 \xf4\x90\x80\x80 x \r \x03"
)
JUNK = st.lists(st.sampled_from(PIECES.split(b" ")) | st.binary(max_size=20), max_size=12)


@given(JUNK, st.lists(st.integers(min_value=1, max_value=9), min_size=1), st.booleans())
def test_whatever_bytes_come_later_keys_work(junk: list[bytes], sizes: list[int], is_learnt: bool) -> None:
    """No byte string, in whatever pieces, raises, or keeps anything once its deadline has passed."""
    data = b"".join(junk)
    reader = KeyReader()
    if is_learnt:
        reader.learn({b"\x1b[7$": "shift+home", b"\x1bOA": "up"})
    place = 0
    for number in range(len(data)):
        size = sizes[number % len(sizes)]
        for key in reader.receive_data(data[place : place + size]):
            assert isinstance(key, Paste) or key.name
        place += size
    reader.flush()
    assert reader.deadline is None
    assert reader.receive_data(b"q") == [Key("q")]
    assert reader.receive_data(b"\x1b[A\r\x03") == [Key("up"), Key("enter"), Key("ctrl+c")]
