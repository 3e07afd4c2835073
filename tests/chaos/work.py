"""Work on the computers of a run, and what everybody says of what is there."""

from __future__ import annotations

import random

import msgspec

from teleclaude.core.records import Session
from tests.chaos.calm import Calm
from tests.chaos.field import Field
from tests.chaos.observer import Observer
from tests.machine import Machine

View = tuple[str, str, dict[str, str]]  # owner, who says it, and what


class Work:
    """Makes, renames and ends sessions at random. `views` tells what tmux, REST and clients say."""

    def __init__(self, field: Field, draw: random.Random) -> None:
        self._field = field
        self._journal = field.journal
        self._draw = draw
        self._count = 0
        self._tokens: dict[str, str] = {}  # title of a session started by command, to its computer
        self._observers = [Observer(machine, field.journal) for machine in field.fleet.machines]
        field.ways = [observer.way for observer in self._observers]
        self._calm = Calm(field, self._observers)
        for machine in field.fleet.machines:
            machine.tmux("new-session", "-d", "-s", "first", "-c", str(machine.code))

    def step(self) -> None:
        """Do one thing."""
        do = self._draw.choice([self._make, self._make, self._rename, self._kill, self._command])
        do(self._draw.choice(self._field.fleet.machines))

    def _names(self, machine: Machine) -> list[str]:
        names = machine.tmux("list-sessions", "-F", "#{session_name}").splitlines()
        return [name for name in names if name.startswith("work")]

    def _make(self, machine: Machine) -> None:
        self._count += 1
        machine.tmux("new-session", "-d", "-s", f"work{self._count}", "-c", str(machine.code))
        self._journal.write("tmux", computer=machine.name, did="made")

    def _rename(self, machine: Machine) -> None:
        names = self._names(machine)
        if names:
            self._count += 1
            machine.tmux("rename-session", "-t", f"={self._draw.choice(names)}", f"work{self._count}")
            self._journal.write("tmux", computer=machine.name, did="renamed")

    def _kill(self, machine: Machine) -> None:
        names = self._names(machine)
        if names:
            target = f"={self._draw.choice(names)}"
            mark = machine.tmux("display-message", "-p", "-t", f"{target}:", "#{@teleclaude}").replace(" ", "")
            machine.tmux("kill-session", "-t", target)
            self._journal.write("tmux", computer=machine.name, did="killed")
            if '"id":"' in mark:
                self._journal.write("killed", session=mark.split('"id":"', 1)[1].split('"', 1)[0])

    def _command(self, target: Machine) -> None:
        """Start a session on one computer through another's daemon."""
        through = self._field.some(self._draw)
        self._count += 1
        token = f"token-{self._count}"
        self._tokens[token] = target.name
        body = {"computer": target.name, "project": str(target.code), "agent": "shell", "title": token}
        try:
            status, answer = through.call("POST", "/sessions", body)
        except (OSError, ValueError):
            self._journal.write("command", id=token, outcome="unknown")
            return
        self._note_answer(through, "POST /sessions", status, repr(answer))
        outcome = "ok" if status == 201 else "unknown" if status == 504 else "error"
        self._journal.write("command", id=token, outcome=outcome, status=status, answer=answer)
        if outcome == "ok" and through is target:
            self._read_back(through, answer["session_id"])

    def _read_back(self, through: Machine, session: str) -> None:
        try:
            found = session in {s.session_id for s in self._sessions(through, "/sessions")}
        except OSError:
            return  # the web process went away; there was no next read
        self._journal.write("read", session=session, found=found)

    def _sessions(self, machine: Machine, target: str) -> list[Session]:
        """Read sessions. Raises OSError when they cannot be read now."""
        status, answer = machine.call("GET", target)
        self._note_answer(machine, f"GET {target}", status, repr(answer))
        if status != 200:
            raise ConnectionError(f"{machine.name} answered {status}")
        return msgspec.convert(answer, list[Session])

    def _note_answer(self, machine: Machine, request: str, status: int, body: str) -> None:
        if status >= 500 and status not in {503, 504}:
            self._journal.write("answer", computer=machine.name, request=request, status=status, body=body)

    def views(self) -> list[View]:
        """What is there by tmux, and what each REST interface and each client says. Raises OSError."""
        found: list[View] = []
        machines = self._field.fleet.machines
        for owner in machines:
            listed = owner.tmux("list-panes", "-a", "-F", "#{pane_id} #{session_name}").splitlines()
            panes = dict(line.split(" ", 1) for line in listed)
            found.append((owner.name, "tmux", {**panes, "status": "online"}))
            for machine, observer in zip(machines, self._observers, strict=True):
                rest = {s.tmux.pane: s.tmux.name for s in self._sessions(machine, f"/sessions?computer={owner.name}")}
                found.append((owner.name, f"rest of {machine.name}", {**rest, "status": "online"}))
                seen = {**observer.sessions(owner.name), "status": observer.status(owner.name)}
                found.append((owner.name, f"client of {machine.name}", seen))
        return found

    def differences(self) -> list[str]:
        """Who says something else than tmux, and what; and who says nothing."""
        try:
            views = self.views()
        except (OSError, ValueError) as error:
            return [str(error)]
        truth = {owner: state for owner, who, state in views if who == "tmux"}
        return [
            f"{who} of {owner}: {state}, not {truth[owner]}" for owner, who, state in views if state != truth[owner]
        ]

    def prove_calm(self, healed: float) -> None:
        """Have it proved that in calm every command succeeds, and that clients show what their caches have."""
        self._calm.prove(healed, self._draw)

    def work_alone(self) -> None:
        """Do every command on a computer through itself: while its own processes live, nothing else is needed."""
        machine = self._field.some(self._draw)
        pids = self._field.pids(machine)
        if pids:
            self._calm.command_all(machine, machine, is_sure=lambda: self._field.pids(machine) == pids)

    def note_effects(self) -> None:
        """Note how often each command happened, and what everybody says at the end."""
        for owner, who, state in self.views():
            self._journal.write("final", owner=owner, who=who, state=repr(sorted(state.items())))
        for token, computer in self._tokens.items():
            titles = [s.title for s in self._field.fleet[computer].sessions(computer)]
            self._journal.write("effects", id=token, count=titles.count(token))

    def close(self) -> None:
        """Let go of the clients."""
        for observer in self._observers:
            observer.close()
