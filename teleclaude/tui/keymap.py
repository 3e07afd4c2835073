"""What this terminal sends for its keys, as blessed reads it from terminfo.

keys.py knows what nearly all terminals send; blessed knows this one. It is imported after the first paint: its import
costs half of the time that the first painted row may take.

It is given a stream that is no terminal: on a terminal it asks for its name, and reads keys that are ours.
"""

from __future__ import annotations

import io

_NAMES = {
    "KEY_UP": "up",
    "KEY_DOWN": "down",
    "KEY_LEFT": "left",
    "KEY_RIGHT": "right",
    "KEY_HOME": "home",
    "KEY_END": "end",
    "KEY_PGUP": "pgup",
    "KEY_PGDOWN": "pgdn",
    "KEY_INSERT": "insert",
    "KEY_DELETE": "delete",
    "KEY_BTAB": "shift+tab",
}


def terminal_keys() -> dict[bytes, str]:
    """Give the sequences of this terminal (TERM) for the keys that the client knows, by their names here."""
    import blessed
    from blessed.keyboard import get_keyboard_codes, get_keyboard_sequences

    codes = get_keyboard_codes()
    known = get_keyboard_sequences(blessed.Terminal(stream=io.StringIO(), force_styling=True))
    found = {text.encode("latin-1", "ignore"): _NAMES.get(codes.get(code, ""), "") for text, code in known.items()}
    return {sequence: name for sequence, name in found.items() if name and sequence.startswith(b"\x1b")}
