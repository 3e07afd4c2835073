"""JSON as it stands in a file: where each value begins and ends, and edits that touch nothing else. Pure.

Why by hand: the libraries that keep a JSON text (comments, indentation) write it anew from a tree, and what they write
is never byte for byte what stood there. Here an edit is a splice. What was put in by `insert` goes out by `remove`, and
leaves the very bytes that were there before.

`comments` allows `//` and `/* */`, as Gemini CLI's settings do; nobody's allow a trailing comma.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from teleclaude.core.errors import Refused

_SPACE = " \t\r\n"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SCALAR = re.compile(r"[^\s,\]}]+")
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|(//[^\n\r]*|/\*.*?\*/)', re.DOTALL)


@dataclass(slots=True)
class JsonNode:
    """A value from `start` to `end`. `names`: of an object's members, beside `parts`; `begins`: where those begin."""

    start: int
    end: int = 0
    bracket: str = ""  # "{", "[", or nothing
    names: list[str] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    parts: list[JsonNode] = field(default_factory=list)

    def member(self, name: str) -> JsonNode | None:
        """Give the member of that name; of several, the one that counts: the last."""
        found = [part for at, part in zip(self.names, self.parts, strict=False) if at == name]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class JsonText:
    """A text that was read: `plain` is it with spaces for comments, `data` what it says, `root` where that stands."""

    text: str
    plain: str
    data: Any
    root: JsonNode


def read_json(text: str, *, comments: bool) -> JsonText:
    """Read a text. Raises Refused with the place where it is no JSON."""
    body = text.removeprefix("\ufeff")
    mark = len(text) - len(body)
    plain = " " * mark + (_COMMENT.sub(_blanked, body) if comments else body)
    try:
        data = json.loads(plain, parse_constant=_refuse_constant)
        root = _value(plain, _skip(plain, 0))
    except RecursionError as error:
        raise Refused("it is nested too deeply") from error
    except ValueError as error:
        raise Refused(f"it is not valid JSON: {error}") from error
    return JsonText(text, plain, data, root)


def _blanked(match: re.Match[str]) -> str:
    return match[1] or re.sub(r"[^\n\r]", " ", match[2])


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


# The text is known to be valid from here on.


def _skip(plain: str, at: int) -> int:
    while at < len(plain) and plain[at] in _SPACE:
        at += 1
    return at


def _value(plain: str, at: int) -> JsonNode:
    bracket = plain[at]
    if bracket not in "{[":
        match = (_STRING if bracket == '"' else _SCALAR).match(plain, at)
        assert match is not None
        return JsonNode(at, match.end())
    node = JsonNode(at, bracket=bracket)
    at = _skip(plain, at + 1)
    while plain[at] not in "}]":
        node.begins.append(at)
        if bracket == "{":
            name = _STRING.match(plain, at)
            assert name is not None
            node.names.append(json.loads(name[0]))
            at = _skip(plain, _skip(plain, name.end()) + 1)
        node.parts.append(_value(plain, at))
        at = _skip(plain, node.parts[-1].end)
        if plain[at] == ",":
            at = _skip(plain, at + 1)
    node.end = at + 1
    return node


# Edits.


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written: the end of a line, and one step of indentation."""

    line_end: str
    step: str


def layout_of(found: JsonText) -> Layout:
    """Tell how a file is written."""
    line_end = "\r\n" if "\r\n" in found.text else "\n"
    for begin in found.root.begins:
        line = found.text.rfind("\n", 0, begin) + 1
        step = found.text[line:begin]
        if line and step and not step.strip(" \t"):
            return Layout(line_end, step)
    return Layout(line_end, "  ")


def as_text(value: Any, layout: Layout, depth: int) -> str:
    """Write a value that stands at `depth`, beginning with no indentation of its own."""
    text = json.dumps(value, indent=layout.step, ensure_ascii=False)
    return text.replace("\n", layout.line_end + layout.step * depth)


def insert(found: JsonText, node: JsonNode, piece: str, layout: Layout, depth: int) -> tuple[str, str]:
    """Put a piece (a value, or a member with its name) last into an array or object at `depth`.

    Gives the text, and what was added behind the piece to set off the closing bracket, which `remove` is to be told.
    """
    close = node.end - 1
    inner = found.text[node.start + 1 : close]
    at = close - (len(inner) - len(inner.rstrip(_SPACE)))  # behind the last comment or value
    added = layout.line_end + layout.step * (depth + 1) + piece
    behind = ""
    if not node.parts and "\n" not in found.text[at:close]:
        behind = layout.line_end + layout.step * depth
    text = found.text[:at] + added + behind + found.text[at:]
    if node.parts:
        end = node.parts[-1].end
        text = text[:end] + "," + text[end:]
    return text, behind


def remove(found: JsonText, node: JsonNode, index: int, behind: str = "") -> str:
    """Take out the part of that index, with its name. `behind`: what `insert` added behind it, if it was the first."""
    text, plain = found.text, found.plain
    end = node.parts[index].end
    begin = len(text[: node.begins[index]].rstrip(_SPACE))
    if index + 1 < len(node.parts):
        comma = plain.index(",", end)
        return text[:begin] + text[end:comma] + text[comma + 1 :]
    if index:
        comma = plain.index(",", node.parts[index - 1].end)
        return text[:comma] + text[comma + 1 : begin] + text[end:]
    rest = text[end:]
    return text[:begin] + (rest.removeprefix(behind) if behind else rest)
