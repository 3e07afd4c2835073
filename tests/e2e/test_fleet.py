"""Three computers in one view, each with a client: from a change or a key on one to tmux and the screen of another.

All of it runs twice: over a Redis, and over the server that the first computer runs itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.e2e.computers import NAMES, Computers
from tests.terminal import Terminal
from tests.wait import until

EXPAND_ALL = "g" + "lj" * 12
SEEN_WITHIN = 20.0


@pytest.fixture(scope="module", params=["redis", "embedded"])
def made(request: pytest.FixtureRequest) -> Iterator[Computers]:
    """Three computers that joined one fleet."""
    found = Computers(request.param)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def fleet(made: Computers) -> Iterator[Computers]:
    """They, with no client and no session before and after."""
    yield made
    made.clear()


def rename(fleet: Computers, computer: str, old: str, new: str) -> None:
    """Rename a session in tmux, and wait until its own computer knows, and has told all that it would tell."""
    fleet[computer].tmux("rename-session", "-t", f"={old}", new)
    until(lambda: new in {s.tmux.name for s in fleet[computer].sessions(computer)})
    other = "server" if computer != "server" else "raspi"
    status, answer = fleet[computer].call("POST", f"/sessions/nobody/message?computer={other}", {"text": "x"})
    assert status == 404, answer  # told by the other, so what was said before the question is said


def make(fleet: Computers, computer: str, name: str) -> None:
    """Make a session in tmux, in the project."""
    fleet[computer].tmux("new-session", "-d", "-s", name, "-c", str(fleet[computer].code / "alpha"))


def select(terminal: Terminal, text: str) -> None:
    """Go down from the top until the selected row is one with `text`."""
    terminal.send("g")
    until(lambda: "this computer" in terminal.selected())
    while text not in terminal.selected():
        before = terminal.selected()
        terminal.send("j")
        until(lambda before=before: terminal.selected() != before)  # type: ignore[misc]  # a default argument binds it


def test_a_change_on_one_computer_is_painted_on_all(fleet: Computers) -> None:
    """A session made, renamed and killed on the raspi is on the screens of all three by itself."""
    terminals = [fleet.open(name) for name in NAMES]
    for terminal in terminals:
        terminal.send(EXPAND_ALL)
    make(fleet, "raspi", "apple")
    for terminal in terminals:
        terminal.wait_for("apple", SEEN_WITHIN)
    fleet["raspi"].tmux("rename-session", "-t", "=apple", "banana")
    for terminal in terminals:
        terminal.wait_for("banana", SEEN_WITHIN)
        assert "apple" not in terminal.text()
    fleet["raspi"].tmux("kill-session", "-t", "=banana")
    for terminal in terminals:
        terminal.wait_gone("banana", SEEN_WITHIN)


def test_a_session_is_started_messaged_and_ended_from_another_computer(fleet: Computers) -> None:
    """With keys on the laptop a session on the server is made, told something and ended; its client sees it."""
    laptop, server = fleet.open("laptop"), fleet.open("server")
    alpha = fleet["server"].code / "alpha"
    make(fleet, "server", "keep")
    for terminal in (laptop, server):
        terminal.send(EXPAND_ALL)
        terminal.wait_for("keep", SEEN_WITHIN)
    select(laptop, "keep")
    laptop.send("n")
    laptop.wait_for("New session on server")
    laptop.send("\x1b[D\tfrom afar\t")  # the agent before the first is the last: shell
    until(lambda: re.search(r"Agent +shell", laptop.text()))
    laptop.send("\x13")
    laptop.wait_gone("New session on")
    for terminal in (laptop, server):
        terminal.wait_for("from afar", SEEN_WITHIN)
    select(laptop, "from afar")
    laptop.send("m")
    laptop.wait_for("Send")
    laptop.send("echo far > written\x13")
    until(lambda: (alpha / "written").read_text() == "far\n", SEEN_WITHIN)
    laptop.wait_gone("Message to")  # while it is asked, the dialog takes no key
    laptop.send("x")
    laptop.wait_for("(y/N)")
    laptop.send("y")
    for terminal in (laptop, server):
        terminal.wait_gone("○ from afar", SEEN_WITHIN)  # its row, not the words that it was ended
    assert fleet["server"].tmux("list-sessions", "-F", "#{session_name}") == "keep"


def test_only_what_is_looked_at_is_told(fleet: Computers) -> None:
    """Nobody looks: no event. One computer is expanded: only that one tells. Collapsed again: it is silent."""

    def told(computer: str) -> tuple[bool, bool]:
        """Whether the laptop, and whether the server, are told of changes of a computer."""
        before = fleet.events("laptop"), fleet.events("server")
        rename(fleet, computer, "one", "two")
        rename(fleet, computer, "two", "one")
        return fleet.events("laptop") > before[0], fleet.events("server") > before[1]

    for computer in ("raspi", "server"):
        make(fleet, computer, "one")
    until(lambda: told("raspi") == (False, False), SEEN_WITHIN)  # the clients of the last test are gone
    terminal = fleet.open("laptop")
    assert told("raspi") == (False, False)
    select(terminal, "raspi")
    terminal.send("l")
    terminal.wait_for("one", SEEN_WITHIN)  # what was known of it is shown before it has answered
    until(lambda: told("raspi") == (True, False), SEEN_WITHIN)
    assert not told("server")[0]
    terminal.send("h")
    until(lambda: told("raspi") == (False, False), SEEN_WITHIN)
