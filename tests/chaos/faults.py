"""Faults of processes and computers: each is done, and healed, by one call."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.field import Field
from tests.machine import Machine

Fault = Callable[[Field, random.Random], None]

WORKERS = ("cache", "sync", "web")


def kill_a_worker(field: Field, draw: random.Random) -> None:
    """SIGKILL one of the three processes of one computer."""
    _signal(field, draw, signal.SIGKILL)


def stop_a_worker(field: Field, draw: random.Random) -> None:
    """SIGSTOP one of them; its supervisor has to notice."""
    _signal(field, draw, signal.SIGSTOP)


def _signal(field: Field, draw: random.Random, number: signal.Signals) -> None:
    machine, worker = field.some(draw), draw.choice(WORKERS)
    with contextlib.suppress(OSError, AssertionError, ProcessLookupError):  # it may be away already
        pid = machine.worker_pid(worker)
        if pid:
            os.kill(pid, number)
            field.broken.add(pid)


def restart_a_daemon(field: Field, draw: random.Random) -> None:
    """SIGKILL a supervisor, and start its daemon again at once."""
    machine = field.some(draw)
    with field.away(machine, "killed"):
        machine.kill()
        machine.start()


def stop_a_computer(field: Field, draw: random.Random) -> None:
    """SIGSTOP all processes of a daemon for a while, as when a laptop sleeps."""
    _stop(field, field.some(draw), field.hold(draw))


def stop_a_computer_for_long(field: Field, draw: random.Random) -> None:
    """The same, until after its lease ran out."""
    _stop(field, field.some(draw), field.long)


def _stop(field: Field, machine: Machine, seconds: float) -> None:
    with field.away(machine, "stopped"):
        assert machine.daemon is not None
        supervisor = machine.daemon.pid
        os.kill(supervisor, signal.SIGSTOP)  # first: it shall not see its workers hang
        workers = _children(supervisor)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)  # how long the fault lasts; nothing waits for this
        finally:
            field.broken.difference_update(workers)  # one that was stopped before goes on with them
            for pid in [*workers, supervisor]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cut_a_link(field: Field, draw: random.Random) -> None:
    """Pull the cable of one computer for a while."""
    _cut(field, draw, "cut", field.hold(draw))


def cut_the_way_to_redis(field: Field, draw: random.Random) -> None:
    """Lose for a while, in silence, what one computer sends."""
    _cut(field, draw, "cut_to_redis", field.hold(draw))


def cut_the_way_from_redis(field: Field, draw: random.Random) -> None:
    """Lose for a while, in silence, what Redis sends to one computer."""
    _cut(field, draw, "cut_from_redis", field.hold(draw))


def cut_a_link_for_long(field: Field, draw: random.Random) -> None:
    """Keep one computer apart from the others until after its lease ran out."""
    _cut(field, draw, draw.choice(["cut", "cut_to_redis", "cut_from_redis"]), field.long)


def _cut(field: Field, draw: random.Random, how: str, seconds: float) -> None:
    network, machine = field.network, field.some(draw)
    assert network is not None
    try:
        getattr(network, how)(machine.name)
        field.journal.write("cut", computer=machine.name, how=how)
        time.sleep(seconds)  # how long the fault lasts
    finally:
        network.mend(machine.name)


def cut_the_clients(field: Field, draw: random.Random) -> None:
    """Break the connection of every client to its daemon, at some byte of what comes next."""
    for way in field.ways:
        way.cut(draw.randrange(3000) if draw.random() < 0.7 else 0)


PROCESS_FAULTS: list[Fault] = [kill_a_worker, stop_a_worker, restart_a_daemon, stop_a_computer, cut_the_clients]
LINK_FAULTS: list[Fault] = [cut_a_link, cut_the_way_to_redis, cut_the_way_from_redis]
LONG_FAULTS: list[Fault] = [cut_a_link_for_long, stop_a_computer_for_long]
