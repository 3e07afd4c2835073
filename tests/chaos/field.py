"""What a run works on: computers, their Redis, the network between them, and who of them is away just now."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
from collections.abc import Iterator, Mapping

from tests.chaos.cutting_proxy import CuttingProxy
from tests.chaos.journal import Journal
from tests.chaos.network import Network
from tests.fleet import Fleet
from tests.machine import Machine
from tests.wait import until

RESTART_WITHIN = 60.0  # seconds; a worker that was stopped again and again is restarted after up to 30


class Field:
    """See the module. `hold`: the most seconds that a passing fault lasts; `long`: the seconds of one that outlasts a
    lease. `network`: None where there is none.
    """

    def __init__(self, fleet: Fleet, journal: Journal, network: Network | None, *, hold: float, long: float) -> None:
        self.fleet = fleet
        self.journal = journal
        self.network = network
        self._hold = hold
        self.long = long
        self.ways: list[CuttingProxy] = []  # of the clients
        self.redis_lock = threading.Lock()  # held by a fault of Redis, and while it is taken away for long
        self.is_redis_away = False
        self.broken: set[int] = set()  # process ids of workers that have to be replaced
        self._away: set[str] = set()
        self._lock = threading.Lock()

    def hold(self, draw: random.Random) -> float:
        """Seconds for a fault to last."""
        return self._hold * (0.3 + 0.7 * draw.random())

    def some(self, draw: random.Random) -> Machine:
        """One of the computers that no fault has taken away."""
        with self._lock:
            return draw.choice([machine for machine in self.fleet.machines if machine.name not in self._away])

    @contextlib.contextmanager
    def away(self, machine: Machine, why: str) -> Iterator[None]:
        """Take a computer away from work and other faults, for the time of the block. `why` is for the journal."""
        with self._lock:
            self._away.add(machine.name)
        self.journal.write("away", computer=machine.name, why=why)
        try:
            yield
        finally:
            self.journal.write("back", computer=machine.name, why=why)
            with self._lock:
                self._away.discard(machine.name)

    def is_away(self, machine: Machine) -> bool:
        """Tell whether it is taken away."""
        with self._lock:
            return machine.name in self._away

    def pids(self, machine: Machine) -> list[int]:
        """Process ids of a computer's workers; empty when it cannot be asked, or is taken away, or not all run."""
        with contextlib.suppress(OSError, AssertionError):
            workers = machine.get("/health")["workers"].values()
            if not self.is_away(machine) and all(worker["state"] == "running" for worker in workers):
                return [int(worker["pid"]) for worker in workers]
        return []

    def heal(self) -> None:
        """Wait until every worker of every computer runs, and none of them is one that was killed or stopped."""
        for machine in self.fleet.machines:
            until(lambda machine=machine: self._works(machine), RESTART_WITHIN, every=0.02)  # type: ignore[misc]

    def _works(self, machine: Machine) -> bool:
        """Tell whether all workers of a computer run. What was given up is asked to try again, as a user would."""
        with contextlib.suppress(AssertionError):
            workers: Mapping[str, Mapping[str, object]] = machine.get("/health")["workers"]
            if any(worker["state"] == "fatal" for worker in workers.values()) and machine.daemon is not None:
                self.journal.write("revived", computer=machine.name)
                machine.daemon.send_signal(signal.SIGHUP)
            return all(worker["state"] == "running" and worker["pid"] not in self.broken for worker in workers.values())
        return False
