"""Three computers in one view: from a tmux change on one to the painted row on another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.fleet import Fleet
from tests.machine import Machine
from tests.terminal import Terminal
from tests.wait import until


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Three computers that joined one fleet."""
    found = Fleet("laptop", "server", "raspi")
    try:
        yield found
    finally:
        found.close()


def open_client(machine: Machine) -> Terminal:
    """Open the terminal client of a computer."""
    return Terminal([sys.executable, "-m", "teleclaude.tui"], machine.environ)


def expand_all(terminal: Terminal, *computers: str) -> None:
    """Open every node that is there, once the computers are listed."""
    for computer in computers:
        terminal.wait_for(computer, 30)
    terminal.send("g" + "lj" * 40)


def test_a_change_on_one_computer_is_painted_on_the_others(fleet: Fleet) -> None:
    """A session made, renamed and killed on the raspi is on the laptop's screen by itself."""
    raspi = fleet["raspi"]
    terminal = open_client(fleet["laptop"])
    try:
        expand_all(terminal, "raspi")
        raspi.tmux("new-session", "-d", "-s", "apple", "-c", str(raspi.code))
        terminal.wait_for("apple", 20)
        raspi.tmux("rename-session", "-t", "=apple", "banana")
        terminal.wait_for("banana", 20)
        raspi.tmux("kill-session", "-t", "=banana")
        terminal.wait_gone("banana", 20)
    finally:
        terminal.close()


def test_a_session_is_started_messaged_and_ended_from_another_computer(fleet: Fleet) -> None:
    """Commands run where the session is, and their outcome comes back."""
    laptop, server = fleet["laptop"], fleet["server"]
    project = server.code / "alpha"
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    until(lambda: "server" in {c["name"] for c in laptop.get("/computers")}, 30)
    until(lambda: str(project) in {p["path"] for p in server.get("/projects")})
    body = {"computer": "server", "project": str(project), "agent": "shell", "title": "from afar"}
    status, answer = laptop.call("POST", "/sessions", body)
    assert status == 201, answer
    assert (answer["computer"], answer["title"]) == ("server", "from afar")
    session = answer["session_id"]
    until(lambda: session in {s.session_id for s in server.sessions("server")})
    status, answer = laptop.call("POST", f"/sessions/{session}/message?computer=server", {"text": "echo far > written"})
    assert status == 200, answer
    until(lambda: (project / "written").exists() and (project / "written").read_text() == "far\n")
    status, answer = laptop.call("DELETE", f"/sessions/{session}?computer=server")
    assert status == 200, answer
    until(lambda: session not in {s.session_id for s in server.sessions("server")})


def test_without_a_client_there_are_only_heartbeats(fleet: Fleet) -> None:
    """While nobody looks, local changes write no event to Redis; collapsing makes it silent again."""
    raspi = fleet["raspi"]
    until(lambda: len(fleet.redis.run("KEYS", "*heartbeat*")) == 3, 30)

    def pushed() -> int:
        return sum(int(fleet.redis.run("XLEN", key)) for key in fleet.redis.run("KEYS", "*session_events*"))

    for number in range(5):
        raspi.tmux("new-session", "-d", "-s", f"quiet{number}", "-c", str(raspi.code))
    until(lambda: len(raspi.sessions("raspi")) == 5)
    assert pushed() == 0
    terminal = open_client(fleet["laptop"])
    try:
        expand_all(terminal, "raspi")
        terminal.wait_for("quiet3", 20)
    finally:
        terminal.close()
