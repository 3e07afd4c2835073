"""Bytes from the keyboard become keys. Pure: feed it bytes, take keys and pastes.

Why not blessed's `inkey`: it hands a paste over character by character, and it buffers where `select` cannot see it.
What nearly all terminals send for the keys used here is listed below; what this one sends besides, blessed tells from
terminfo (keymap.py, `learn`), once the first screen is painted.

A lone ESC cannot be told from the beginning of a sequence until nothing follows: `pending` says that something
is held back, and `flush` gives it, after `ESC_DELAY`.
"""

from __future__ import annotations

import codecs
import re
from typing import TypeAlias

import msgspec

ESC_DELAY = 0.035  # seconds
PASTE_LIMIT = 1024 * 1024  # bytes

_CSI_FINAL = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "Z": "shift+tab",
    "P": "f1", "Q": "f2", "R": "f3", "S": "f4", "M": "enter",
}  # fmt: skip
_CSI_TILDE = {1: "home", 2: "insert", 3: "delete", 4: "end", 5: "pgup", 6: "pgdn", 7: "home", 8: "end"}
_CONTROL = {0x0D: "enter", 0x0A: "ctrl+j", 0x09: "tab", 0x7F: "backspace", 0x08: "backspace", 0x00: "ctrl+space"}
_SEQUENCE = re.compile(rb"\x1b(?:\[\[[A-E]|\[([<-?]?)([0-9;:]*)([ -/]*)([@-~])|O([0-9;]*)([@-~]))")
_PARTIAL = re.compile(rb"\x1b(?:\[\[?[<-?]?[0-9;:]*[ -/]*|O[0-9;]*)?")
_STRING = re.compile(rb"\x1b[P\]X^_](?:[^\x07\x1b]|\x1b(?!\\))*(?:\x07|\x1b\\)", re.DOTALL)
_PASTE_START, _PASTE_END = b"\x1b[200~", b"\x1b[201~"


class Key(msgspec.Struct, frozen=True):
    """A key. `name` is a character, or such as up, enter, esc, tab, shift+tab, ctrl+s, alt+x."""

    name: str


class Paste(msgspec.Struct, frozen=True):
    """Pasted text, line ends as newlines."""

    text: str


Input: TypeAlias = Key | Paste


class KeyReader:
    """Cuts a stream of bytes into keys."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_pasting = False
        self._learnt: dict[bytes, str] = {}

    def learn(self, keys: dict[bytes, str]) -> None:
        """Know these sequences too, by the names of their keys."""
        self._learnt = keys

    @property
    def pending(self) -> bool:
        """Whether bytes are held back that may be the beginning of a key."""
        return bool(self._buffer) and not self._is_pasting

    def receive_data(self, data: bytes) -> list[Input]:
        """Take bytes, give what is whole."""
        self._buffer += data
        found: list[Input] = []
        while self._buffer:
            taken = self._paste() if self._is_pasting else self._one()
            if taken is None:
                break
            found += taken
        return found

    def flush(self) -> list[Input]:
        """Nothing more followed: what was held back is keys by itself."""
        held, self._buffer = bytes(self._buffer), bytearray()
        if not held:
            return []
        if held[0] == 0x1B:
            return [Key("esc")] if len(held) == 1 else _alt(held[1:])
        return [Key(char) for char in held.decode(errors="ignore")]

    def _paste(self) -> list[Input] | None:
        end = self._buffer.find(_PASTE_END)
        if end < 0:
            del self._buffer[PASTE_LIMIT:]  # an endless paste is cut, and costs no more memory
            return None
        text = self._buffer[:end].decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        del self._buffer[: end + len(_PASTE_END)]
        self._is_pasting = False
        return [Paste(text)]

    def _one(self) -> list[Input] | None:
        """Take one key off the buffer: the keys it is (none for what is not known), or None when more is needed."""
        first = self._buffer[0]
        if first == 0x1B:
            return self._escape()
        if first < 0x20 or first == 0x7F:
            del self._buffer[:1]
            return [Key(_control(first))]
        return self._character()

    def _character(self) -> list[Input] | None:
        size = _utf8_size(self._buffer[0])
        if len(self._buffer) < size and _may_become(bytes(self._buffer)):
            return None
        try:
            char = self._buffer[:size].decode()
        except UnicodeDecodeError:
            del self._buffer[:1]
            return []
        del self._buffer[:size]
        return [Key(char)]

    def _escape(self) -> list[Input] | None:
        buffer = bytes(self._buffer[:4096])
        if buffer.startswith(_PASTE_START):
            del self._buffer[: len(_PASTE_START)]
            self._is_pasting = True
            return []
        for sequence, name in self._learnt.items():
            if buffer.startswith(sequence):
                del self._buffer[: len(sequence)]
                return [Key(name)]
        for pattern in (_SEQUENCE, _STRING):
            match = pattern.match(buffer)
            if match:
                del self._buffer[: match.end()]
                return _named(match) if pattern is _SEQUENCE else []
        if _PARTIAL.fullmatch(buffer) or (buffer[1:2] in {b"P", b"]"} and len(buffer) < 4096):
            return None
        if buffer[1:2] == b"\x1b":
            del self._buffer[:1]
            return [Key("esc")]
        return self._alt()

    def _alt(self) -> list[Input] | None:
        size = 1 + _utf8_size(self._buffer[1])
        if len(self._buffer) < size and _may_become(bytes(self._buffer[1:])):
            return None
        held = bytes(self._buffer[1:size])
        del self._buffer[:size]
        return _alt(held)


def _named(match: re.Match[bytes]) -> list[Input]:
    """Name a whole sequence; mouse reports, answers of the terminal and unknown keys are nothing."""
    private, parameters, _, final, ss3_parameters, ss3_final = (
        part.decode() if part else "" for part in match.groups()
    )
    if ss3_final:
        return _modified(_CSI_FINAL.get(ss3_final, ""), ss3_parameters)
    if private or not final:
        return []
    numbers = [int(part.split(":")[0] or 0) for part in parameters.split(";")] if parameters else []
    if final == "~":
        return _modified(_CSI_TILDE.get(numbers[0] if numbers else 0, ""), parameters)
    if final == "u" and numbers:  # a key told by its code point, as kitty and tmux with extended-keys do
        return _modified(
            _control(numbers[0]) if numbers[0] < 0x20 or numbers[0] == 0x7F else chr(numbers[0]), parameters
        )
    if final in "RM":  # the cursor's position; an old mouse report
        return []
    return _modified(_CSI_FINAL.get(final, ""), parameters)


def _modified(name: str, parameters: str) -> list[Input]:
    if not name:
        return []
    parts = parameters.split(";")
    bits = int(parts[1].split(":")[0] or 1) - 1 if len(parts) > 1 else 0
    prefix = ("ctrl+" if bits & 4 else "") + ("alt+" if bits & 2 else "")
    if bits & 1 and len(name) > 1 and not name.startswith("shift+"):
        prefix += "shift+"
    if prefix == "ctrl+" and name == "m":
        return [Key("enter")]
    return [Key(prefix + name)]


def _alt(held: bytes) -> list[Input]:
    if len(held) == 1 and (held[0] < 0x20 or held[0] == 0x7F):
        return [Key("alt+" + _control(held[0]))]
    text = held.decode(errors="ignore")
    return [Key("alt+" + text)] if text else []


def _control(code: int) -> str:
    if code in _CONTROL:
        return _CONTROL[code]
    return "esc" if code == 0x1B else "ctrl+" + chr(code + 0x60 if code < 0x1B else code + 0x40)


def _utf8_size(first: int) -> int:
    return 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2 if first >= 0xC0 else 1


def _may_become(data: bytes) -> bool:
    """Tell whether `data` is a correct beginning of UTF-8."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True
