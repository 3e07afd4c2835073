"""The keys of the terminal at hand, from blessed."""

from __future__ import annotations

import pytest

from teleclaude.tui.keymap import terminal_keys
from teleclaude.tui.keys import Key, KeyReader


@pytest.mark.parametrize("term", ["xterm-256color", "screen", "linux"])
def test_the_arrows_of_a_terminal_are_known(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    """What blessed knows of a terminal names the keys as the client does."""
    monkeypatch.setenv("TERM", term)
    known = terminal_keys()
    assert {"up", "down", "left", "right", "home", "end", "pgup", "pgdn"} <= set(known.values())
    assert all(sequence.startswith(b"\x1b") for sequence in known)


def test_a_learnt_sequence_is_a_key() -> None:
    """A sequence that only this terminal sends is its key, and those around it stay what they are."""
    reader = KeyReader()
    reader.learn({b"\x1b[7$": "shift+home"})
    assert reader.receive_data(b"a\x1b[7$\x1b[A") == [Key("a"), Key("shift+home"), Key("up")]
