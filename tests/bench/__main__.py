"""`python -m tests.bench`: measures the budgets, each beside its peer in the same run, and prints them."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Iterator

from tests.bench.report import HEADER, Figure, machine

SOAK_WITH_LONG = 180.0  # seconds of a soak from which on it has faults of over a minute
SOAK_HOLD = 6.0  # seconds, at most, of a passing fault in a soak: longer than any time-out but a lease
BENCHES = ("gets", "push", "tmux", "client", "idle", "redraw", "hook", "fleet")


def main() -> int:
    """Run what is asked for; 1 when a budget is missed without a reason that is known."""
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("--only", choices=BENCHES, action="append", metavar="NAME", help=f"of: {', '.join(BENCHES)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="random faults on a fleet instead, for so long")
    args = parser.parse_args()
    if args.soak:
        return _soak(args.soak * 60)
    print(machine(), HEADER, sep="\n", flush=True)
    found: list[Figure] = []
    begin = time.monotonic()
    for name in args.only or BENCHES:
        for figure in _figures(name, quick=args.quick):
            print(figure.line(), flush=True)
            found.append(figure)
    missed = [figure for figure in found if figure.ok is False]
    print(f"{len(found)} figures in {time.monotonic() - begin:.0f} s, {len(missed)} budgets missed")
    return int(any(not figure.reason for figure in missed))


def _soak(seconds: float) -> int:
    """Run fault runs with one seed after the other until the time is over; 1 when a promise was broken.

    In the first, computers are cut off and put to sleep for longer than a lease.
    """
    from tests.chaos.faults import LONG_FAULTS
    from tests.chaos.redis_faults import away_for_long
    from tests.chaos.run import end_in_order, run

    end_in_order()
    end, seed, broken = time.monotonic() + seconds, int(time.time()) % 1_000_000, 0
    long = [*LONG_FAULTS, away_for_long] if seconds >= SOAK_WITH_LONG else []
    while (left := end - time.monotonic()) > 0:
        seed += 1
        report = run(seed, 400, seconds=left, hold=SOAK_HOLD, long=long, crowded=True)
        print(report.text(), flush=True)
        broken += bool(report.found)
        long = []
    return int(broken > 0)


def _figures(name: str, *, quick: bool) -> Iterator[Figure]:
    """The figures of one benchmark. One that fails is told as missed, and takes nothing from the others."""
    try:
        yield from importlib.import_module(f"tests.bench.{name}").run(quick=quick)
    except Exception as error:
        traceback.print_exc()
        yield Figure(name, "failed", f"{type(error).__name__}: {error}"[:200], ok=False)


if __name__ == "__main__":
    sys.exit(main())
