"""Text as cells: no line is ever wider than it may be, whatever is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from teleclaude.core.text import has_control
from teleclaude.tui.cells import clipped, clipped_left, cut, fit, line_width, over, safe, spread, width

TRICKY = st.text(
    st.sampled_from("ab …·◆漢字カ한🎉👩‍💻é\u0301\u200b\u202e\x1b\x07\t\n\ud800\U0001f1e9\U0001f1ea\ufe0f")
    | st.characters(),
    max_size=30,
)


@given(TRICKY, st.integers(0, 20))
def test_clipped_text_fits_and_is_safe(text: str, cells: int) -> None:
    """Clipped text is never wider than the limit, and nothing in it acts on a terminal."""
    for shown in (clipped(text, cells), clipped_left(text, cells)):
        assert width(shown) <= max(0, cells)
        assert not has_control(shown)
        assert "\n" not in shown


@given(TRICKY, st.integers(0, 20))
def test_fitted_text_has_exactly_its_cells(text: str, cells: int) -> None:
    """Columns align: a cell more or less would shift all that follow."""
    assert width(fit(text, cells)) == cells
    assert width(fit(text, cells, right=True)) == cells


@given(st.lists(TRICKY.map(safe), max_size=5), st.integers(0, 40), st.integers(0, 40))
def test_lines_keep_their_width_when_cut_spread_and_laid_over(texts: list[str], cells: int, column: int) -> None:
    """A line is exactly as wide as the screen, with a box over it too, even where that halves a wide character."""
    line = cut([(text, "") for text in texts], cells)
    assert line_width(line) == cells
    assert line_width(spread(list(line), [("right", "")], cells)) == cells
    if column + 3 <= cells:
        assert line_width(over(line, (("box", ""),), column, cells)) == cells


def test_width_without_wcwidth_is_what_wcwidth_says() -> None:
    """The signs that are taken for one cell without asking are one cell."""
    from teleclaude.tui import cells

    for code in range(0x20, 0x3000):
        if cells._NARROW.fullmatch(chr(code)):
            assert wcswidth(chr(code)) == 1, hex(code)


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("plain", 5, "plain"),
        ("plainer", 5, "plai…"),
        ("漢字漢字", 5, "漢字…"),
        ("漢字漢字", 4, "漢…"),
        ("ends in blank   ", 13, "ends in blank"),
        ("two\nlines\tand", 20, "two lines and"),
        ("x", 0, ""),
    ],
)
def test_what_is_cut_is_marked(text: str, cells: int, shown: str) -> None:
    """An ellipsis stands where something is missing, and nowhere else."""
    assert clipped(text, cells) == shown


def test_paths_keep_their_end() -> None:
    """Of a path the end is what tells it from others."""
    assert clipped_left("/home/me/code/alpha", 9) == "…de/alpha"
