"""Screens: whole rows, within their limits, with nothing that a terminal acts on."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.live_screen import CHARS, COLUMNS, ROW_CHARS, ROWS, bounded, screen_of


def test_a_captured_screen() -> None:
    """Rows have their own colours; the last newline begins no row."""
    screen = screen_of("\x1b[31ma\nb\x1b[0m\n\n", 80, (1, 1), alternate=True)
    assert screen.rows == ("\x1b[0;31ma", "\x1b[0;31mb", "")
    assert (screen.columns, screen.cursor, screen.alternate) == (80, (1, 1), True)


def test_what_is_too_much_is_cut() -> None:
    """The last rows are kept, and the cursor in them; long rows lose their colours first."""
    screen = bounded([str(number) for number in range(ROWS + 10)], 10**9, (ROWS + 9, 3))
    assert (len(screen.rows), screen.rows[0], screen.cursor, screen.columns) == (ROWS, "10", (ROWS - 1, 3), COLUMNS)
    assert bounded(["x"] * (ROWS + 10), 80, (5, 0)).cursor is None
    long = bounded(["\x1b[1m" + "x" * 2 * ROW_CHARS], 80, None)
    assert long.rows == ("x" * ROW_CHARS,)
    full = bounded(["\x1b[1m" + "y" * (ROW_CHARS - 10)] * 100, 80, None)
    assert sum(map(len, full.rows)) <= CHARS
    assert set("".join(full.rows)) == {"y"}


@given(st.lists(st.text(st.sampled_from("ab\x1b[]0;m\x07\x9b\n\t\r\x00"), max_size=20), max_size=5))
def test_rows_hold_nothing_but_text_and_colours(rows: list[str]) -> None:
    """Whoever sent them: no newline, no tab, no control, no other escape."""
    for row in bounded(rows, 80, None).rows:
        assert not re.search("[\x00-\x1f\x7f-\x9f]", re.sub("\x1b\\[[0-9;:]*m", "", row))
