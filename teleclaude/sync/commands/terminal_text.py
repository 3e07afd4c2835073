"""Text into a terminal and out of it. Pure.

Into a session goes text as one paste: what a terminal would act on is taken out, an embedded end of the paste first
of all. What comes out of it core/screen_text.py cleans.
"""

from __future__ import annotations

import re

# C0 without tab and newline, DEL, C1. The sequences that begin and end a paste go first, whole.
_PASTE_MARKS = re.compile("(\x1b\\[|\x9b)20[01]~")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_ENDS = re.compile("\r\n?")

_BLANK = re.compile("(?:\x1b\\[[0-9;:]*m|[ \t])*")


def for_paste(text: str) -> str:
    """Give text as it may be pasted: newlines and tabs kept, every other control character gone."""
    return _CONTROLS.sub("", _PASTE_MARKS.sub("", _LINE_ENDS.sub("\n", text)))


def page_of(text: str, count: int, before: int, limit: int) -> list[str]:
    """Lines of a text up to the last `before`: at most `count` lines and `limit` characters, the last of them.

    Blank lines at the end of the text are none.
    """
    lines = [line.rstrip(" ") for line in text.split("\n")]
    while lines and _BLANK.fullmatch(lines[-1]):
        lines.pop()
    kept: list[str] = []
    end = max(0, len(lines) - before)
    for line in reversed(lines[max(0, end - count) : end]):
        limit -= len(line) + 1
        if limit < 0:
            break
        kept.append(line)
    return kept[::-1]
