"""TOML as it stands in a file: where each table begins and ends, and edits that touch nothing else. Pure.

tomlkit keeps comments, but its tables of tables, once changed, are not written back byte for byte; so what is ours is
appended as text, and cut out again by where it stands. What the text says is always read by the standard library.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import Any

from teleclaude.core.errors import Refused


@dataclass(slots=True)
class TomlSection:
    """A table's header and what belongs to it: `path` of its keys, from `start` to `end`, behind its last value."""

    path: tuple[str, ...]
    start: int
    end: int


def read_toml(text: str) -> dict[str, Any]:
    """Read a text. Raises Refused with the place where it is no TOML."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Refused(f"it is not valid TOML: {error}") from error


def sections(text: str) -> list[TomlSection]:
    """Give the tables of a valid text in their order; the first is what stands before any header."""
    found = [TomlSection((), 0, 0)]
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n\ufeff":
            at += 1
        elif text[at] == "#":
            at = _line_end(text, at)
        else:
            end = _statement_end(text, at)
            if text[at] == "[":
                found.append(TomlSection(_path(text[at:end]), at, end))
            found[-1].end = at = end
    return found


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _statement_end(text: str, at: int) -> int:
    """Give where a header or a key with its value ends: behind the line's end, outside of strings and brackets."""
    depth = 0
    while at < len(text):
        char = text[at]
        if char in "\"'":
            at = _string_end(text, at)
            continue
        if char == "#" or (char == "\n" and depth == 0):
            at = _line_end(text, at)
            if depth == 0:
                return at
            continue
        depth += (char in "[{") - (char in "]}")
        at += 1
    return at


def _string_end(text: str, at: int) -> int:
    quote = text[at]
    mark = quote * 3 if text.startswith(quote * 3, at) else quote
    at += len(mark)
    while not text.startswith(mark, at):
        at += 2 if quote == '"' and text[at] == "\\" else 1
    at += len(mark)
    while len(mark) == 3 and text.startswith(quote, at):  # up to two quotes more may stand before the end
        at += 1
    return at


def _path(header: str) -> tuple[str, ...]:
    found: Any = tomllib.loads(header)
    path: list[str] = []
    while found:
        if isinstance(found, list):
            found = found[0]
        else:
            ((name, found),) = found.items()
            path.append(name)
    return tuple(path)


def line_end_of(text: str) -> str:
    """Tell how the lines of a text end."""
    return "\r\n" if "\r\n" in text else "\n"


def string(text: str) -> str:
    """Write a string as TOML does."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def append(text: str, lines: list[str]) -> tuple[str, bool]:
    """Put lines behind all there is, after an empty one; tell whether the last line had to be ended first."""
    line_end = line_end_of(text)
    is_open = bool(text) and not text.endswith("\n")
    return text + line_end * is_open + "".join(line + line_end for line in ("", *lines)), is_open


def cut(text: str, start: int, end: int) -> str:
    """Take out what stands from `start` to `end`, and the empty line before it."""
    before = text[:start]
    for line_end in ("\r\n", "\n"):
        rest = before.removesuffix(line_end)
        if rest != before and (not rest or rest.endswith("\n")):
            before = rest
            break
    return before + text[end:]
