"""One run: random work on three computers' tmux while faults come and go; now and then everybody must agree.

`python -m tests.chaos.run --seed 1 --steps 60` prints what was done and what the checker found, and exits 1 if that
is anything. Where the machine allows it each computer is in a network namespace of its own and reaches Redis over TCP;
where not, the run says so, and goes on through a unix socket without the faults of links.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.checker import PROMISED, violations
from tests.chaos.crowd import Crowd
from tests.chaos.faults import LINK_FAULTS, LONG_FAULTS, PROCESS_FAULTS, Fault, cut_a_link_for_long
from tests.chaos.field import Field
from tests.chaos.journal import Journal, read
from tests.chaos.network import Network, why_not
from tests.chaos.redis_faults import REDIS_FAULTS, away_for_long
from tests.chaos.work import Work
from tests.fleet import Fleet
from tests.machine import ROOT
from tests.wait import until

NAMES = ("alpha", "beta", "gamma")
CLOCKS = {  # seconds: the wall clocks of two are an hour behind; none was started when another was
    "beta": {"TELECLAUDE_TEST_WALL": "3600", "TELECLAUDE_TEST_BOOT": "90000"},
    "gamma": {"TELECLAUDE_TEST_BOOT": "4000"},
}
NO_BUGS: Mapping[str, str] = {}
AGREE_WITHIN = 30.0  # seconds for which agreement is waited for; the checker says what is too long
FAULT_RATE = 0.2
LONG = 66.0  # seconds of a fault that outlasts a lease
ROUND = 20  # steps until all must agree
PACE = 0.5  # seconds between steps during a long fault


@dataclass
class Report:
    """What a run did.

    `healed`: seconds from the end of each round until every worker of every computer ran again; `agreed`: seconds from
    then until all agreed. `network`: why there was none, or empty. `journal`: where it was kept, if it was.
    """

    seed: int
    network: str = ""
    journal: str = ""
    found: list[str] = field(default_factory=list)
    agreed: list[float] = field(default_factory=list)
    healed: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """A few lines for a person."""
        times = sorted(self.agreed) or [float("nan")]
        late = sum(took > PROMISED for took in times)
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        wires = "links cut in namespaces" if not self.network else f"no links were cut ({self.network})"
        return (
            f"seed {self.seed}: {self.faults.total()} faults ({kinds}); {wires}; all agreed {len(self.agreed)} times, "
            f"after {times[len(times) // 2]:.2f} s (median), {times[-1]:.2f} s (worst), {late} over {PROMISED:.0f} s; "
            f"workers were back after at most {max(self.healed, default=0.0):.1f} s; "
            f"{'; '.join(self.found) or 'no promise broken'}{self.journal and f'; see {self.journal}'}"
        )


class Run:
    """The driver of one run. `faults`: what it draws from."""

    def __init__(self, place: Field, work: Work, faults: Sequence[Fault], draw: random.Random, report: Report) -> None:
        self._field = place
        self._work = work
        self._faults = faults
        self._deck: list[Fault] = []
        self._draw = draw
        self._report = report

    def step(self) -> None:
        """Do one thing."""
        if self._field.is_redis_away and self._draw.random() < 0.5:
            self._step_alone()
            return
        if self._field.is_redis_away or self._draw.random() >= FAULT_RATE or not self._faults:
            self._work.step()
            return
        if not self._deck:  # each comes once before any comes again
            self._deck = self._draw.sample(self._faults, len(self._faults))
        self._do(self._deck.pop())

    def _step_alone(self) -> None:
        """Without Redis: do a fault of processes, or local commands."""
        if self._draw.random() < FAULT_RATE:
            self._do(self._draw.choice(PROCESS_FAULTS))
        else:
            self._work.work_alone()

    def _do(self, fault: Fault, draw: random.Random | None = None) -> None:
        self._field.journal.write("fault", name=fault.__name__)
        self._report.faults[fault.__name__] += 1
        with self._field.redis_lock if fault in REDIS_FAULTS else contextlib.nullcontext():
            if fault not in REDIS_FAULTS or not self._field.is_redis_away:
                fault(self._field, draw or self._draw)
        self._field.journal.write("healed", name=fault.__name__)

    def work_during(self, fault: Fault) -> None:
        """Do a long fault, while everybody works on and other faults come."""
        failed: list[BaseException] = []

        def do() -> None:
            try:
                self._do(fault, random.Random(self._report.seed))
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=do, name=fault.__name__)
        thread.start()
        try:
            while thread.is_alive():
                self.step()
                thread.join(PACE)
        finally:
            thread.join()
        if failed:
            raise failed[0]

    def agree(self) -> bool:
        """Wait until tmux, REST and clients of all say the same, and note how long that took. False: they do not."""
        ended = time.monotonic()
        self._field.heal()
        began = time.monotonic()
        for seconds, every in ((PROMISED, 0.05), (AGREE_WITHIN - PROMISED, 0.2)):
            try:
                until(lambda: not self._work.differences(), seconds, every=every)
                break
            except AssertionError:
                self._field.journal.write("disagreement", differences=self._work.differences())
        took = time.monotonic() - began
        self._field.journal.write("agreed", seconds=took, workers=began - ended)
        self._report.agreed.append(took)
        self._report.healed.append(began - ended)
        if took < AGREE_WITHIN:
            self._work.prove_calm(began)
        return took < AGREE_WITHIN

    def go(self, steps: int, seconds: float, long: Sequence[Fault]) -> None:
        """Do it: all `long` faults, then `steps` steps, or rounds of them until time is up or they do not agree."""
        end = time.monotonic() + seconds
        until(lambda: not self._work.differences(), AGREE_WITHIN)
        self._field.fleet.redis.keep()
        for fault in [fault for fault in long if self._field.network or fault is not cut_a_link_for_long]:
            self.work_during(fault)
            self.agree()
        for done in range(0, max(steps, 1), ROUND):
            for _ in range(min(ROUND, steps - done)):
                self.step()
            if not self.agree() or time.monotonic() >= end:
                break
        self._work.note_effects()


def run(
    seed: int,
    steps: int,
    *,
    bugs: Mapping[str, str] = NO_BUGS,
    seconds: float = float("inf"),
    links: bool = True,
    hold: float = 0.7,
    lease: float = 0.0,
    long: Sequence[Fault] = (),
    passing: bool = True,
    crowded: bool = False,
) -> Report:
    """Do one run of at most `steps` steps or `seconds`.

    `bugs`: seeded ones, by computer. `links`: in namespaces, where possible. `hold`: the most seconds of a passing
    fault. `lease`: seconds, if another than usual. `long`: faults to begin with, whatever time they take. `passing`:
    whether there are any others. `crowded`: with output that is polled and silent connections all the time.
    """
    report = Report(seed, network=why_not() if links else "not asked for")
    folder = Path(tempfile.mkdtemp(prefix="tcj", dir="/tmp"))
    trace = {"TELECLAUDE_TEST_JOURNAL": str(folder / "journal")}
    trace["PYTHONPATH"] = f"{ROOT / 'tests' / 'chaos' / 'inject'}:{ROOT}"
    if lease:
        trace["TELECLAUDE_TEST_LEASE"] = str(lease)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        network = None if report.network else stack.enter_context(contextlib.closing(Network(NAMES)))
        fleet = stack.enter_context(contextlib.closing(Fleet(*NAMES, environ=trace, more=_more(bugs), wires=network)))
        journal = stack.enter_context(contextlib.closing(Journal(folder / "journal")))
        place = Field(fleet, journal, network, hold=hold, long=lease * 4 if lease else LONG)
        draw = random.Random(seed)
        with contextlib.closing(Work(place, draw)) as work:
            faults = [*PROCESS_FAULTS, *REDIS_FAULTS, *(LINK_FAULTS if network else [])] if passing else []
            try:
                with contextlib.closing(Crowd(place)) if crowded else contextlib.nullcontext():
                    Run(place, work, faults, draw, report).go(steps, seconds, long)
            except BaseException:
                _keep(seed, folder, fleet)
                raise
        report.found = violations(read(folder / "journal"))
        if report.found or max(report.agreed) > PROMISED:
            report.journal = str(_keep(seed, folder, fleet))
    return report


def _more(bugs: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What is in the environment of each computer besides what is in all of theirs."""
    return {name: {**CLOCKS.get(name, {}), "TELECLAUDE_TEST_BUG": bugs.get(name, "")} for name in NAMES}


def _keep(seed: int, folder: Path, fleet: Fleet) -> Path:
    """Keep the journal and the logs of a run that failed, or was slow."""
    keep = Path(tempfile.gettempdir()) / f"teleclaude-chaos-{seed}.journal"
    shutil.copy(folder / "journal", keep)
    keep.with_suffix(".log").write_text("\n\n".join(f"== {each.name}\n{each.log()}" for each in fleet.machines))
    return keep


def end_in_order() -> None:
    """Have SIGTERM end this process as Ctrl-C does: with nothing left behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def main() -> None:
    """Do a run from the command line."""
    end_in_order()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--hold", type=float, default=0.7, help="the most seconds of a passing fault")
    parser.add_argument("--long", action="store_true", help="faults of over a minute as well")
    parser.add_argument("--crowded", action="store_true", help="output is polled, strangers connect")
    parser.add_argument("--no-links", action="store_true", help="no network namespaces")
    parser.add_argument("--bug", default="", help="seed one, in all of them")
    parser.add_argument("--lease", type=float, default=0.0, help="seconds of a lease")
    options = parser.parse_args()
    report = run(
        options.seed,
        options.steps,
        bugs=dict.fromkeys(NAMES, options.bug),
        links=not options.no_links,
        hold=options.hold,
        lease=options.lease,
        long=[*LONG_FAULTS, away_for_long] if options.long else (),
        crowded=options.crowded,
    )
    print(report.text())
    sys.exit(bool(report.found))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr}")
