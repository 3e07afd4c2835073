"""Text as terminal cells: width, clipping, padding. Pure.

Rules of this module: every string that came from outside goes through `safe`, `fit` or `clipped` before it is put
into a line; a wide character is never cut in half. A line is a tuple of spans; a span is (text, style name).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from teleclaude.core.text import visible

Span: TypeAlias = tuple[str, str]
Line: TypeAlias = tuple[Span, ...]

ELLIPSIS = "…"
# One cell each, and known without wcwidth, whose import costs a fifth of the time to the first painted row.
_NARROW = re.compile(r"[\x20-\x7e\xa1-\xac\xae-\u02ff…–—•·●○◌◆◇✓✗▸▾◂▴│─┌┐└┘├┤╭╮╰╯▏↑↓←→⏎⇥↳◉⚠▲▼“”‘’�]*")  # noqa: RUF001
_BLANKS = re.compile(r"\s+")


def width(text: str) -> int:
    """Cells that safe text takes."""
    return len(text) if text.isascii() or _NARROW.fullmatch(text) else _measured(text)


def safe(text: str) -> str:
    """Give outside text as one line without anything a terminal could act on."""
    return visible(_BLANKS.sub(" ", text).strip())


@lru_cache(maxsize=4096)
def clipped(text: str, limit: int) -> str:
    """Give outside text, safe, in at most `limit` cells; what was cut is marked by an ellipsis."""
    if limit <= 0:
        return ""
    shown = safe(text[: limit * 8 + 64])  # enough: five characters a cell are the most that `visible` leaves
    if width(shown) <= limit:
        return shown
    return _head(shown, limit - 1).rstrip() + ELLIPSIS


def clipped_left(text: str, limit: int) -> str:
    """As `clipped`, but what is cut is the beginning: for paths."""
    if limit <= 0:
        return ""
    shown = safe(text[-limit * 8 - 64 :])
    if width(shown) <= limit:
        return shown
    start = max(0, len(shown) - limit + 1)
    while width(shown[start:]) > limit - 1 or (start < len(shown) and _is_zero(shown[start])):
        start += 1
    return ELLIPSIS + shown[start:]


def fit(text: str, cells: int, *, right: bool = False) -> str:
    """Give outside text in exactly `cells` cells: clipped, or padded."""
    shown = clipped(text, cells)
    padding = " " * max(0, cells - width(shown))
    return padding + shown if right else shown + padding


def line_width(line: Iterable[Span]) -> int:
    """Cells of a line."""
    return sum(width(text) for text, _ in line)


def cut(line: Iterable[Span], cells: int, style: str = "") -> Line:
    """Give a line in exactly `cells` cells: cut off, or padded with blanks of `style`."""
    out: list[Span] = []
    left = cells
    for text, name in line:
        size = width(text)
        if size > left:
            head = _head(text, left)
            out.append((head, name))
            left -= width(head)
            break
        out.append((text, name))
        left -= size
    if left:
        out.append((" " * left, style))
    return tuple(out)


def spread(left: list[Span], right: list[Span], cells: int, style: str = "") -> Line:
    """Give a line with `left` at its left and `right` at its right; where both do not fit, `left` is cut."""
    room = max(0, cells - line_width(right))
    return cut((*cut(left, room, style), *right), cells, style)


def over(line: Line, box: Line, column: int, cells: int) -> Line:
    """Give a line of `cells` with `box` laid over it from `column` on."""
    size = line_width(box)
    return (*cut(line, column), *box, *_behind(line, column + size, cells - column - size))


def _behind(line: Line, start: int, cells: int) -> Line:
    """Give the `cells` of a line from `start` on; half of a wide character becomes a blank."""
    return cut(skipped(line, start), max(0, cells))


def skipped(line: Line, start: int) -> Line:
    """Give what a line has from `start` on; half of a wide character becomes a blank."""
    out: list[Span] = []
    place = 0
    for text, style in line:
        size = width(text)
        if place + size > start:
            hidden = max(0, start - place)
            head = _head(text, hidden)
            lost = " " if width(head) < hidden else ""
            out.append((lost + text[len(head) + len(lost) :], style))
        place += size
    return tuple(out)


def _head(text: str, cells: int) -> str:
    """Give the longest beginning of safe text that fits into `cells`."""
    if _NARROW.fullmatch(text):
        return text[:cells]
    end = min(len(text), cells * 8 + 8)
    low = 0
    while low < end:  # the width of a beginning never shrinks, so halve
        middle = (low + end + 1) // 2
        if width(text[:middle]) <= cells:
            low = middle
        else:
            end = middle - 1
    return text[:low]


def _measured(text: str) -> int:
    from wcwidth import wcswidth  # 35 ms, and only needed where there is more than our own signs

    found: int = wcswidth(text)
    return found if found >= 0 else sum(_one(char) for char in text)


def _one(char: str) -> int:
    from wcwidth import wcwidth

    return max(0, int(wcwidth(char)))


def _is_zero(char: str) -> bool:
    return not _NARROW.fullmatch(char) and _one(char) == 0
