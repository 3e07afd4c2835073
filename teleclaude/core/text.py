"""The one function that makes text safe to show.

Every string that reaches a terminal or a log passes `visible`: titles, paths, agent output and names come from
anywhere. What this module must not know: width, colour, terminals.
"""

from __future__ import annotations

import re
import unicodedata

MARK = "\N{REPLACEMENT CHARACTER}"

# C0 and C1 controls, DEL, lone surrogates, line and paragraph separators; format characters (bidi overrides and
# isolates, zero-width characters, tags) are found by category, except the joiner that emoji need between two
# visible characters.
_SUSPECT = r"[^\x20-\x7e\xa1-\xac\xae-\u02ff\u0370-\u0482\u048a-\u058f\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]"
_COMBINING_RUN = 4
_JOINER = "\N{ZERO WIDTH JOINER}"
_SELECTOR = "\N{VARIATION SELECTOR-16}"


def visible(text: str) -> str:
    """Replace each character that a terminal could act on by a visible mark; cut floods of combining marks.

    The result has no control, format, surrogate, private-use or unassigned character, no line break, and at
    most four combining marks in a row. It is idempotent.
    """
    if text.isascii():
        if text.isprintable():
            return text
    elif not re.search(_SUSPECT, text):  # kept by re: compiling it takes 2 ms, and most text is ASCII
        return text
    out: list[str] = []
    combining = 0
    for position, char in enumerate(text):
        category = unicodedata.category(char)
        if category in {"Mn", "Me"}:
            combining += 1
            if combining > _COMBINING_RUN:
                continue
        else:
            combining = 0
        out.append(char if _is_safe(text, position, char, category) else MARK)
    return "".join(out)


def _is_safe(text: str, position: int, char: str, category: str) -> bool:
    if char == _JOINER:
        around = text[position - 1 : position] + text[position + 1 : position + 2]
        return len(around) == 2 and all(c == _SELECTOR or unicodedata.category(c) in {"So", "Sk"} for c in around)
    return category[0] != "C" and category not in {"Zl", "Zp"}


def one_line(text: str, limit: int) -> str:
    """Give `text` as one visible line of at most `limit` characters, white space folded."""
    folded = " ".join(text[: limit * 4].split())
    return visible(folded[:limit])


def has_control(text: str) -> bool:
    """Tell whether `visible` would change the text."""
    return visible(text) != text
