"""Bytes from the keyboard become keys. Pure: feed it bytes, take keys and pastes.

Why not blessed's `inkey`: it hands a paste over character by character, and it buffers where `select` cannot see it.
What nearly all terminals send for the keys used here is listed in key_names.py; what this one sends besides, blessed
tells from terminfo (keymap.py, `learn`), once the first screen is painted.

Rules of this module:
- No byte raises. A sequence that breaks off is dropped, and the byte that broke it is read as if it came first.
- What is not whole is held back, in bounded memory, until `deadline`; then `flush` gives what it is by itself, and
  the next byte is read as a key again. So nothing that a terminal loses (the end of a sequence, of a string, of a
  paste) takes the keyboard away for longer than that; ^C typed by itself ends a paste at once.
- A report of the terminal (mouse, focus, answers) is no key, and neither is the release of one.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

from teleclaude.tui.key_names import alt, control_name, name_of_ss3, names_of_csi

ESC_DELAY = 0.1  # seconds; a lone ESC cannot be told from the beginning of a sequence until nothing follows
SEQUENCE_DELAY = 0.5  # seconds from its first byte for what is no lone ESC
PASTE_DELAY = 1.0  # seconds of silence that end a paste whose end is lost
PASTE_LIMIT = 1024 * 1024  # bytes
_SEQUENCE_LIMIT = 64  # bytes kept of a sequence
_RUN = 16  # bytes in one read that nobody types: after a torn paste, the rest of it

_PASTE_START, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_TAIL = re.compile(rb"\[[0-?]*[ -/]*[@-~]|O[0-9;]*[@-~]")
_ESC, _BEL = 0x1B, 0x07

_State: TypeAlias = Literal[
    "ground", "escape", "csi", "ss3", "console", "mouse", "string", "string end", "utf8", "paste"
]

_PRINTABLE = range(0x20, 0x7F)
# The bytes that may follow in each state; any other one breaks off what is held.
_BELONGS: dict[_State, frozenset[int]] = {
    "ground": frozenset(range(256)),
    "escape": frozenset(range(256)) - {_ESC},
    "csi": frozenset(_PRINTABLE),
    "ss3": frozenset(_PRINTABLE),
    "console": frozenset(_PRINTABLE),
    "mouse": frozenset(range(0x20, 256)),
    "string": frozenset({_BEL, _ESC, *range(0x20, 256)}) - {0x7F},
    "string end": frozenset(b"\\"),
    "utf8": frozenset(range(0x80, 0xC0)),
}
_STRINGS = frozenset(b"P]X^_")  # ESC and one of these begin a string that ST or BEL ends


class Key(msgspec.Struct, frozen=True):
    """A key. `name` is a character, or such as up, enter, esc, tab, shift+tab, ctrl+s, alt+x."""

    name: str


class Paste(msgspec.Struct, frozen=True):
    """Pasted text, line ends as newlines. `is_cut`: it was longer than PASTE_LIMIT, and this is its beginning."""

    text: str
    is_cut: bool = False


Input: TypeAlias = Key | Paste


class KeyReader:
    """Cuts a stream of bytes into keys."""

    def __init__(self) -> None:
        self._state: _State = "ground"
        self._held = bytearray()  # of a key that is not whole; in a paste: what may be the beginning of its end
        self._pasted = bytearray()
        self._is_cut = False
        self._since = 0.0  # when the first byte of what is held came; in a paste, the last
        self._torn: Literal["", "escape", "paste"] = ""  # what `flush` took for whole, and may go on after all
        self._learnt: dict[bytes, str] = {}

    def learn(self, keys: dict[bytes, str]) -> None:
        """Know these sequences too, by the names of their keys."""
        self._learnt = keys

    @property
    def deadline(self) -> float | None:
        """When `flush` is to be called unless more bytes came; None when nothing is held back."""
        if self._state == "ground":
            return None
        if self._state == "paste":
            return self._since + PASTE_DELAY
        return self._since + (ESC_DELAY if self._held == b"\x1b" else SEQUENCE_DELAY)

    def receive_data(self, data: bytes, now: float = 0.0) -> list[Input]:
        """Take bytes that came at `now` (time.monotonic()), give what is whole."""
        found: list[Input] = []
        self._mend(data)
        if self._state == "paste" and data == b"\x03":
            found.append(self._end_paste())
        place = 0
        while place < len(data):
            if self._state in {"ground", "paste"}:
                self._since = now
            if self._state == "paste":
                place = self._take_paste(data, place, found)
            else:
                found += self._take(data[place], now)
                place += 1
        return found

    def flush(self) -> list[Input]:
        """Nothing more followed: what was held back is whole by itself."""
        if self._state == "paste":
            self._pasted += self._held
            self._torn = "paste"
            return [self._end_paste()]
        if self._held == b"\x1b":
            self._torn = "escape"
        elif len(self._held) == 2:
            return [Key(name) for name in alt(self._end()[1:])]
        return self._broken_off()

    def _mend(self, data: bytes) -> None:
        """Go on with what `flush` took for whole too early, where the bytes say that it was not."""
        torn, self._torn = self._torn, ""
        if torn == "escape" and _TAIL.match(data):
            self._held[:], self._state = b"\x1b", "escape"  # the rest is in these bytes, so no deadline matters
        elif torn == "paste" and data[:1] != b"\x1b" and (len(data) >= _RUN or _PASTE_END in data):
            self._state = "paste"
        elif torn == "paste" and _PASTE_END not in data:
            self._torn = torn

    # One byte

    def _take(self, byte: int, now: float) -> list[Input]:
        if byte in _BELONGS[self._state]:
            if len(self._held) < _SEQUENCE_LIMIT:
                self._held.append(byte)
            return self._step(byte)
        if self._state == "string end":  # an ESC in a string ends it, and begins what comes
            self._held[:], self._state, self._since = b"\x1b", "escape", now
            return self._take(byte, now)
        self._since = now
        return self._broken_off() + self._take(byte, now)

    def _broken_off(self) -> list[Input]:
        return [Key("esc")] if self._end() == b"\x1b" else []

    def _step(self, byte: int) -> list[Input]:
        """Go on by a byte that belongs to what is held."""
        learnt = self._learnt.get(bytes(self._held)) if self._state in {"escape", "csi", "ss3"} else None
        if learnt:
            self._end()
            return [Key(learnt)]
        match self._state:
            case "ground":
                return self._first(byte)
            case "escape":
                return self._after_escape(byte)
            case "csi":
                return self._after_csi(byte)
            case "ss3":
                return self._keys(name_of_ss3(self._end())) if byte >= 0x40 else []
            case "mouse":
                return self._after_mouse()
            case "string":
                return self._after_string(byte)
            case "utf8":
                return self._after_utf8()
            case _:  # a console's function key, a string's end: known, and no key
                self._end()
                return []

    def _first(self, byte: int) -> list[Input]:
        if byte == _ESC:
            self._state = "escape"
        elif 0xC2 <= byte <= 0xF4:
            self._state = "utf8"
        else:
            self._end()
            if byte < 0x20 or byte == 0x7F:
                return [Key(control_name(byte))]
            return [Key(chr(byte))] if byte < 0x80 else []
        return []

    def _after_escape(self, byte: int) -> list[Input]:
        if byte == ord("["):
            self._state = "csi"
        elif byte == ord("O"):
            self._state = "ss3"
        elif byte in _STRINGS:
            self._state = "string"
        elif 0xC2 <= byte <= 0xF4:
            self._state = "utf8"
        else:
            return self._keys(alt(self._end()[1:]))
        return []

    def _after_csi(self, byte: int) -> list[Input]:
        if self._held == b"\x1b[[":
            self._state = "console"
        elif self._held == b"\x1b[M":
            self._state = "mouse"
        elif self._held == _PASTE_START:
            self._end()
            self._state = "paste"
        elif byte >= 0x40:
            return self._keys(names_of_csi(self._end()))
        return []

    def _after_mouse(self) -> list[Input]:
        """Take the button and two coordinates of an old mouse report: a byte each, or in UTF-8 (mode 1005)."""
        report = bytes(self._held[3:])
        is_utf8 = _may_become(report)
        if (len(report.decode(errors="ignore")) if is_utf8 else len(report)) >= 3:
            self._end()
        return []

    def _after_string(self, byte: int) -> list[Input]:
        if byte == _BEL:
            self._end()
        elif byte == _ESC:
            self._state = "string end"
        return []

    def _after_utf8(self) -> list[Input]:
        is_alt = self._held[0] == _ESC
        char = bytes(self._held[1:] if is_alt else self._held)
        if len(char) < _utf8_size(char[0]):
            return []
        self._end()
        return self._keys(alt(char)) if is_alt else [Key(text) for text in char.decode(errors="ignore")]

    def _end(self) -> bytes:
        """Hold nothing any more. Gives what was held."""
        held = bytes(self._held)
        self._held.clear()
        self._state = "ground"
        return held

    def _keys(self, names: list[str]) -> list[Input]:
        return [Key(name) for name in names]

    # Pastes

    def _take_paste(self, data: bytes, place: int, found: list[Input]) -> int:
        """Take bytes of a paste from `place` on. Gives the place behind them."""
        held = len(self._held)
        text = bytes(self._held) + data[place:]
        end = text.find(_PASTE_END)
        if end < 0:
            kept = next((size for size in range(5, 0, -1) if text.endswith(_PASTE_END[:size])), 0)
            self._add_pasted(text[: len(text) - kept])
            self._held[:] = text[len(text) - kept :]
            return len(data)
        self._add_pasted(text[:end])
        found.append(self._end_paste())
        return place + end + len(_PASTE_END) - held

    def _add_pasted(self, text: bytes) -> None:
        room = PASTE_LIMIT - len(self._pasted)
        self._pasted += text[:room]
        self._is_cut = self._is_cut or len(text) > room

    def _end_paste(self) -> Paste:
        data, is_cut = bytes(self._pasted), self._is_cut
        self._pasted.clear()
        self._is_cut = False
        self._end()
        text = data.decode(errors="ignore" if is_cut else "replace")  # a cut may go through a character
        return Paste(text.replace("\r\n", "\n").replace("\r", "\n"), is_cut)


def _utf8_size(first: int) -> int:
    return 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2 if first >= 0xC0 else 1


def _may_become(data: bytes) -> bool:
    """Tell whether `data` is a correct beginning of UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
