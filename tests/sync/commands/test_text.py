"""Text into a terminal and out of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.screen_text import only_colours
from teleclaude.sync.commands.start import argument, session_name
from teleclaude.sync.commands.terminal_text import for_paste, page_of

Nasty = st.text(st.sampled_from("ab\x1b[]201~;m\x07\\P^_X\n\t\r\x00\x0e\x0f\x9b\x9d8(q"), max_size=40)


@given(Nasty | st.text(max_size=40))
def test_paste_holds_nothing_a_terminal_acts_on(text: str) -> None:
    """After cleaning there is no control character but newline and tab, so no end of a paste either."""
    clean = for_paste(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", clean)
    assert for_paste(clean) == clean


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t"), max_size=60))
def test_paste_changes_nothing_else(text: str) -> None:
    """Text without control characters is pasted as it is."""
    assert for_paste(text) == text


@given(Nasty)
def test_screen_holds_colours_and_nothing_else(text: str) -> None:
    """Of escape sequences only colours are left, and no control character but newline and tab."""
    clean = only_colours(text)
    without = re.sub("\x1b\\[[0-9;:]*m", "", clean)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", without)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;38:5:9mred\x1b[0m", "\x1b[1;38:5:9mred\x1b[0m"),
        ("\x1b]0;title\x07a", "a"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\a", "a"),
        ("\x1bP1000p unterminated", ""),
        ("\x1b[2J\x1b[?25l\x1b[31;1Ha", "a"),
        ("\x1b[>4;2ma", "a"),
        ("\x0eqxlk\x0fq", "─│┌┐q"),
        ("\x1bc\x1b(Ba\x9b2Jb", "a2Jb"),
        ("a\tb\nc", "a\tb\nc"),
    ],
)
def test_screens(text: str, shown: str) -> None:
    """Samples of what programs print."""
    assert only_colours(text) == shown


def test_pages() -> None:
    """Blank lines at the end are dropped, also coloured ones; the count and the size are kept to, from any line on."""
    assert page_of("a\nb  \n\n\x1b[0m\n  \n", 5, 0, 100) == ["a", "b"]
    assert page_of("a\nb\nc", 2, 0, 100) == ["b", "c"]
    assert page_of("a\nb\nc", 2, 1, 100) == ["a", "b"]
    assert page_of("a\nb\nc", 2, 2, 100) == ["a"]
    assert page_of("a\nb\nc", 2, 3, 100) == []
    assert page_of("aaaa\nbb\nc", 5, 0, 6) == ["bb", "c"]
    assert page_of("\n\n", 5, 0, 100) == []


@given(st.lists(st.text("ab", min_size=1, max_size=3), max_size=30), st.integers(1, 7))
def test_pages_are_all_there_is(lines: list[str], size: int) -> None:
    """Page before page, each line comes once."""
    text, found = "\n".join(lines), list[str]()
    while page := page_of(text, size, len(found), 1000):
        found = page + found
    assert found == lines


@given(st.text(max_size=200), st.text(max_size=50))
def test_session_names_are_harmless(title: str, folder: str) -> None:
    """A tmux session's name has nothing that tmux reads as a target, an option, a format or a pattern."""
    name = session_name(title, f"/{folder}", "shell")
    assert 1 <= len(name) <= 40
    assert not set(name) & set("#:.;$%@=*?[]{}()'\"`\\ \t\n+!")
    assert not name.startswith("-")


def test_arguments() -> None:
    """A final semicolon is a semicolon."""
    assert [argument(word) for word in ("a", "a;", ";", "a;b", "a\\;")] == ["a", "a\\;", "\\;", "a;b", "a\\\\;"]
