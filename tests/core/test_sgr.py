"""Colours: read, and written again, so that a terminal shows the same, row by row."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.sgr import DEFAULT, Pen, plain, runs, separate_rows

CODES = ["0", "", "1", "3", "4", "7", "22", "23", "24", "27", "31", "39", "42", "49", "97", "104"]
CODES += ["38;5;196", "48;5;20", "38;2;1;2;3", "1;31;44"]
SCREENS = st.lists(
    st.text("ab ", min_size=1, max_size=3)
    | st.sampled_from(CODES).map("\x1b[{}m".format)
    | st.just("\n")
    | st.just("\x1b[0m"),
    max_size=30,
).map("".join)
WILD = st.text(st.sampled_from("\x1b[;:m0123458 a\n"), max_size=40)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", [("a", DEFAULT)]),
        ("\x1b[1;31ma\x1b[mb", [("a", Pen((1,), "31")), ("b", DEFAULT)]),
        ("\x1b[38;5;9;4mx", [("x", Pen((4,), "38;5;9"))]),
        ("\x1b[38:2::1:2:3mx", [("x", Pen((), "38;2;1;2;3"))]),
        ("\x1b[38:2:1:2:3mx", [("x", Pen((), "38;2;1;2;3"))]),
        ("\x1b[58;5;3;4:3mx", [("x", Pen((4,), underline="58;5;3"))]),
        ("\x1b[4m\x1b[4:0mx", [("x", DEFAULT)]),
        ("\x1b[1m\x1b[22mx", [("x", DEFAULT)]),
        ("\x1b[38;5;300mx", [("x", DEFAULT)]),
        ("\x1b[38;9;1mx", [("x", DEFAULT)]),
        ("\x1b[999999999999mx", [("x", DEFAULT)]),
        ("\x1b[38;5mx", [("x", DEFAULT)]),
    ],
)
def test_runs(text: str, found: list[tuple[str, Pen]]) -> None:
    """Each piece has its pen; what is no colour or look is left out."""
    assert [run for run in runs(text) if run[0]] == found


def shown(rows: str) -> list[tuple[str, ...]]:
    """What a terminal shows of rows, cell by cell."""
    screen = pyte.Screen(100, 30)
    pyte.Stream(screen).feed(rows.replace("\n", "\r\n"))
    cells = [screen.buffer[line][column] for line in range(30) for column in range(100)]
    return [
        (cell.data, cell.fg, cell.bg, str((cell.bold, cell.italics, cell.underscore, cell.reverse)))
        if cell.data != " " or cell.bg != "default" or cell.reverse or cell.underscore
        else (" ",)
        for cell in cells
    ]


@given(SCREENS)
def test_separate_rows_show_the_same(text: str) -> None:
    """Each row alone, with the default colours before it, looks as it did among the others."""
    rows = separate_rows(text)
    assert len(rows) == text.count("\n") + 1
    assert shown("\x1b[0m\n".join(rows)) == shown(text)


@given(WILD)
def test_nothing_but_colours_is_written(text: str) -> None:
    """Whatever is read, each pen is written as SGR of known parameters, and reads the same again."""
    for _, pen in runs(text):
        written = pen.sgr
        assert plain(written) == ""
        assert list(runs(written)) == [("", pen)]
