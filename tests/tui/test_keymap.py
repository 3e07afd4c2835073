"""The keys of the terminal at hand, from blessed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

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


_LEARN = """
import os, tty
from teleclaude.tui.keymap import terminal_keys
tty.setraw(0)
os.write(1, b"typed? ")
while os.read(2, 1) != b"j":
    pass
terminal_keys()
os.write(1, b"<" + os.read(0, 100) + b">")
"""


def test_learning_takes_no_key_and_asks_nothing() -> None:
    """What was typed while blessed is asked stays to be read, and nothing is written to the terminal."""
    master, slave = pty.openpty()
    program = subprocess.Popen([sys.executable, "-c", _LEARN], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    try:
        assert read_until(master, b"typed? ") == b"typed? "
        os.write(master, b"jxy")  # the program takes the j, and so knows that the others are there
        assert read_until(master, b">") == b"<xy>"
    finally:
        program.kill()
        program.wait()
        os.close(master)


def read_until(fd: int, end: bytes) -> bytes:
    """Read what a program writes, up to its `end`."""
    found = b""
    while not found.endswith(end):
        found += os.read(fd, 1000)
    return found
