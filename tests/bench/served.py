"""A real daemon for a benchmark, with as many sessions in its cache as wanted, and peers beside it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from teleclaude.cache import wire
from teleclaude.cache.cache_client import CacheClient
from teleclaude.core.records import Computer, Record, Session
from tests.bench import cores, sample
from tests.machine import ROOT, Machine, request
from tests.wait import until

WORKERS = ("supervisor", "cache", "sync", "web")


class Served:
    """A daemon whose cache is filled through its door: as if another computer had the sessions."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.door = CacheClient(machine.place)
        self.path = machine.place.api_socket

    def fill(self, count: int) -> bytes:
        """Have `count` sessions in all; gives the body of GET /sessions."""
        self.replace(sample.sessions(count))
        body = until(lambda: self._body(count))
        assert body is not None
        return body

    def replace(self, records: Sequence[Session]) -> None:
        """Replace the sessions of the computer that is not there."""
        self.door.write(wire.put([Computer(name=sample.OWNER, last_seen=sample.TIME)]))
        self.door.write([wire.replace("sessions", sample.OWNER, list[Record](records))], flush=True)

    def put(self, record: Session) -> None:
        """Change one session."""
        self.door.write([wire.PutSessions([record])])

    def _body(self, count: int) -> bytes | None:
        status, body = request(self.path, "GET", "/sessions")
        return body if status == 200 and body.count(b'"session_id"') == count else None

    def pids(self) -> dict[str, int]:
        """Process ids of supervisor and workers."""
        workers = self.machine.get("/health")["workers"]
        return {name: int(workers[name]["pid"]) for name in WORKERS if name in workers}

    def pin_web(self) -> int:
        """Keep the web process on the core of servers; its process id."""
        pid = self.pids()["web"]
        cores.pin(pid, cores.server_core())
        return pid


@contextlib.contextmanager
def daemon(name: str = "bench-here", settings: str = "") -> Iterator[Served]:
    """Run a daemon."""
    machine = Machine(name, settings)
    try:
        yield Served(machine.start())
    finally:
        machine.close()


@contextlib.contextmanager
def peer(module: str, *args: str) -> Iterator[tuple[Path, int]]:
    """Run a module of tests.bench.peers that serves on the unix socket it is given, pinned: (socket, pid)."""
    with tempfile.TemporaryDirectory(prefix="tc", dir="/tmp") as folder:
        path = Path(folder) / "s"
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.bench.peers.{module}", str(path), *args],
            cwd=ROOT,
            preexec_fn=partial(os.sched_setaffinity, 0, {cores.server_core()}),  # noqa: PLW1509  (no threads here)
        )
        try:
            until(lambda: path.exists() or process.poll() is not None, 30)
            yield path, process.pid
        finally:
            process.kill()
            process.wait()
