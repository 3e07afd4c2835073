"""Any worker may die or hang: reads go on, all catch up, and nothing in tmux is touched."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.machine import Machine, request
from tests.wait import until

WORKERS = ("cache", "sync", "web")


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Start a computer with some sessions."""
    found = Machine("solo")
    try:
        for number in range(5):
            found.tmux("new-session", "-d", "-s", f"work{number}", "-c", str(found.code))
        found.start()
        until(lambda: len(found.sessions()) == 5)
        yield found
    finally:
        found.close()


class Reader(threading.Thread):
    """Reads all the time, and keeps what was wrong."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(daemon=True)
        self._machine = machine
        self.stopped = threading.Event()
        self.wrong: list[str] = []
        self.good = 0

    def run(self) -> None:
        while not self.stopped.wait(0.005):
            try:
                status, body = request(self._machine.place.api_socket, "GET", "/sessions", timeout=5.0)
            except OSError as error:
                self.wrong.append(repr(error))
                continue
            if status == 200 and body.startswith(b"[{"):
                self.good += 1
            else:
                self.wrong.append(f"{status} {body[:200]!r}")


def tmux_state(machine: Machine) -> set[str]:
    """Every pane with its process, which no fault may change."""
    return set(machine.tmux("list-panes", "-a", "-F", "#{session_name} #{pane_id} #{pane_pid}").splitlines())


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_worker_that_dies_or_hangs_is_replaced_and_all_catch_up(
    machine: Machine, worker: str, fault: signal.Signals
) -> None:
    """Reads go on from the last snapshot; a change made meanwhile is seen; every tmux session lives on."""
    before = tmux_state(machine)
    reader = Reader(machine)
    reader.start()
    until(lambda: reader.good > 5)
    pid = machine.worker_pid(worker)
    os.kill(pid, fault)
    machine.tmux("rename-session", "-t", "=work3", "renamed")
    until(lambda: machine.worker_pid(worker) not in {0, pid}, 15)
    until(lambda: "renamed" in {s.tmux.name for s in machine.sessions()}, 15)
    until(lambda: machine.get("/health")["status"] == "ok", 15)
    reader.stopped.set()
    reader.join(10)
    assert {line.replace("work3", "renamed") for line in before} == tmux_state(machine)
    assert not os.path.exists(f"/proc/{pid}") or worker == ""
    if worker != "web":  # while the web process is away nobody can answer; clients connect anew
        assert reader.wrong == []


def test_ids_survive_a_restart_of_the_daemon(machine: Machine) -> None:
    """A session keeps its id when the daemon stops and starts again."""
    before = {s.tmux.pane: s.session_id for s in machine.sessions()}
    assert machine.stop() == 0
    machine.start()
    until(lambda: len(machine.sessions()) == 5)
    assert {s.tmux.pane: s.session_id for s in machine.sessions()} == before


def test_a_killed_supervisor_leaves_no_worker_and_the_next_start_works_at_once(machine: Machine) -> None:
    """Workers end with their supervisor, even stopped ones; nothing blocks the next start."""
    before = tmux_state(machine)
    pids = [machine.worker_pid(worker) for worker in WORKERS]
    os.kill(pids[1], signal.SIGSTOP)
    machine.kill()
    until(lambda: not [pid for pid in pids if os.path.exists(f"/proc/{pid}")])
    machine.start()
    until(lambda: len(machine.sessions()) == 5)
    assert tmux_state(machine) == before


def test_an_orderly_stop_leaves_nothing_behind(machine: Machine) -> None:
    """After SIGTERM: exit 0, no process, no socket, no file in the runtime folder but the lock; tmux lives on."""
    before = tmux_state(machine)
    pids = [machine.worker_pid(worker) for worker in WORKERS]
    assert machine.stop() == 0
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
    assert set(os.listdir(machine.place.runtime)) <= {"lock"}
    assert tmux_state(machine) == before


def test_fds_return_after_faults(machine: Machine) -> None:
    """A worker whose neighbours die again and again holds no more files than before."""

    def count(worker: str) -> int:
        return len(os.listdir(f"/proc/{machine.worker_pid(worker)}/fd"))

    def cycle(victim: str) -> None:
        pid = machine.worker_pid(victim)
        os.kill(pid, signal.SIGKILL)
        until(lambda: machine.worker_pid(victim) not in {0, pid}, 15)
        until(lambda: machine.get("/health")["status"] == "ok", 15)

    samples: list[dict[str, int]] = []

    def is_steady() -> bool:  # one that is just being asked, or asks, holds one more for a moment
        samples.append({worker: count(worker) for worker in ("sync", "web")})
        return len(samples) > 5 and samples[-5:] == [samples[-1]] * 5

    cycle("cache")
    until(is_steady, 15, every=0.1)
    before = samples[-1]
    cycle("cache")
    cycle("cache")
    until(lambda: is_steady() and samples[-1] == before, 15, every=0.1)
