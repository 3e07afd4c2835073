"""What is written makes a real terminal show the lines, and names only what differs."""

from __future__ import annotations

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st

from teleclaude.tui.cells import Line, cut
from teleclaude.tui.screen import BEGIN, END, Screen
from teleclaude.tui.style import palette

PALETTE = palette({"TERM": "xterm-256color"})
COLUMNS, ROWS = 20, 4


def drawn(screen: Screen, terminal: pyte.ByteStream, lines: list[Line]) -> bytes:
    """Draw on a terminal; what was written."""
    data = screen.frame(lines)
    terminal.feed(data.replace(BEGIN.encode(), b"").replace(END.encode(), b""))
    return data


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(st.sampled_from("abc 漢字◆"), max_size=12), min_size=ROWS, max_size=ROWS), max_size=6))
def test_after_any_frames_the_terminal_shows_the_last(frames: list[list[str]]) -> None:
    """Whatever was shown before, the difference leads to the new lines, wide characters too."""
    shown = pyte.Screen(COLUMNS, ROWS)
    terminal = pyte.ByteStream(shown)
    screen = Screen(PALETTE)
    for frame in frames:
        lines = [cut([(text[:4], "title"), (text[4:], "soft")], COLUMNS) for text in frame]
        drawn(screen, terminal, lines)
        wanted = ["".join(text for text, _ in line).rstrip() for line in lines]
        assert [line.rstrip() for line in shown.display] == wanted


def test_nothing_is_written_when_nothing_differs() -> None:
    """A frame like the last costs no byte."""
    screen = Screen(PALETTE)
    lines: list[Line] = [(("x", ""),)]
    assert screen.frame(lines)
    assert screen.frame(list(lines)) == b""


def test_only_the_changed_line_is_written_in_one_synchronised_update() -> None:
    """A change of one line names that line alone, between the begin and the end of an update."""
    screen = Screen(PALETTE)
    screen.frame([(("one", ""),), (("two", ""), ("same", ""))])
    data = screen.frame([(("one", ""),), (("TWO", ""), ("same", ""))]).decode()
    assert data.startswith(BEGIN)
    assert data.endswith(END)
    assert "one" not in data
    assert "\x1b[2;1H" in data
    data = screen.frame([(("one", ""),), (("TWO", ""), ("other", ""))]).decode()
    assert "TWO" not in data
    assert "\x1b[2;4H" in data


def test_without_colours_selection_and_marks_remain() -> None:
    """NO_COLOR and a dumb terminal get no colour; what is selected is reverse."""
    for environ in ({"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}):
        found = palette(environ)
        assert not any("38;5" in code or "48;5" in code for code in found.values())
        assert found[":on"] == "\x1b[7m"
