"""The terminal client on a pty: from its start to the first painted row, and from a key to the painted screen."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from tests.bench import cores, sample, served
from tests.bench.report import Figure, at_most, milliseconds, percentile
from tests.bench.tty import PAINTED, Tty

ROW = "first-row"
CLIENT = (sys.executable, "-m", "teleclaude.tui")
CACHED = 10_000
FIRST, LAST = b"work on part 0", b"work on part 9999"
OPEN = b"\x1b[C"  # arrow right


def run(*, quick: bool) -> Iterator[Figure]:
    """All figures."""
    with served.daemon() as here:
        here.machine.tmux("new-session", "-d", "-s", ROW)
        yield _start(here, 5 if quick else 15)
        here.replace(sample.sessions(CACHED))
        yield from _keys(here, 200 if quick else 1000)


def _start(here: served.Served, times: int) -> Figure:
    """Median of several starts: with the files in the page cache, as on all but the first."""
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(times + 1):
        ours.append(_painted(here, CLIENT))
        bare.append(_painted(here, (sys.executable, "-c", f"print('{ROW}')")))
    ours, bare = ours[1:], bare[1:]
    best, python = min(ours) * 1e3, percentile(bare, 0.5) * 1e3
    beside = f"best {best:.0f} ms, p90 {percentile(ours, 0.9) * 1e3:.0f} ms; a python that prints it: {python:.0f} ms"
    return at_most("client: start to first painted row", percentile(ours, 0.5) * 1e3, 150, " ms", beside, digits=0)


def _painted(here: served.Served, argv: tuple[str, ...]) -> float:
    with contextlib.closing(Tty(argv, here.machine.environ)) as tty:
        return tty.until(ROW.encode()) - tty.began


def _keys(here: served.Served, times: int) -> Iterator[Figure]:
    """Keys that move; each is waited for, so that none is painted together with the next."""
    found: list[float] = []
    with contextlib.closing(Tty(CLIENT, here.machine.environ)) as tty:
        tty.until(ROW.encode())
        tty.send(b"G")
        tty.quiet(0.5)
        tty.send(OPEN)
        begin = time.monotonic()
        yield Figure(f"client: open a computer of {CACHED:,} sessions", f"{(tty.until(FIRST) - begin) * 1e3:.0f} ms")
        tty.quiet(0.5)
        tty.send(b"G")
        tty.until(LAST)
        tty.quiet(0.5)
        used = cores.cpu_seconds(tty.pid)
        for number in range(times):
            # Up and down in turns of more than a screen, so that the tree scrolls, too.
            tty.send(b"k" if number // 60 % 2 == 0 else b"j")
            begin = time.monotonic()
            found.append(tty.until(PAINTED) - begin)
        used = cores.cpu_seconds(tty.pid) - used
    beside = f"{milliseconds(found)}, {times} keys; CPU {used / times * 1e3:.2f} ms a key"
    yield at_most(f"client: key to paint, {CACHED:,} sessions, p99", percentile(found, 0.99) * 1e3, 16, " ms", beside)
