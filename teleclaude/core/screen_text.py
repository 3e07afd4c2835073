"""A terminal's screen as text: its colours and nothing else, no other escape sequence, no control character. Pure."""

from __future__ import annotations

import re

_SEQUENCES = re.compile(
    r"(?P<colour>\x1b\[[0-9;:]*m)"
    r"|\x1b[P\]X^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # strings: DCS, OSC, SOS, PM, APC
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # other control sequences
    r"|\x1b[ -/]*[0-~]?"  # other escapes
    r"|\x0e(?P<lines>[^\x00-\x1f\x7f-\x9f]*)\x0f?"  # the line-drawing set, which capture-pane shifts into
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_DRAWN = str.maketrans("jklmnqtuvwxafgopsyz{|}~`", "┘┐┌└┼─├┤┴┬│▒°±⎺⎻⎽≤≥π≠£·◆")


def only_colours(text: str) -> str:
    """Give a captured screen with its colours (SGR) and line drawings, without any other escape."""
    return _SEQUENCES.sub(_kept, text)


def _kept(match: re.Match[str]) -> str:
    return match["colour"] or (match["lines"] or "").translate(_DRAWN)
