"""The lines on the terminal, and the bytes that change them into others. Pure: it writes nothing itself.

Each frame is one synchronised update, so that a terminal which knows that never shows half of one; it names only
what differs. Styles are names, which `palette` turns into SGR; or, for what another program drew, SGR themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from teleclaude.tui.cells import Line, Span, width
from teleclaude.tui.style import has_colours, without_colours

ENTER = "\x1b[?1049h\x1b[?2004h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"  # own screen, bracketed paste, no cursor, no wrap
LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?2004l\x1b[?1049l"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"


class Screen:
    """Knows what is shown."""

    def __init__(self, palette: Mapping[str, str]) -> None:
        self._palette = palette
        self._shown: list[Line] = []
        self._cursor: tuple[int, int] | None = None

    def forget(self) -> None:
        """Nothing is known of what is shown: the next frame is whole, on a cleared screen."""
        self._shown = []

    def frame(self, lines: Sequence[Line], cursor: tuple[int, int] | None = None) -> bytes:
        """Give the bytes that make the screen show `lines`, with the cursor at (row, column) or hidden.

        Empty when nothing differs.
        """
        parts: list[str] = []
        if len(self._shown) != len(lines):
            parts.append("\x1b[0m\x1b[H\x1b[2J")
            self._shown = [()] * len(lines)
        for row, (old, new) in enumerate(zip(self._shown, lines, strict=True)):
            if old != new:
                parts.append(self._changed(row, old, new))
        if not parts and cursor == self._cursor:
            return b""
        if cursor is None:
            parts.append("\x1b[?25l" if self._cursor is not None else "")
        else:
            parts.append(f"\x1b[{cursor[0] + 1};{cursor[1] + 1}H\x1b[?25h")
        self._shown, self._cursor = list(lines), cursor
        return (BEGIN + "".join(parts) + END).encode(errors="replace")

    def _changed(self, row: int, old: Line, new: Line) -> str:
        """Write a line from the first span that differs."""
        same = 0
        while same < min(len(old), len(new)) and old[same] == new[same]:
            same += 1
        column = sum(width(text) for text, _ in new[:same])
        return f"\x1b[{row + 1};{column + 1}H" + "".join(self._styled(span) for span in new[same:]) + "\x1b[0m\x1b[K"

    def _styled(self, span: Span) -> str:
        text, style = span
        return f"\x1b[0m{self._sgr(style)}{text}"

    def _sgr(self, style: str) -> str:
        if not style.startswith("\x1b"):
            return self._palette.get(style, "")
        return style if has_colours(self._palette) else without_colours(style)
