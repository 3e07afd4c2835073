"""A permission asked on one computer is answered on another: by the real hook, over a real Redis, from the real client.

The agent is a small program that runs its hook as Claude Code does, and goes on with what that printed.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleclaude.core.records import Session
from tests.fleet import cli, join_all
from tests.machine import Machine
from tests.redis_process import RedisProcess
from tests.terminal import Terminal
from tests.wait import until

WAITS = "[agents.claude]\nwait_for_answer = 60\n"
ALLOWS = 'laptop = ["view", "approve"]\nguest = ["view", "message", "start", "end"]\n'
QUESTIONS = {"questions": [{"question": "Which colour?", "options": [{"label": "Red"}, {"label": "Blue"}]}]}


class Fleet:
    """A raspi whose agent asks, a laptop that may answer, and a guest that may not."""

    def __init__(self) -> None:
        self.redis = RedisProcess()
        self.raspi = Machine("raspi", ALLOWS + WAITS)
        self.laptop, self.guest = Machine("laptop"), Machine("guest")
        self.machines = (self.raspi, self.laptop, self.guest)
        self.terminals: list[Terminal] = []
        try:
            join_all(self.machines, self.redis.url)
            for machine in self.machines:
                machine.start()
            cli(self.raspi, "hooks", "install", "claude")
            self.raspi.tmux("new-session", "-d", "-s", "anchor", "cat")  # the server stays whatever else ends
            for machine in (self.laptop, self.guest):
                until(lambda here=machine: self._sees_raspi(here), 30)  # type: ignore[misc]  # a default binds it
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _sees_raspi(machine: Machine) -> bool:
        return {c["name"]: c["status"] for c in machine.get("/computers")}.get("raspi") == "online"

    def ask(self, name: str, tool: str = "Bash", given: dict[str, Any] | None = None) -> Path:
        """Have an agent of the raspi ask; the file that gets what its hook printed."""
        program, out = self.raspi.folder / name / "claude", self.raspi.folder / f"{name}.out"
        program.parent.mkdir()
        body = {"session_id": name, "cwd": "/", "tool_name": tool, "tool_input": given or {"command": f"touch {name}"}}
        hook = shlex.quote(str(self.raspi.place.hooks / "teleclaude-hook"))
        echo = f"printf '%s' {shlex.quote(json.dumps(body))}"
        program.write_text(
            f"#!/bin/sh\n{echo} | {hook} claude UserPromptSubmit\n"
            f"{echo} | {hook} claude PermissionRequest answer >{out}-\n"
            f"{echo} | {hook} claude PostToolUse\nmv {out}- {out}\nsleep 1000\n"
        )
        program.chmod(0o755)
        self.raspi.tmux("new-session", "-d", "-s", name, str(program))
        return out

    def asking(self, name: str, on: Machine) -> Session:
        """The session, once it can be answered there."""

        def found() -> Session | None:
            sessions = [s for s in on.sessions("raspi") if s.tmux.name == name and s.asks and s.asks.id]
            return sessions[0] if sessions else None

        return until(found, 30)  # type: ignore[return-value]

    def look(self, machine: Machine) -> Terminal:
        """Open a client that looks at the raspi."""
        machine.place.state.joinpath("tui.json").unlink(missing_ok=True)
        terminal = Terminal([sys.executable, "-m", "teleclaude.tui"], machine.environ)
        self.terminals.append(terminal)
        terminal.wait_for("raspi", 30)
        if machine is not self.raspi:
            terminal.send("Gl")
        name = f"seen-{len(self.terminals)}-{machine.name}"
        self.raspi.tmux("new-session", "-d", "-s", name, "cat")
        terminal.wait_for(name, 30)  # by a push: what it looks at is known there
        self.raspi.tmux("kill-session", "-t", name)
        return terminal

    def close(self) -> None:
        """End all of it."""
        for terminal in self.terminals:
            terminal.close()
        for machine in self.machines:
            machine.close()
        self.redis.close()


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Three computers."""
    found = Fleet()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def cleared(fleet: Fleet) -> Iterator[None]:
    """No client is open before a test, and none after."""
    yield
    for terminal in fleet.terminals:
        terminal.close()
    fleet.terminals.clear()


def pressed(terminal: Terminal, is_done: bool) -> bool:
    """Go to the session that waits, and press `a` there, unless that is done: it may not be on the screen whole yet."""
    if not is_done:
        terminal.send("wa")
    return is_done


def decision(out: Path) -> dict[str, Any]:
    """What the hook printed, once the agent has gone on."""
    until(out.exists, 20)
    found: dict[str, Any] = json.loads(out.read_text())["hookSpecificOutput"]["decision"]
    return found


def test_a_key_on_another_computer_allows_what_is_asked(fleet: Fleet) -> None:
    """What is asked is on the screen; the agent goes on; who answered is told that it was taken; it is logged."""
    terminal = fleet.look(fleet.laptop)
    out = fleet.ask("allowed")
    fleet.asking("allowed", fleet.laptop)
    terminal.wait_for("touch allowed")
    until(lambda: pressed(terminal, out.exists()), 20, every=0.5)
    assert decision(out) == {"behavior": "allow"}
    terminal.wait_for("Allowed", 20)
    until(lambda: "laptop approve" in fleet.raspi.log(), 20)
    assert "touch allowed" not in fleet.raspi.log()


def test_it_is_denied_with_a_reason(fleet: Fleet) -> None:
    """On the command line, from afar."""
    fleet.look(fleet.laptop)
    out = fleet.ask("denied")
    session = fleet.asking("denied", fleet.laptop)
    assert cli(fleet.laptop, "deny", session.session_id[:10], "--reason", "not on a Friday").strip().endswith("taken")
    assert decision(out) == {"behavior": "deny", "message": "not on a Friday"}


def test_a_question_is_answered_from_its_choices(fleet: Fleet) -> None:
    """In a dialog that shows it."""
    terminal = fleet.look(fleet.laptop)
    out = fleet.ask("coloured", "AskUserQuestion", QUESTIONS)
    fleet.asking("coloured", fleet.laptop)
    terminal.wait_for("Which colo")
    until(lambda: pressed(terminal, "1/2" in terminal.text()), 20, every=0.5)
    assert "Which colour?" in terminal.text()
    terminal.send("\x1b[C")
    terminal.wait_for("2/2")
    terminal.send("\x13")
    assert decision(out)["updatedInput"]["answers"] == {"Which colour?": "Blue"}


def test_who_may_not_is_refused_and_logged(fleet: Fleet) -> None:
    """The right is `approve`, and nobody else's; a stale id is refused too; and the hook waits on."""
    fleet.look(fleet.laptop)
    fleet.look(fleet.guest)
    out = fleet.ask("guarded")
    session = fleet.asking("guarded", fleet.guest)
    assert session.asks is not None
    target = f"/sessions/{session.session_id}/approve"
    status, told = fleet.guest.call("POST", target, {"ask": session.asks.id})
    assert (status, told["error"]["code"]) == (403, "refused")
    until(lambda: "guest approve" in fleet.raspi.log(), 20)
    status, _ = fleet.laptop.call("POST", target, {"ask": "p0-0"})
    assert status == 404
    assert not out.exists()
    status, told = fleet.laptop.call("POST", target, {"ask": session.asks.id})
    assert (status, told) == (200, {"outcome": "taken"})
    status, told = fleet.laptop.call("POST", target, {"ask": session.asks.id})
    assert status in {404, 409}
    assert decision(out) == {"behavior": "allow"}


def test_where_nobody_looks_the_agent_s_own_dialog_is_all_there_is(fleet: Fleet) -> None:
    """No hook waits: nor when only one looks who may not answer."""
    until(lambda: fleet.raspi.get("/health"), 20)
    out = fleet.ask("alone")
    until(out.exists, 60)
    assert out.read_text() == ""
    fleet.look(fleet.guest)
    until(lambda: [s for s in fleet.guest.sessions("raspi") if s.tmux.name == "alone"], 30)
    out = fleet.ask("watched")
    until(out.exists, 30)
    assert out.read_text() == ""


def test_a_killed_daemon_keeps_no_agent_waiting(fleet: Fleet) -> None:
    """Its hook ends at once and prints nothing; the next daemon answers the next question."""
    terminal = fleet.look(fleet.raspi)
    out = fleet.ask("orphaned")
    fleet.asking("orphaned", fleet.raspi)
    announced = fleet.raspi.place.hooks / "answers"
    before = announced.read_text()
    os.kill(fleet.raspi.worker_pid("sync"), signal.SIGKILL)
    until(out.exists, 20)
    assert out.read_text() == ""
    until(lambda: announced.read_text() != before, 20)
    terminal.wait_for("raspi")
    out = fleet.ask("after")
    session = fleet.asking("after", fleet.raspi)
    assert cli(fleet.raspi, "approve", session.session_id).strip().endswith("taken")
    assert decision(out) == {"behavior": "allow"}
