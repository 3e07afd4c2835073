"""What a benchmark found, and how it is printed: one line a figure, with its budget and the peer it ran beside."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One figure. `ok`: whether its budget holds; None where it has none. `reason`: why it is missed."""

    name: str
    value: str
    beside: str = ""
    budget: str = ""
    ok: bool | None = None
    reason: str = ""

    def line(self) -> str:
        """The figure as one line."""
        verdict = {None: "", True: "ok", False: "MISSED"}[self.ok]
        why = f"  ({self.reason})" if self.ok is False and self.reason else ""
        return f"{self.name:<50} {self.value:<24} {self.beside:<56} {self.budget:<12} {verdict}{why}".rstrip()


HEADER = Figure("what", "figure", "beside it, in the same run", "budget").line()


def machine() -> str:
    """One line on the machine: cores, and how busy it is with other things."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    busy = "; it is busy with other things, so single figures may be off" if load > cores / 2 else ""
    return f"{cores} cores, load {load:.1f}{busy}"


def at_least(name: str, value: float, least: float, beside: str = "", reason: str = "") -> Figure:
    """A ratio that must not be below its budget."""
    return Figure(name, f"{value:.2f}x", beside, f">= {least:g}x", value >= least, reason)


def at_most(
    name: str, value: float, most: float, unit: str = "x", beside: str = "", reason: str = "", digits: int = 2
) -> Figure:
    """A figure that must not be above its budget."""
    return Figure(name, f"{value:.{digits}f}{unit}", beside, f"<= {most:g}{unit}", value <= most, reason)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values are."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def milliseconds(values: Sequence[float]) -> str:
    """`p50 1.2 ms, p99 3.4 ms` of seconds."""
    return f"p50 {percentile(values, 0.5) * 1e3:.1f} ms, p99 {percentile(values, 0.99) * 1e3:.1f} ms"


def pss(pid: int) -> float:
    """Proportional set size of a process, MB (proc(5), smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss of {pid}")
