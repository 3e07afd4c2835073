"""The daemon at rest: CPU and memory of the supervisor and its three workers, with quiet tmux sessions."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench import cores, served
from tests.bench.report import Figure, at_most, pss

_BUDGETS = {20: 0.15, 300: 0.3}  # percent of a core, by sessions
_MOST_MEMORY = 70  # MB
_SETTLED = 40.0  # seconds after which what starting set off has come to rest


def run(*, quick: bool) -> Iterator[Figure]:
    """All figures."""
    seconds = 15 if quick else 60
    for count, budget in _BUDGETS.items():
        with served.daemon() as here:
            for number in range(count):
                here.machine.tmux("new-session", "-d", "-s", f"quiet{number}")
            time.sleep(_SETTLED)
            pids = here.pids() | {"tmux": int(here.machine.tmux("display-message", "-p", "#{pid}"))}
            before = {name: cores.cpu_seconds(pid) for name, pid in pids.items()}
            time.sleep(seconds)
            used = {name: (cores.cpu_seconds(pid) - before[name]) / seconds * 100 for name, pid in pids.items()}
            tmux = used.pop("tmux")
            memory = {name: pss(pid) for name, pid in pids.items() if name != "tmux"}
        beside = f"{_each(used, 2)}; tmux {tmux:.2f}"
        yield at_most(f"at rest, {count} sessions: CPU", sum(used.values()), budget, " %", beside)
        beside = f"{_each(memory, 0)}; a bare python {_bare():.0f}"
        yield at_most(
            f"at rest, {count} sessions: memory (PSS)", sum(memory.values()), _MOST_MEMORY, " MB", beside, digits=1
        )


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
