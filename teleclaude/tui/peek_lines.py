"""A session's screen as lines: a head, the part that fits, and the keys. Pure.

Its colours are kept, as styles that are SGR themselves, written anew from what core/sgr.py understands; its text goes
through `visible`, as all that comes from outside.
"""

from __future__ import annotations

from teleclaude.client.events import LiveOutput
from teleclaude.core.sgr import runs
from teleclaude.core.text import visible
from teleclaude.tui.cells import Line, Span, clipped, cut, line_width, skipped, spread
from teleclaude.tui.peek import AROUND

KEYS = (("Esc", "close"), ("Enter", "attach"), ("←→↑↓", "more of it"))


def lines_of(
    title: str,
    computer: str,
    output: LiveOutput | None,
    note: str,
    size: tuple[int, int],
    *,
    left: int = 0,
    up: int = 0,
    keys: tuple[tuple[str, str], ...] = KEYS,
) -> list[Line]:
    """Give the lines of a terminal of `size` (lines, columns). `note`: what is wrong; `left`, `up`: columns and rows
    by which another part is shown than the one at the cursor.
    """
    high, cells = size
    room = max(0, high - AROUND)
    lines = [_head(title, computer, output, note, cells)]
    lines += _rows(output, room, cells, left, up) if output else [_waiting(note, cells)][:room]
    lines += [cut((), cells)] * (room + 1 - len(lines))
    return [*lines, _keys(keys, cells)][:high]


def _head(title: str, computer: str, output: LiveOutput | None, note: str, cells: int) -> Line:
    size = f"{output.columns}x{output.rows} " if output else ""
    right: list[Span] = [(clipped(note, cells // 2), "warning"), (" ", "")] if note and output else []
    right += [(clipped(computer, cells // 4), "soft"), (f" {size}", "soft")]
    room = max(0, cells - line_width(right) - 2)
    return spread([(" ", ""), (clipped(title, room), "title-on")], right, cells)


def _waiting(note: str, cells: int) -> Line:
    return cut(
        [(" ", ""), (clipped(note or "Waiting for its screen…", cells - 2), "warning" if note else "hint")], cells
    )


def _keys(keys: tuple[tuple[str, str], ...], cells: int) -> Line:
    spans: list[Span] = [(" ", "")]
    for key, words in keys:
        spans += [(key, "key"), (f" {words}   ", "hint")]
    return cut(spans, cells)


def _rows(output: LiveOutput, room: int, cells: int, left: int, up: int) -> list[Line]:
    rows = output.text.split("\n")
    end = len(rows)
    while end > room and not rows[end - 1]:  # blank rows below are no reason to hide those above
        end -= 1
    top = max(0, end - room)
    if output.cursor is not None and output.cursor.row < top:
        top = output.cursor.row
    top = max(0, top - up)
    return [_row(row, cells, left) for row in rows[top : top + room]]


def _row(row: str, cells: int, left: int) -> Line:
    spans: Line = tuple((visible(text), pen.sgr) for text, pen in runs(row) if text)
    return cut(skipped(spans, left) if left else spans, cells)
