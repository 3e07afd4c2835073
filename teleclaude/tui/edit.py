"""Editing text: a text and a cursor in it, and what keys do to them. Pure.

The cursor stands before a character, and never inside of what looks like one (a letter with its accents, an emoji of
several parts). It knows no terminal; how text is laid out in a box is here too, because up and down need it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import pairwise

import msgspec

from teleclaude.core.text import visible
from teleclaude.tui.cells import width

_JOINER, _TAB_SIGN = "\N{ZERO WIDTH JOINER}", "→"


class Edit(msgspec.Struct, frozen=True):
    """A text being edited, with the cursor before `text[cursor]`."""

    text: str = ""
    cursor: int = 0
    is_multiline: bool = False

    def insert(self, text: str) -> Edit:
        """Put text in at the cursor, without control characters; line ends become blanks where there is one line."""
        kept = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"})
        if not self.is_multiline:
            kept = kept.replace("\n", " ").replace("\t", " ")
        return self._at(self.text[: self.cursor] + kept + self.text[self.cursor :], self.cursor + len(kept))

    def press(self, key: str, columns: int = 80) -> Edit | None:
        """Give the text after a key, in a box of so many columns; None when the key means nothing here."""
        if len(key) == 1:
            return self.insert(key)
        match key:
            case "backspace":
                return self._cut(self._before(), self.cursor)
            case "delete" | "ctrl+d":
                return self._cut(self.cursor, self._after())
            case "ctrl+w" | "alt+backspace" | "ctrl+backspace":
                return self._cut(self._word_before(), self.cursor)
            case "ctrl+u":
                return self._cut(self._line_start(), self.cursor)
            case "ctrl+k":
                return self._cut(self.cursor, self._line_end())
            case "enter" if self.is_multiline:
                return self.insert("\n")
            case "ctrl+j" | "alt+enter" | "shift+enter" if self.is_multiline:
                return self.insert("\n")
            case _:
                place = self._moved(key, columns)
                return None if place is None else self._at(self.text, place)

    def _moved(self, key: str, columns: int) -> int | None:
        match key:
            case "left" | "ctrl+b":
                return self._before()
            case "right" | "ctrl+f":
                return self._after()
            case "home" | "ctrl+a":
                return self._line_start()
            case "end" | "ctrl+e":
                return self._line_end()
            case "ctrl+left" | "alt+left" | "alt+b":
                return self._word_before()
            case "ctrl+right" | "alt+right" | "alt+f":
                return self._word_after()
            case "ctrl+home":
                return 0
            case "ctrl+end":
                return len(self.text)
            case "up" | "down" if self.is_multiline:
                return self._vertical(-1 if key == "up" else 1, columns)
            case _:
                return None

    def _at(self, text: str, cursor: int) -> Edit:
        return Edit(text, cursor, self.is_multiline)

    def _cut(self, start: int, end: int) -> Edit:
        return self._at(self.text[:start] + self.text[end:], start)

    def _before(self) -> int:
        place = self.cursor - 1
        while place > 0 and is_extending(self.text, place):
            place -= 1
        return max(0, place)

    def _after(self) -> int:
        place = self.cursor + 1
        while place < len(self.text) and is_extending(self.text, place):
            place += 1
        return min(len(self.text), place)

    def _word_before(self) -> int:
        return len(self.text[: self.cursor].rstrip().rstrip(_letters(self.text[: self.cursor].rstrip())))

    def _word_after(self) -> int:
        rest = self.text[self.cursor :]
        left = rest.lstrip()
        word = len(left) - len(left.lstrip(_letters(left)))
        return self.cursor + len(rest) - len(left) + word

    def _line_start(self) -> int:
        return self.text.rfind("\n", 0, self.cursor) + 1

    def _line_end(self) -> int:
        end = self.text.find("\n", self.cursor)
        return len(self.text) if end < 0 else end

    def _vertical(self, step: int, columns: int) -> int | None:
        """Move by a shown row; None at the first or last, so that the key may leave the field."""
        rows = wrapped(self.text, columns)
        row, column = place_of(self.text, self.cursor, columns)
        if not 0 <= row + step < len(rows):
            return None
        start, end = rows[row + step]
        place, used = start, 0
        while place < end and used < column:
            after = self._at(self.text, place)._after()  # noqa: SLF001  (another value of this class)
            used += shown_width(self.text[place:after])
            place = after
        return place


def _letters(text: str) -> str:
    return "".join({c for c in text if not c.isspace()})


def is_extending(text: str, place: int) -> bool:
    """Tell whether `text[place]` is drawn as one with what stands before it."""
    char = text[place]
    if char.isascii():
        return False
    if text[place - 1] == _JOINER or char == _JOINER or "\U0001f3fb" <= char <= "\U0001f3ff":
        return True
    return unicodedata.category(char) in {"Mn", "Me"}


def shown(text: str) -> str:
    """How a part of the text without newlines is drawn: each character as one that a terminal cannot act on."""
    return visible(text.replace("\t", _TAB_SIGN))


def shown_width(text: str) -> int:
    """Cells in which a part of the text is drawn."""
    return width(shown(text))


@lru_cache(maxsize=8)
def wrapped(text: str, columns: int) -> list[tuple[int, int]]:
    """Rows in which a text is shown, as (start, end) in the text; never empty."""
    rows: list[tuple[int, int]] = []
    start = 0
    for line in text.split("\n"):
        rows += _wrapped_line(line, start, max(2, columns))
        start += len(line) + 1
    return rows


def place_of(text: str, cursor: int, columns: int) -> tuple[int, int]:
    """(row, column) at which the cursor is shown."""
    rows = wrapped(text, columns)
    low, high = 0, len(rows) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if rows[middle][0] <= cursor:
            low = middle
        else:
            high = middle - 1
    return low, shown_width(text[rows[low][0] : cursor])


def _wrapped_line(line: str, start: int, columns: int) -> list[tuple[int, int]]:
    if line.isascii():
        ends = list(range(columns, len(line), columns))
    else:
        ends = []
        begin = used = 0
        place = 0
        while place < len(line):
            after = place + 1
            while after < len(line) and is_extending(line, after):
                after += 1
            size = shown_width(line[place:after])
            if used + size > columns and place > begin:
                ends.append(place)
                begin, used = place, 0
            used += size
            place = after
    cuts = [0, *ends, len(line)]
    return [(start + a, start + b) for a, b in pairwise(cuts)]
