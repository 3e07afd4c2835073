"""The terminal client on a pty: from its start to the first painted row, and from a key to the painted screen."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from tests.bench import sample, served
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
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    for _ in range(times + 1):
        ours.append(_painted(here, CLIENT))
        bare.append(_painted(here, (sys.executable, "-c", f"print('{ROW}')")))
    walls, cpu = [wall for wall, _ in ours[1:]], [used for _, used in ours[1:]]
    python = percentile([wall for wall, _ in bare[1:]], 0.5)
    beside = (
        f"best {min(walls) * 1e3:.0f} ms, CPU {min(cpu) * 1e3:.0f} ms; a python that prints it: {python * 1e3:.0f} ms"
    )
    return at_most("client: start to first painted row", percentile(walls, 0.5) * 1e3, 150, " ms", beside, digits=0)


def _painted(here: served.Served, argv: tuple[str, ...]) -> tuple[float, float]:
    """Seconds until the row is painted, and CPU seconds of the program until then."""
    # As it is installed: bin/ scripts compile what they install, and Python does the rest on the first start.
    environ = {key: value for key, value in here.machine.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with contextlib.closing(Tty(argv, environ)) as tty:
        at = tty.until(ROW.encode())
        try:
            return at - tty.began, tty.cpu_seconds()
        except OSError:
            return at - tty.began, 0.0  # it printed and is gone


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
        used = tty.cpu_seconds()
        for number in range(times):
            # Up and down in turns of more than a screen, so that the tree scrolls, too.
            tty.send(b"k" if number // 60 % 2 == 0 else b"j")
            begin = time.monotonic()
            found.append(tty.until(PAINTED) - begin)
        used = tty.cpu_seconds() - used
    beside = f"{milliseconds(found)}, {times} keys; CPU {used / times * 1e3:.2f} ms a key"
    yield at_most(f"client: key to paint, {CACHED:,} sessions, p99", percentile(found, 0.99) * 1e3, 16, " ms", beside)
