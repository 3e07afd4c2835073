"""Ages in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.tui.ages import age_text, next_change


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "now"),
        (0, "now"),
        (59.9, "now"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (86399, "23 h"),
        (86400, "1 d"),
        (8_640_000, "100 d"),
    ],
)
def test_words(seconds: float, words: str) -> None:
    """Each age has short words."""
    assert age_text(seconds) == words


@given(st.floats(-100, 400_000))
def test_the_words_change_when_it_says_and_not_before(seconds: float) -> None:
    """Until the next change the words stay; at it they are others. So the clock is needed at no other time."""
    then = next_change(seconds)
    assert then > seconds
    assert age_text(then) != age_text(seconds)
    assert age_text(then - 0.01) == age_text(seconds)
