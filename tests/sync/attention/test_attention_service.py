"""A real daemon, a real tmux, and a person at a terminal who is told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleclaude.core.records import Session
from tests.machine import Machine
from tests.terminal import Terminal
from tests.wait import until

# An agent that shows what it is told to: each line that is written to the FIFO beside it becomes its title.
AGENT = """#!/bin/sh
while :; do
    while IFS= read -r title; do printf '\\033]0;%s\\007' "$title"; done <"$1"
done
"""
WORKS, WAITS, RESTS = "⠋ code", "[ ! ] Action Required | code", "code"


class Agent:
    """An agent in a tmux session of its own, in the folder `code`."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name
        bin_folder = machine.folder / "bin"
        bin_folder.mkdir(exist_ok=True)
        program = bin_folder / "codex"
        if not program.exists():
            program.write_text(AGENT)
            program.chmod(0o755)
        self._fifo = machine.folder / f"{name}.fifo"
        os.mkfifo(self._fifo)
        command = f"{program} {self._fifo}"
        machine.tmux("new-session", "-d", "-s", name, "-x", "80", "-y", "24", "-c", str(machine.code), command)

    def shows(self, title: str, status: str) -> None:
        """It shows a title, and the daemon knows what that means."""
        self.say(title)
        until(lambda: self.session().status == status)

    def say(self, title: str) -> None:
        """Have it show a title."""
        fifo = until(lambda: os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK))
        os.write(fifo, f"{title}\n".encode())
        os.close(fifo)

    def session(self) -> Session:
        """Its record."""
        return next(session for session in self.machine.sessions() if session.tmux.name == self.name)


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A computer whose user has a command that notes what it is told."""
    found = Machine("here")
    tell = found.folder / "tell"
    tell.write_text(f'#!/bin/sh\ncat >>"{found.folder}/told"; echo >>"{found.folder}/told"\n')
    tell.chmod(0o755)
    found.write_settings(f'[[notify]]\nby = "command"\ncommand = ["{tell}"]\n[[notify]]\nby = "terminal"\n')
    yield found
    found.close()


def told(machine: Machine) -> list[str]:
    """Titles of what the command was told so far."""
    path = machine.folder / "told"
    return [json.loads(line)["title"] for line in path.read_text().splitlines()] if path.exists() else []


def kept(machine: Machine) -> dict[str, list[object]]:
    """What the daemon keeps for the next: of each session what was told, and whether it works."""
    found: dict[str, list[object]] = json.loads(machine.place.told_file.read_text())
    return found


def attach(machine: Machine, name: str) -> Terminal:
    """A person at a terminal, who looks at a session and presses a key."""
    argv = ["tmux", "-u", "-L", machine.tmux_socket, "attach-session", "-t", f"={name}"]
    found = Terminal(argv, machine.environ)
    until(lambda: name in machine.tmux("list-clients", "-F", "#{session_name}"))
    return found


def test_an_agent_that_waits_is_told_once_across_a_restart(machine: Machine) -> None:
    """By the command and in the attached terminal; the next daemon does not tell it again, and tells what follows."""
    agent, other = Agent(machine, "one"), Agent(machine, "two")
    machine.start()
    agent.shows(WORKS, "working")
    other.shows(WORKS, "working")
    terminal = attach(machine, "two")
    try:
        agent.shows(WAITS, "waiting")
        until(lambda: told(machine) == ["◆ code waits for an answer"])
        until(lambda: b"\x07" in terminal.raw)
        machine.stop()
        machine.start()
        until(lambda: agent.session().status == "waiting")
        agent.shows(WORKS, "working")
        agent.shows(RESTS, "idle")
        until(lambda: len(told(machine)) == 2)
        assert told(machine) == ["◆ code waits for an answer", "✓ code finished"]
    finally:
        terminal.close()


def test_what_is_on_the_screen_is_not_told(machine: Machine) -> None:
    """The session that somebody looks at waits in silence, while another one's end is told."""
    agent, other = Agent(machine, "one"), Agent(machine, "two")
    machine.start()
    agent.shows(WORKS, "working")
    other.shows(WORKS, "working")
    terminal = attach(machine, "one")
    try:
        agent.shows(WAITS, "waiting")
        session = agent.session().session_id
        until(lambda: kept(machine)[session][0] == ["waiting", ""])
        other.shows(RESTS, "idle")
        until(lambda: told(machine))
        assert told(machine) == ["✓ code finished"]
    finally:
        terminal.close()


def test_twenty_at_once_are_one(machine: Machine) -> None:
    """A summary, and no storm."""
    agents = [Agent(machine, f"a{number}") for number in range(8)]
    machine.start()
    for agent in agents:
        agent.shows(WORKS, "working")
    for agent in agents:
        agent.say(WAITS)
    until(lambda: told(machine))
    until(lambda: [one[0] for one in kept(machine).values()] == [["waiting", ""]] * 8)
    assert told(machine) == ["8 sessions: 8 wait"]


def test_a_terminal_client_is_a_place_too(machine: Machine) -> None:
    """Its terminal gets what it knows; the session that is selected in it is seen."""
    agent, other = Agent(machine, "one"), Agent(machine, "two")
    machine.start()
    agent.shows(WORKS, "working")
    other.shows(WORKS, "working")
    environ = machine.environ | {"TERM_PROGRAM": "WezTerm"}
    terminal = Terminal([sys.executable, "-m", "teleclaude.tui"], environ)
    try:
        terminal.wait_for("working")
        terminal.send("gjj")
        folder = machine.place.clients_folder
        until(lambda: "/" in "".join(json.loads(path.read_text())["looks_at"] for path in folder.iterdir()))
        (place,) = [path for path in folder.iterdir() if path.name.isdecimal()]
        seen = json.loads(place.read_text())["looks_at"].partition("/")[2]
        first, second = (agent, other) if agent.session().session_id == seen else (other, agent)
        first.shows(WAITS, "waiting")
        second.shows(WAITS, "waiting")
        until(lambda: b"\x1b]777;notify;" in terminal.raw)
        until(lambda: len(told(machine)) == 1)
        terminal.send("q")
        assert terminal.process.wait(10) == 0
        assert not folder.exists()
    finally:
        terminal.close()


def test_what_goes_wrong_is_in_the_status(machine: Machine) -> None:
    """A webhook that cannot be reached is a service that is down, with a reason and without its secret."""
    machine.write_settings('[[notify]]\nby = "webhook"\nurl = "http://127.0.0.1:9/SECRET"\n')
    agent = Agent(machine, "one")
    machine.start()
    agent.shows(WORKS, "working")
    agent.shows(WAITS, "waiting")

    def trouble() -> str:
        services = machine.get("/computers")[0]["services"]
        return next((service["reason"] for service in services if service["name"] == "notify"), "")

    assert "notify[0] (webhook): no answer: Connection refused" in until(trouble)
    assert "SECRET" not in json.dumps(machine.get("/computers")) + json.dumps(machine.get("/health")) + machine.log()
    assert Path(machine.place.told_file).stat().st_mode & 0o077 == 0
