"""Names of the keys that terminals tell by sequences: ECMA-48 and xterm, kitty's protocol, the Linux console. Pure.

Each function takes one whole sequence and gives the names of the keys that it is: one, or none for what is no key
(a report, an answer, a release, a key without a use here). Nothing in a sequence raises.
"""

from __future__ import annotations

import re

_CSI_FINAL = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "Z": "shift+tab",
    "P": "f1", "Q": "f2", "S": "f4",
}  # fmt: skip
_SS3_FINAL = _CSI_FINAL | {"R": "f3", "M": "enter"}  # as CSI, R is the cursor's position and M a mouse report
_CSI_TILDE = {
    1: "home", 2: "insert", 3: "delete", 4: "end", 5: "pgup", 6: "pgdn", 7: "home", 8: "end",
    11: "f1", 12: "f2", 13: "f3", 14: "f4",
}  # fmt: skip
_CONTROL = {0x0D: "enter", 0x0A: "ctrl+j", 0x09: "tab", 0x7F: "backspace", 0x08: "backspace", 0x00: "ctrl+space"}
# Keys of the keypad in kitty's protocol (sw.kovidgoyal.net/kitty/keyboard-protocol, functional key definitions).
_KEYPAD = {57399 + number: char for number, char in enumerate("0123456789./*-+")} | {
    57414: "enter", 57415: "=", 57417: "left", 57418: "right", 57419: "up", 57420: "down", 57421: "pgup",
    57422: "pgdn", 57423: "home", 57424: "end", 57425: "insert", 57426: "delete",
}  # fmt: skip
_SAME = {"ctrl+m": "enter", "ctrl+i": "tab", "ctrl+[": "esc"}  # one byte, before keys were told by their code point
_CSI = re.compile(rb"\x1b\[([0-9;:]*)([@-~])")
_SS3 = re.compile(rb"\x1bO([0-9;:]*)([@-~])")
_DIGITS = 7  # of a number: no code point has more
_RELEASE = 3
_SHIFT, _ALT, _CTRL = 1, 2, 4


def control_name(code: int) -> str:
    """Name of a control character."""
    if code in _CONTROL:
        return _CONTROL[code]
    return "esc" if code == 0x1B else "ctrl+" + chr(code + 0x60 if code < 0x1B else code + 0x40)


def alt(char: bytes) -> list[str]:
    """Name of what comes behind an ESC: a character, in UTF-8."""
    if len(char) == 1 and (char[0] < 0x20 or char[0] == 0x7F):
        return ["alt+" + control_name(char[0])]
    text = char.decode(errors="ignore")
    return ["alt+" + text] if text else []


def name_of_ss3(sequence: bytes) -> list[str]:
    """Name of ESC O and a letter, perhaps with modifiers between them."""
    match = _SS3.fullmatch(sequence)
    if match is None:
        return []
    return _modified(_SS3_FINAL.get(match[2].decode(), ""), _fields(match[1]))


def names_of_csi(sequence: bytes) -> list[str]:
    """Name of ESC [ and what follows. Private sequences are reports, never keys."""
    match = _CSI.fullmatch(sequence)
    if match is None:
        return []
    fields, final = _fields(match[1]), match[2].decode()
    first = fields[0][0]
    if final == "u":
        return _coded(first, fields[0], fields)
    if final != "~":
        return _modified(_CSI_FINAL.get(final, ""), fields)
    if first == 27 and len(fields) >= 3:  # xterm's modifyOtherKeys
        return _coded(fields[2][0], fields[2], fields)
    return _modified(_CSI_TILDE.get(first, ""), fields)


def _fields(parameters: bytes) -> list[list[int]]:
    """Numbers of each parameter; 0 for one that is missing or absurd. Never empty."""
    return [
        [int(part) if part and len(part) <= _DIGITS else 0 for part in field.split(b":")]
        for field in parameters.split(b";")
    ]


def _coded(code: int, forms: list[int], fields: list[list[int]]) -> list[str]:
    """Name of a key that is told by its code point; `forms` may hold its shifted one too."""
    if code in _KEYPAD:
        return _modified(_KEYPAD[code], fields)
    if 0 < code < 0x20 or code == 0x7F:
        return _modified(control_name(code), fields)
    if not _is_character(code):
        return []
    bits, _ = _modifiers(fields)
    char = chr(code)
    if bits & _SHIFT and not bits & (_ALT | _CTRL):
        upper = char.upper()
        char = chr(forms[1]) if len(forms) > 1 and _is_character(forms[1]) else upper if len(upper) == 1 else char
    return _modified(char, fields)


def _is_character(code: int) -> bool:
    """Tell whether a code point is a character: no control, surrogate, or key of kitty's (private use area)."""
    return 0x20 <= code < 0x7F or 0xA0 <= code < 0xD800 or 0xF900 <= code <= 0x10FFFF


def _modifiers(fields: list[list[int]]) -> tuple[int, int]:
    """Bits of the modifiers that are held, and the kind of event (1 press, 2 repeat, 3 release)."""
    if len(fields) < 2:
        return 0, 1
    event = fields[1][1] if len(fields[1]) > 1 else 1
    return max(0, fields[1][0] - 1), event


def _modified(name: str, fields: list[list[int]]) -> list[str]:
    bits, event = _modifiers(fields)
    if not name or event == _RELEASE:
        return []
    prefix = ("ctrl+" if bits & _CTRL else "") + ("alt+" if bits & _ALT else "")
    if bits & _SHIFT and len(name) > 1 and not name.startswith("shift+"):
        prefix += "shift+"
    return [_SAME.get(prefix + name, prefix + name)]
