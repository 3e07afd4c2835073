"""Editing text in dialogs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.tui.edit import Edit, is_extending, place_of, shown_width, wrapped


def typed(*keys: str, text: str = "", lines: bool = False) -> Edit:
    """A text after keys, typed at its end."""
    edit = Edit(text, len(text), lines)
    for key in keys:
        edit = edit.press(key) or edit
    return edit


@pytest.mark.parametrize("text", ["grüße", "漢字", "👩‍💻 ok", "e\u0301a", "العربية"])
def test_any_script_can_be_typed(text: str) -> None:
    """What is typed character by character is what is there."""
    assert typed(*text).text == text


def test_one_backspace_takes_what_looks_like_one_character() -> None:
    """A letter with its accent, an emoji of several parts: one step, one deletion."""
    assert typed("backspace", text="ae\u0301").text == "a"
    assert typed("backspace", text="a👩‍💻").text == "a"
    assert typed("left", "x", text="a👍🏽").text == "ax👍🏽"


def test_moving_and_cutting_by_word_and_line() -> None:
    """The keys of a shell's line do here what they do there."""
    assert typed("ctrl+w", text="one two").text == "one "
    assert typed("ctrl+a", "ctrl+k", text="one\ntwo", lines=True).text == "one\n"
    assert typed("ctrl+u", text="one two").text == ""
    assert typed("ctrl+left", "x", text="one two").text == "one xtwo"
    assert typed("home", "ctrl+right", "x", text="one two").text == "onex two"
    assert typed("home", "delete", text="one").text == "ne"


def test_enter_is_a_line_only_where_there_are_several() -> None:
    """In one line Enter means nothing to the text, and a pasted line end is a blank."""
    assert Edit("a", 1).press("enter") is None
    assert Edit("a", 1).insert("b\nc").text == "ab c"
    assert typed("enter", "b", text="a", lines=True).text == "a\nb"


def test_controls_in_a_paste_are_left_out() -> None:
    """No escape sequence gets into a text that is sent to a session."""
    assert Edit("", 0, True).insert("a\x1b[31mb\x07\x9bc\td\n").text == "a[31mbc\td\n"


def test_up_and_down_leave_the_field_at_its_ends() -> None:
    """Within several lines they move; at the first and last they are left to the form."""
    edit = typed(text="one\ntwo", lines=True)
    assert edit.press("down", 20) is None
    up = edit.press("up", 20)
    assert up is not None
    assert up.cursor == 3
    assert up.press("up", 20) is None


@given(st.text(st.sampled_from("ab 漢🎉é\u0301\n\t👩‍💻"), max_size=60), st.integers(2, 12))
def test_wrapped_rows_hold_the_text_once_and_fit(text: str, columns: int) -> None:
    """Every character is shown once, in order, in rows that fit; the cursor is in the row that holds it."""
    rows = wrapped(text, columns)
    joined = "".join(text[start:end] for start, end in rows)
    assert joined == text.replace("\n", "")
    for start, end in rows:
        parts = sum(1 for place in range(start, end) if place == start or not is_extending(text, place))
        assert shown_width(text[start:end]) <= columns or parts == 1
    for cursor in range(len(text) + 1):
        row, column = place_of(text, cursor, columns)
        assert rows[row][0] <= cursor
        assert column >= 0
