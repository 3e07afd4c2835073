"""What goes on beside a run for as long as it takes: output that is polled, and strangers who connect and say nothing.

And what all of it leaves behind: the memory of each process, before and after.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.chaos.field import Field
from tests.machine import Machine

POLL_EVERY = 0.1  # seconds
LINES = 10_000  # of output, in each answer
STRANGERS = 50
WORKERS = ("cache", "sync", "web")


class Crowd:
    """Polls the output of a session on each computer, and holds silent connections to the one that serves TCP."""

    def __init__(self, field: Field, *, tcp: str = "") -> None:
        """`tcp`: address:port of one of the computers, if it serves one."""
        self._field = field
        self._stop = threading.Event()
        self._before = {machine.name: memory(machine) for machine in field.fleet.machines}
        self._strangers: list[socket.socket] = []
        self._tcp = tcp
        targets = [(self._poll, machine) for machine in field.fleet.machines]
        self._threads = [threading.Thread(target=act, args=(machine,), daemon=True) for act, machine in targets]
        if tcp:
            self._threads.append(threading.Thread(target=self._stand_around, daemon=True))
        for thread in self._threads:
            thread.start()

    def _poll(self, machine: Machine) -> None:
        with contextlib.suppress(Exception):
            machine.tmux("send-keys", "-t", "=first:", f"seq 1 {LINES}", "Enter")
        while not self._stop.wait(POLL_EVERY):
            with contextlib.suppress(OSError, ValueError, AssertionError, StopIteration):
                first = next(s for s in machine.sessions(machine.name) if s.tmux.name == "first")
                machine.call("GET", f"/sessions/{first.session_id}/output?lines={LINES}")

    def _stand_around(self) -> None:
        host, _, port = self._tcp.rpartition(":")
        while not self._stop.wait(POLL_EVERY):
            with contextlib.suppress(OSError):
                self._strangers.append(socket.create_connection((host, int(port)), 1.0))
            while len(self._strangers) > STRANGERS:
                self._strangers.pop(0).close()

    def close(self) -> None:
        """Go home, and note what each process that lived through all of it has gained."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for stranger in self._strangers:
            stranger.close()
        for machine in self._field.fleet.machines:
            after = memory(machine)
            for (worker, pid), size in after.items():
                gained = size - self._before[machine.name].get((worker, pid), size)
                self._field.journal.write("memory", computer=machine.name, worker=worker, gained=gained)


def memory(machine: Machine) -> dict[tuple[str, int], int]:
    """Bytes of each worker, by its name and process; empty where it cannot be asked."""
    found: dict[tuple[str, int], int] = {}
    with contextlib.suppress(OSError, AssertionError):
        for worker in WORKERS:
            pid = machine.worker_pid(worker)
            found[worker, pid] = next(_pss(pid))
    return found


def _pss(pid: int) -> Iterator[int]:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                yield int(line.split()[1]) * 1024
