"""CPU time of a process, and keeping processes apart."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_CPU_CLOCK_OF_PROCESS = 2  # clock_getcpuclockid(3): CPUCLOCK_SCHED, of all threads


def cpu_seconds(pid: int) -> float:
    """CPU time that all threads of a process have used, to the nanosecond. Raises OSError when it is gone."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK_OF_PROCESS)


def server_core() -> int:
    """The core on which what is measured runs."""
    return min(os.sched_getaffinity(0))


def load_core() -> int:
    """The core on which the load comes from."""
    return max(os.sched_getaffinity(0))


def pin(pid: int, core: int) -> None:
    """Keep all threads of a process on one core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {core})
