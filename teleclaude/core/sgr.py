"""Colours and looks of terminal text (SGR): read into pens, and written again in one fixed form. Pure.

What must live here: which parameters of SGR mean something. Whatever is none of them is left out, so what this module
writes is safe for any terminal, wherever the text came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_OFF = {22: (1, 2), 23: (3,), 24: (4, 21), 25: (5, 6), 27: (7,), 28: (8,), 29: (9,), 55: (53,)}
_ON = {1, 2, 3, 4, 5, 6, 7, 8, 9, 21, 53}
_FOREGROUND, _BACKGROUND, _UNDERLINE = 38, 48, 58
_BYTE = 255


class Pen(NamedTuple):
    """How text looks: numbers of looks that are on, and colours as SGR parameters, empty for the default."""

    looks: tuple[int, ...] = ()
    foreground: str = ""
    background: str = ""
    underline: str = ""

    @property
    def sgr(self) -> str:
        """The sequence that sets this pen, whatever was set before; empty for the default pen."""
        parts = [*map(str, self.looks), self.foreground, self.background, self.underline]
        found = ";".join(part for part in parts if part)
        return f"\x1b[0;{found}m" if found else ""


DEFAULT = Pen()


def runs(text: str, pen: Pen = DEFAULT) -> Iterator[tuple[str, Pen]]:
    """Give the pieces of a text, each with its pen; the last may be empty, and its pen is the one that goes on."""
    start = 0
    for match in _SGR.finditer(text):
        if match.start() > start:
            yield text[start : match.start()], pen
        pen = _after(pen, match[1])
        start = match.end()
    yield text[start:], pen


def plain(text: str) -> str:
    """Give a text without its colours."""
    return _SGR.sub("", text)


def separate_rows(text: str) -> list[str]:
    """Give the rows of a screen, each with all that its own colours need: in `text` they go on from row to row."""
    rows: list[str] = []
    pen = DEFAULT
    for row in text.split("\n"):
        written: list[str] = []
        last = DEFAULT
        for piece, pen in runs(row, pen):  # noqa: B020  (the pen goes on from one row to the next)
            if piece:
                written += [(pen.sgr or "\x1b[0m") if pen != last else "", piece]
                last = pen
        rows.append("".join(written).rstrip(" ") if last == DEFAULT else "".join(written))
    return rows


def _after(pen: Pen, parameters: str) -> Pen:
    """Give the pen after a sequence with these parameters."""
    numbers = parameters.split(";")
    place = 0
    while place < len(numbers):
        colour, used = _colour(numbers, place)
        if used:
            pen = _with_colour(pen, int(numbers[place].partition(":")[0]), colour)
            place += used
        else:
            pen = _with_number(pen, 24 if numbers[place] == "4:0" else _number(numbers[place].partition(":")[0]))
            place += 1
    return pen


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else 0 if not text else -1  # noqa: PLR2004


def _colour(numbers: list[str], place: int) -> tuple[str, int]:
    """Read a colour of 256 or 16 million: its parameters, and how many of `numbers` it takes; 0 when it is none."""
    first, *inner = numbers[place].split(":")
    if _number(first) not in {_FOREGROUND, _BACKGROUND, _UNDERLINE}:
        return "", 0
    taken = [_number(part) for part in (inner or numbers[place + 1 : place + 5])]
    if taken[:1] == [5]:
        parts, used = taken[:2], 2
    elif taken[:1] == [2]:
        rest = taken[2:] if len(inner) > 4 else taken[1:]  # noqa: PLR2004  (with colons a colour space comes before)
        parts, used = [2, *rest[:3]], 4
    else:
        return "", len(numbers)  # nobody knows where it ends
    is_whole = len(parts) == used and all(0 <= part <= _BYTE for part in parts)
    return ";".join(map(str, parts)) if is_whole else "", 1 if inner else 1 + used


def _with_colour(pen: Pen, which: int, colour: str) -> Pen:
    found = f"{which};{colour}" if colour else ""
    if which == _FOREGROUND:
        return pen._replace(foreground=found or pen.foreground)
    if which == _BACKGROUND:
        return pen._replace(background=found or pen.background)
    return pen._replace(underline=found or pen.underline)


def _with_number(pen: Pen, number: int) -> Pen:
    match number:
        case 0:
            return DEFAULT
        case 39:
            return pen._replace(foreground="")
        case 49:
            return pen._replace(background="")
        case 59:
            return pen._replace(underline="")
        case _ if number in _ON:
            return pen._replace(looks=tuple(sorted({*pen.looks, number})))
        case _ if number in _OFF:
            return pen._replace(looks=tuple(look for look in pen.looks if look not in _OFF[number]))
        case _ if 30 <= number <= 37 or 90 <= number <= 97:
            return pen._replace(foreground=str(number))
        case _ if 40 <= number <= 47 or 100 <= number <= 107:
            return pen._replace(background=str(number))
        case _:
            return pen
