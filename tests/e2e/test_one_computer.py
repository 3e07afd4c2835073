"""One computer, from a real change in tmux to the painted row, and from a key to tmux."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine
from tests.terminal import Terminal
from tests.wait import until


@pytest.fixture(scope="module")
def made() -> Iterator[Machine]:
    """Start a computer with one project."""
    found = Machine("solo")
    try:
        subprocess.run(["git", "init", "-q", str(found.code / "alpha")], check=True)
        roadmap(found).parent.mkdir()
        yield found.start()
    finally:
        found.close()


@pytest.fixture
def machine(made: Machine) -> Machine:
    """The same, with two todos and no session; nothing is kept of clients that were there before."""
    roadmap(made).write_text("- [ ] first-thing: Do it first\n- [>] second-thing: Under way\n")
    made.clear()
    until(lambda: len(made.get("/todos")) == 2)
    return made


def roadmap(machine: Machine) -> Path:
    """Where the project's todos stand."""
    return machine.code / "alpha" / "todos" / "roadmap.md"


@pytest.fixture(params=[(35, 120), (24, 80)], ids=["120x35", "80x24"])
def terminal(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """Open the client on a terminal of one of two sizes."""
    rows, columns = request.param
    found = Terminal([sys.executable, "-m", "teleclaude.tui"], machine.environ, rows, columns)
    try:
        found.wait_for("solo")
        yield found
    finally:
        found.close()


def test_what_changes_in_tmux_changes_on_the_screen(machine: Machine, terminal: Terminal) -> None:
    """Made, renamed, a command started, killed: each is painted by itself, no key pressed."""
    alpha = machine.code / "alpha"
    machine.tmux("new-session", "-d", "-s", "apple", "-c", str(alpha))
    terminal.wait_for("apple")
    machine.tmux("rename-session", "-t", "=apple", "banana")
    terminal.wait_for("banana")
    assert "apple" not in terminal.text()
    machine.tmux("send-keys", "-t", "=banana:", "sleep 1234", "Enter")
    terminal.wait_for("sleep")
    machine.tmux("kill-session", "-t", "=banana")
    terminal.wait_gone("banana")


def test_a_changed_todo_is_painted(machine: Machine, terminal: Terminal) -> None:
    """The second view shows todos, and a saved file is on the screen by itself."""
    terminal.send("2")
    terminal.wait_for("alpha")
    if "Do it first" not in terminal.text():
        terminal.send("j\x1b[C")
    terminal.wait_for("Do it first")
    with roadmap(machine).open("a") as file:
        file.write("- [x] third-thing: Finished\n")
    terminal.wait_for("Finished")


def test_a_session_is_ended_only_when_asked_twice(machine: Machine, terminal: Terminal) -> None:
    """x asks, Enter means no; x and y end the session."""
    machine.tmux("new-session", "-d", "-s", "victim", "-c", str(machine.code / "alpha"))
    terminal.wait_for("victim")
    terminal.send("G")
    terminal.send("x")
    terminal.wait_for("?")
    terminal.send("\r")
    machine.tmux("has-session", "-t", "=victim")
    terminal.send("x")
    until(
        lambda: "(y/" in terminal.text().lower() or "[y" in terminal.text().lower() or "yes" in terminal.text().lower()
    )
    terminal.send("y")
    terminal.wait_gone("○ victim")  # its row, not the words that it was ended
    until(lambda: not machine.sessions())


def test_the_daemon_going_and_coming_is_told_and_healed(machine: Machine, terminal: Terminal) -> None:
    """With the daemon gone the last tree stays and a banner says so; it heals without a key."""
    machine.tmux("new-session", "-d", "-s", "stays", "-c", str(machine.code / "alpha"))
    terminal.wait_for("stays")
    machine.stop()
    terminal.wait_for("reconnect")
    assert "stays" in terminal.text()
    machine.start()
    machine.tmux("new-session", "-d", "-s", "second", "-c", str(machine.code / "alpha"))
    terminal.wait_for("second", 40)
    assert "reconnect" not in terminal.text()


def test_every_key_of_every_view_leaves_a_whole_screen(machine: Machine, terminal: Terminal) -> None:
    """No key crashes the client or makes a line wider than the terminal."""
    machine.tmux("new-session", "-d", "-s", "宽字符 title 🎉", "-c", str(machine.code / "alpha"))
    terminal.wait_for("🎉")
    for key in ["j", "k", "h", "l", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "2", "j", "\t", "?", "\x1b", "r", "g", "G"]:
        terminal.send(key)
    terminal.send("1")
    terminal.wait_for("🎉")
    assert terminal.process.poll() is None
    terminal.send("q")
    assert terminal.process.wait(10) == 0
