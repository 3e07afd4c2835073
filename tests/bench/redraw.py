"""What it costs to look at panes in which agents work: twenty of them redraw a line ten times a second.

Daemon and tmux, by their CPU time; beside it what tmux takes without a daemon, before and after, in the same run. And
how soon a change elsewhere is at a client meanwhile.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench import cores, served, tmux
from tests.bench.report import Figure, at_most
from tests.bench.ws_load import upgraded
from tests.machine import Machine
from tests.wait import until

WORKING = 20
AGENT = "sleep 100000"
SETTINGS = f'[agents.painter]\ncommand = "{AGENT}"\n'
_SETTLED = 8.0  # seconds after which what starting set off has come to rest
_BUDGETS = {20: 1.0, 300: 2.0}  # percent of a core, by sessions
# A program of its own, so that its time is nobody's: it writes to each terminal as an agent does, each at its time.
_PAINTER = r"""
import os, sys, time
fds = [os.open(path, os.O_WRONLY | os.O_NOCTTY) for path in sys.argv[1:]]
begin, turn = time.monotonic(), 0
while True:
    for number, fd in enumerate(fds):
        time.sleep(max(0, begin + turn / 10 + number / 10 / len(fds) - time.monotonic()))
        os.write(fd, b"\r\x1b[2K\x1b[36m%d\x1b[0m Working (%d s, esc to interrupt)" % (turn % 4, turn // 10))
    turn += 1
"""


def run(*, quick: bool) -> Iterator[Figure]:
    """All figures."""
    seconds = 8.0 if quick else 30.0
    for count in _BUDGETS:
        machine = Machine("bench-here", SETTINGS)
        try:
            with _painted(machine, count):
                yield from _costs(machine, count, seconds)
                if count == max(_BUDGETS):
                    with contextlib.closing(upgraded(machine.place.api_socket)) as client:
                        yield from tmux.changes(machine, client, 10 if quick else 30, f", {WORKING} of {count} redraw")
        finally:
            machine.close()


@contextlib.contextmanager
def _painted(machine: Machine, count: int) -> Iterator[None]:
    """Have `count` sessions, `WORKING` of which redraw."""
    for first in range(0, count, 50):
        words: list[str] = []
        for number in range(first, min(count, first + 50)):
            words += [";", "new-session", "-d", "-s", f"s{number}", "-x", "100", "-y", "30"]
            words += AGENT.split() if number < WORKING else []
        machine.tmux(*words[1:])
    working = ("list-panes", "-a", "-f", "#{m:sleep,#{pane_current_command}}", "-F", "#{pane_tty}")
    until(lambda: len(machine.tmux(*working).split()) == WORKING, 30)
    terminals = machine.tmux(*working).split()
    painter = subprocess.Popen([sys.executable, "-c", _PAINTER, *terminals])
    try:
        yield
    finally:
        painter.kill()
        painter.wait()


def _costs(machine: Machine, count: int, seconds: float) -> Iterator[Figure]:
    server = int(machine.tmux("display-message", "-p", "#{pid}"))
    time.sleep(_SETTLED)
    before = _used({"tmux": server}, seconds)["tmux"]
    here = served.Served(machine.start())
    time.sleep(_SETTLED)
    found = _used({"tmux": server, **here.pids()}, seconds)
    machine.stop()
    own = (before + _used({"tmux": server}, seconds)["tmux"]) / 2
    name = f"{WORKING} of {count} panes redraw"
    ours = {worker: used for worker, used in found.items() if worker != "tmux"}
    each = ", ".join(f"{worker} {used:.2f}" for worker, used in ours.items())
    yield at_most(f"{name}: daemon's CPU", sum(ours.values()), _BUDGETS[count], " %", each)
    beside = f"tmux with us {found['tmux']:.2f} %, without {own:.2f} % of a core"
    yield at_most(f"{name}: tmux, with and without us", found["tmux"] / own, 1.1, "x", beside)
    machine.start()


def _used(pids: dict[str, int], seconds: float) -> dict[str, float]:
    """CPU that processes use, percent of a core."""
    before = {name: cores.cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    return {name: (cores.cpu_seconds(pid) - before[name]) / seconds * 100 for name, pid in pids.items()}
