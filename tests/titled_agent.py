"""An agent for tests that shows what it is told to, on a computer whose user notes what he is told."""

from __future__ import annotations

import json
import os

from teleclaude.core.records import Session
from tests.machine import Machine
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
        until(lambda: (self.name, status) in [(one.tmux.name, one.status) for one in self.machine.sessions()])

    def say(self, title: str) -> None:
        """Have it show a title."""
        fifo = until(lambda: os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK))
        os.write(fifo, f"{title}\n".encode())
        os.close(fifo)

    def session(self) -> Session:
        """Its record."""
        return next(session for session in self.machine.sessions() if session.tmux.name == self.name)


def with_teller(machine: Machine, more: str = "") -> Machine:
    """Give a computer's user a command that notes what he is told, and these settings besides."""
    tell = machine.folder / "tell"
    tell.write_text(f'#!/bin/sh\ncat >>"{machine.folder}/told"; echo >>"{machine.folder}/told"\n')
    tell.chmod(0o755)
    machine.write_settings(f'[[notify]]\nby = "command"\ncommand = ["{tell}"]\n{more}')
    return machine


def told(machine: Machine) -> list[str]:
    """Titles of what the command was told so far."""
    path = machine.folder / "told"
    return [json.loads(line)["title"] for line in path.read_text().splitlines()] if path.exists() else []
