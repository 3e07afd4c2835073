"""Text that is safe to show."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.text import MARK, one_line, visible

ANY = st.text(st.characters(exclude_categories=()), max_size=60)


@pytest.mark.parametrize(
    "text",
    ["plain", "Grüße, 世界 カタカナ", "emoji 🎉 👩‍💻 ❤️", "naïve résumé", "e\u0301", "עברית العربية हिन्दी", "── ✳ ⠋ ◐"],
)
def test_honest_text_stays(text: str) -> None:
    """Letters of any script, symbols and emoji are shown as they are."""
    assert visible(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]52;c;ZXZpbA==\x07", "\x1b]0;title\x1b\\", "\x1b]8;;http://x\x1b\\", "\x1bP$q\x1b\\", "\x1bc", "\x9b31m",
        "\x1b[201~", "a\nb", "a\rb", "a\tb", "\x00", "\x7f", "\u202eevil", "\u2066x\u2069", "zero\u200bwidth",
        "\ufeffbom",
        "\u2028", "\ud800", "\U000e0041tag", "x\u200dy", "\ue000",
    ],
)  # fmt: skip
def test_what_a_terminal_could_act_on_becomes_a_mark(text: str) -> None:
    """Controls, escapes, bidi overrides, zero-width and surrogates never pass."""
    shown = visible(text)
    assert MARK in shown
    assert not [c for c in shown if unicodedata.category(c)[0] == "C" or unicodedata.category(c) in {"Zl", "Zp"}]


def test_a_flood_of_combining_marks_is_cut() -> None:
    """One letter carries at most four marks."""
    assert visible("a" + "\u0301" * 1000 + "b") == "a" + "\u0301" * 4 + "b"


@given(ANY)
def test_visible_is_safe_and_idempotent(text: str) -> None:
    """Nothing unsafe is left, and a second pass changes nothing."""
    shown = visible(text)
    assert visible(shown) == shown
    for char in shown:
        assert unicodedata.category(char)[0] != "C" or char == "\N{ZERO WIDTH JOINER}"
    shown.encode()


@given(ANY, st.integers(1, 20))
def test_one_line_is_one_line(text: str, limit: int) -> None:
    """No break is left, and the limit holds."""
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.splitlines() in ([line], [])
