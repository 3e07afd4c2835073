"""A real daemon, a real tmux, and a person at a terminal who is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleclaude.core.client_places import terminal_clients
from tests.machine import Machine
from tests.terminal import Terminal
from tests.titled_agent import RESTS, WAITS, WORKS, Agent, told, with_teller
from tests.wait import until


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A computer whose user has a command that notes what it is told."""
    found = with_teller(Machine("here"), '[[notify]]\nby = "terminal"\n')
    yield found
    found.close()


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
    settings = machine.place.settings_file
    settings.write_text(settings.read_text().replace('by = "terminal"', 'by = "terminal"\nsequence = "osc9"'))
    agent, other = Agent(machine, "one"), Agent(machine, "two")
    machine.start()
    agent.shows(WORKS, "working")
    other.shows(WORKS, "working")
    terminal = attach(machine, "two")
    try:
        agent.shows(WAITS, "waiting")
        until(lambda: told(machine) == ["◆ code waits for an answer"])
        until(lambda: "\x1b]9; ◆ code waits for an answer: codex on here, code\x07".encode() in terminal.raw)
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
        until(lambda: any(one.looks_at for one in terminal_clients(folder)))
        (place,) = terminal_clients(folder)
        seen = place.looks_at.partition("/")[2]
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
