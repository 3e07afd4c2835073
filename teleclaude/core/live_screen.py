"""The screen of a session at one moment: rows with their colours, its size and its cursor. Pure.

Rows are whole: each begins with the default colours and has no escape but SGR, no newline and no tab. So a row that
did not change need not be told again, and any of them can be shown alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from teleclaude.core.screen_text import only_colours
from teleclaude.core.sgr import plain, separate_rows

ROWS = 500
COLUMNS = 10_000
ROW_CHARS = 8192
CHARS = 200_000  # of all rows
_BLANKS = str.maketrans("\n\t", "  ")


class LiveScreen(msgspec.Struct, frozen=True, kw_only=True):
    """One screen. `cursor`: its (row, column), from 0; None while it is hidden. `alternate`: it is the one without
    history, as of an editor. `columns`: of the pane.
    """

    rows: tuple[str, ...] = ()
    columns: int = 0
    cursor: tuple[int, int] | None = None
    alternate: bool = False

    @property
    def text(self) -> str:
        """All rows, below each other."""
        return "\n".join(self.rows)


def screen_of(captured: str, columns: int, cursor: tuple[int, int] | None, *, alternate: bool) -> LiveScreen:
    """Make a screen from what tmux captured, which may hold more than colours, that go on from row to row."""
    return bounded(separate_rows(only_colours(captured).removesuffix("\n")), columns, cursor, alternate=alternate)


def bounded(
    rows: Iterable[str], columns: int, cursor: tuple[int, int] | None, *, alternate: bool = False
) -> LiveScreen:
    """Make a screen within the limits: its last rows, the longest without their colours, or cut."""
    found = list(rows)
    above = max(0, len(found) - ROWS)
    kept = [clean_row(row) for row in found[above:]]
    if sum(map(len, kept)) > CHARS:
        kept = [plain(row)[: CHARS // len(kept)] for row in kept]
    if cursor is not None:
        cursor = (cursor[0] - above, cursor[1])
        cursor = cursor if 0 <= cursor[0] < len(kept) and 0 <= cursor[1] <= COLUMNS else None
    return LiveScreen(rows=tuple(kept), columns=max(0, min(columns, COLUMNS)), cursor=cursor, alternate=alternate)


def clean_row(row: str) -> str:
    """Give a row with its colours and nothing else that a terminal acts on, cut when it is too long."""
    row = only_colours(row).translate(_BLANKS)
    return row if len(row) <= ROW_CHARS else plain(row)[:ROW_CHARS]
