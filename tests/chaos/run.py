"""One run: random work on three computers' tmux while faults come and go; then everybody must agree.

`python -m tests.chaos.run --seed 1 --steps 60` prints what the checker found, and exits 1 if that is anything.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.chaos.checker import violations
from tests.chaos.faults import FAULTS
from tests.chaos.journal import Journal, read
from tests.chaos.observer import Observer
from tests.fleet import Fleet
from tests.machine import ROOT, Machine
from tests.wait import until

NAMES = ("alpha", "beta", "gamma")
AGREE_WITHIN = 30.0  # seconds after the last fault; the promise is 5, and the journal tells what it took
FAULT_RATE = 0.2


class Run:
    """The driver of one run."""

    def __init__(self, fleet: Fleet, journal: Journal, seed: int) -> None:
        self.fleet = fleet
        self._journal = journal
        self._draw = random.Random(seed)
        self._count = 0
        self._tokens: dict[str, str] = {}  # title of a session started by command, to its computer
        self.observers = [Observer(machine, journal) for machine in fleet.machines]
        for machine in fleet.machines:
            machine.tmux("new-session", "-d", "-s", "first", "-c", str(machine.code))

    def step(self) -> None:
        """Do one thing."""
        if self._draw.random() < FAULT_RATE:
            fault = self._draw.choice(FAULTS)
            self._journal.write("fault", name=fault.__name__)
            fault(self.fleet, self._draw)
            return
        work = self._draw.choice([self._make, self._make, self._rename, self._kill, self._command])
        work(self._draw.choice(self.fleet.machines))

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
            mark = machine.tmux("display-message", "-p", "-t", f"{target}:", "#{@teleclaude}")
            machine.tmux("kill-session", "-t", target)
            self._journal.write("tmux", computer=machine.name, did="killed")
            if '"id":"' in mark.replace(" ", ""):
                session = mark.replace(" ", "").split('"id":"', 1)[1].split('"', 1)[0]
                self._journal.write("killed", session=session)

    def _command(self, target: Machine) -> None:
        """Start a session on one computer through another's daemon."""
        through = self._draw.choice(self.fleet.machines)
        self._count += 1
        token = f"token-{self._count}"
        self._tokens[token] = target.name
        body = {"computer": target.name, "project": str(target.code), "agent": "shell", "title": token}
        try:
            status, answer = through.call("POST", "/sessions", body)
        except (OSError, ValueError):
            self._journal.write("command", id=token, outcome="unknown")
            return
        outcome = "ok" if status == 201 else "unknown" if status == 504 else "error"
        self._journal.write("command", id=token, outcome=outcome, status=status, answer=answer)
        if outcome == "ok" and through is target:
            self._read_back(through, answer["session_id"])

    def _read_back(self, through: Machine, session: str) -> None:
        try:
            found = session in {s.session_id for s in through.sessions()}
        except (OSError, AssertionError):
            return  # the web process went away; there was no next read
        self._journal.write("read", session=session, found=found)

    def agree(self) -> float:
        """Wait until tmux, REST and clients of all say the same, and note what each says. Gives the seconds."""
        began = time.monotonic()
        try:
            until(lambda: not self._differences(), AGREE_WITHIN, every=0.05)
        except AssertionError:
            self._journal.write("disagreement", differences=self._differences())
        took = time.monotonic() - began
        self._journal.write("agreed", seconds=took)
        for owner, who, state in self._views():
            self._journal.write("final", owner=owner, who=who, state=repr(sorted(state.items())))
        for token, computer in self._tokens.items():
            titles = [s.title for s in self.fleet[computer].sessions(computer)]
            self._journal.write("effects", id=token, count=titles.count(token))
        return took

    def _views(self) -> list[tuple[str, str, dict[str, str]]]:
        views: list[tuple[str, str, dict[str, str]]] = []
        for owner in self.fleet.machines:
            listed = owner.tmux("list-panes", "-a", "-F", "#{pane_id} #{session_name}").splitlines()
            views.append((owner.name, "tmux", dict(line.split(" ", 1) for line in listed)))
            for machine, observer in zip(self.fleet.machines, self.observers, strict=True):
                rest = {s.tmux.pane: s.tmux.name for s in machine.sessions(owner.name)}
                views.append((owner.name, f"rest of {machine.name}", rest))
                views.append((owner.name, f"client of {machine.name}", observer.sessions(owner.name)))
        return views

    def _differences(self) -> list[Any]:
        try:
            views = self._views()
        except (OSError, AssertionError) as error:
            return [str(error)]
        truth = {owner: state for owner, who, state in views if who == "tmux"}
        return [(owner, who, state, truth[owner]) for owner, who, state in views if state != truth[owner]]

    def close(self) -> None:
        """Let go of the clients."""
        for observer in self.observers:
            observer.close()


def run(seed: int, steps: int, *, bug: str = "", seconds: float = float("inf")) -> tuple[list[str], float]:
    """Do one run of at most `steps` steps or `seconds`: what the checker found, and how long agreeing took."""
    folder = Path(tempfile.mkdtemp(prefix="tcj", dir="/tmp"))
    path = folder / "journal"
    trace = {"TELECLAUDE_TEST_JOURNAL": str(path), "TELECLAUDE_TEST_BUG": bug}
    trace["PYTHONPATH"] = f"{ROOT / 'tests' / 'chaos' / 'inject'}:{ROOT}"
    fleet = Fleet(*NAMES, environ=trace)
    journal = Journal(path)
    try:
        driver = Run(fleet, journal, seed)
        try:
            until(lambda: not driver._differences(), AGREE_WITHIN)
            end = time.monotonic() + seconds
            for _ in range(steps):
                if time.monotonic() >= end:
                    break
                driver.step()
            took = driver.agree()
        finally:
            driver.close()
        found = violations(read(path))
        if found:
            keep = Path(tempfile.gettempdir()) / f"teleclaude-chaos-{seed}.journal"
            shutil.copy(path, keep)
            logs = [machine.log() for machine in fleet.machines]
            keep.with_suffix(".log").write_text("\n\n".join(logs))
            found.append(f"the journal is {keep}")
        return found, took
    finally:
        journal.close()
        fleet.close()
        shutil.rmtree(folder)


def main() -> None:
    """Do a run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--bug", default="")
    options = parser.parse_args()
    found, took = run(options.seed, options.steps, bug=options.bug)
    print("\n".join(found) or f"no promise broken; all agreed {took:.2f} s after the last step")
    sys.exit(bool(found))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr}")
