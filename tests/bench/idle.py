"""The daemon at rest: CPU and memory of the supervisor and its three workers, with twenty quiet tmux sessions."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench import cores, served
from tests.bench.report import Figure, at_most, pss

QUIET = 20


def run(*, quick: bool) -> Iterator[Figure]:
    """All figures."""
    seconds = 10 if quick else 30
    with served.daemon() as here:
        for number in range(QUIET):
            here.machine.tmux("new-session", "-d", "-s", f"quiet{number}")
        time.sleep(5)  # what starting them set off has come to rest
        pids = here.pids()
        before = {name: cores.cpu_seconds(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        used = {name: (cores.cpu_seconds(pid) - before[name]) / seconds * 100 for name, pid in pids.items()}
        memory = {name: pss(pid) for name, pid in pids.items()}
    yield at_most(f"at rest, {QUIET} sessions: CPU", sum(used.values()), 0.5, " %", _each(used, 2))
    beside = f"{_each(memory, 0)}; a bare python {_bare():.0f}"
    yield at_most(f"at rest, {QUIET} sessions: memory (PSS)", sum(memory.values()), 80, " MB", beside, digits=1)


def _each(values: dict[str, float], digits: int) -> str:
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in values.items())


def _bare() -> float:
    """PSS of a Python that does nothing."""
    code = "import sys; print(flush=True); sys.stdin.read()"
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        assert process.stdout is not None
        process.stdout.readline()
        found = pss(process.pid)
        assert process.stdin is not None
        process.stdin.close()
    return found
