"""Reads plans out of Markdown: `todos/roadmap.md`, and the task lists of `TODO.md`.

Pure: text in, items out, in their order; never raises. A roadmap's item is one line with a mark, a slug and a title:

    - [ ] my-slug: Title          pending ([.] ready, [>] in progress, [x] done)
        Indented lines below are the description.

The slug may stand alone, in backticks or stars, and be followed by `:`, `-` or a dash. Where no slug is given, and in
`TODO.md`, it is made from the text. Fenced code and comments hold no items.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field

from teleclaude.core.records import TodoStatus
from teleclaude.core.text import one_line

TITLE_LIMIT = 256  # characters
DESCRIPTION_LIMIT = 4096  # characters
SLUG_LIMIT = 64  # characters of a slug that is made from a text
ITEMS_LIMIT = 2000  # of one file

_ITEM = re.compile(r"([ \t]*)(?:[-*+]|\d{1,9}[.)])[ \t]+\[([^\]]?)\][ \t]+(\S.*)", re.DOTALL)
_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})")
_NAMED = re.compile(
    r"([`*_]{0,2})([A-Za-z0-9][A-Za-z0-9._-]{0,127})\1(?:\s*:\s+|\s+[-\u2010-\u2015]+\s+|\s*:?$)(.*)", re.DOTALL
)
_SLUG_LIKE = re.compile(r"[a-z0-9._-]+|.*[-_0-9].*", re.DOTALL)
_NOT_WORD = re.compile(r"[\W_]+")
_MARKS: dict[str, TodoStatus] = {".": "ready", ">": "in_progress", "x": "done", "X": "done"}


@dataclass(frozen=True)
class Item:
    """One item of a file. `folder`: the slug as written, by which its folder is named; "" when none was."""

    slug: str
    title: str
    status: TodoStatus
    description: str = ""
    folder: str = ""


@dataclass
class _Open:
    """An item whose description may go on."""

    indent: int
    status: TodoStatus
    text: str
    lines: list[str] = field(default_factory=list)


def parse_roadmap(text: str) -> list[Item]:
    """Give the items of a roadmap. An indented item belongs to the description of the one above."""
    return [_roadmap_item(found) for found in _items(text, nested=False)]


def parse_tasks(text: str) -> list[Item]:
    """Give the items of a task list, nested ones after the one they belong to."""
    return [
        Item(slug_from(found.text), one_line(found.text, TITLE_LIMIT), found.status, _description(found.lines))
        for found in _items(text, nested=True)
    ]


def unique(items: list[Item]) -> list[Item]:
    """Give the items with slugs that differ: what was written is kept, the later of two equal ones gets a number."""
    wanted = {item.slug for item in items}
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    result: list[Item] = []
    for item in items:
        slug = item.slug
        while slug in taken or (slug != item.slug and slug in wanted):
            numbers[item.slug] = numbers.get(item.slug, 1) + 1
            slug = f"{item.slug}-{numbers[item.slug]}"
        taken.add(slug)
        result.append(item if slug == item.slug else Item(slug, item.title, item.status, item.description, item.folder))
    return result


def slug_from(text: str) -> str:
    """Make a slug from a text: its words in small letters, joined by dashes; the same text gives the same slug."""
    words = _NOT_WORD.sub("-", text.casefold()).strip("-")
    if words and len(words) <= SLUG_LIMIT:
        return words
    mark = hashlib.blake2s(text.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{words[: SLUG_LIMIT - 9].rstrip('-') or 'todo'}-{mark}"


def _roadmap_item(found: _Open) -> Item:
    named = _NAMED.fullmatch(found.text)
    description = _description(found.lines)
    if named is None or not _SLUG_LIKE.fullmatch(named[2]):
        return Item(slug_from(found.text), one_line(found.text, TITLE_LIMIT), found.status, description)
    slug = named[2]
    return Item(slug, one_line(named[3], TITLE_LIMIT) or slug, found.status, description, slug)


def _description(lines: list[str]) -> str:
    return textwrap.dedent("\n".join(lines)).strip()[:DESCRIPTION_LIMIT].rstrip()


def _items(text: str, *, nested: bool) -> list[_Open]:
    """Find the items, each with the lines that belong to it."""
    found: list[_Open] = []
    above: list[_Open] = []  # the item that the next line may belong to is the last one
    for line, is_text in _lines(text):
        item = _ITEM.fullmatch(line) if is_text else None
        indent = _indent(line)
        if item is None:
            if line.strip():
                _close(above, indent - 1)
            if above:
                above[-1].lines.append(line)
            continue
        _close(above, indent - 2)
        if above and not nested:
            above[-1].lines.append(line)
        elif len(found) < ITEMS_LIMIT:
            above.append(_Open(indent, _MARKS.get(item[2], "pending"), item[3].strip()))
            found.append(above[-1])
    return found


def _close(above: list[_Open], indent: int) -> None:
    """Drop the items that stand further in than `indent`: nothing belongs to them any more."""
    while above and above[-1].indent > indent:
        above.pop()


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Give each line, and whether it may be an item: not in fenced code. Comments are left out.

    A fence also ends where its list item ends. A fence or comment that never closes is none: a slip of the pen must
    not hide the rest of the file.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    last_close = max((n for n, line in enumerate(lines) if "-->" in line), default=-1)
    last_fence = max((n for n, line in enumerate(lines) if _FENCE.match(line)), default=-1)
    fence: re.Match[str] | None = None
    in_comment = False
    for number, line in enumerate(lines):
        if in_comment:
            in_comment = "-->" not in line
            continue
        if fence is None and line.lstrip().startswith("<!--") and number <= last_close:
            in_comment = "-->" not in line
            continue
        mark = _FENCE.match(line)
        if fence is not None and line.strip() and _indent(line) < _indent(fence[1]):
            fence = None
        is_text = fence is None and mark is None
        if fence is None:
            fence = mark if number < last_fence else None
        elif mark and mark[2].startswith(fence[2]) and not line[mark.end() :].strip():
            fence = None
        yield line, is_text


def _indent(line: str) -> int:
    """Columns of white space before a line."""
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip(" "))
