"""The fleet: a tmux change until it is painted on another computer; a crowd of computers; the cost of an event.

Beside each stands what bare Redis takes for the same in the same run.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from teleclaude.sync.fleet.keyring import load_ring
from tests.bench import cores
from tests.bench.crowd import Crowd
from tests.bench.report import Figure, at_most, milliseconds, percentile, pss
from tests.bench.tty import Tty
from tests.bench.ws_load import upgraded
from tests.fleet import Fleet
from tests.machine import ROOT, Machine, request
from tests.wait import until

COMPUTERS, SESSIONS, RATE = 200, 50, 1000
_SENT = re.compile(rb'"title":"sent (\d+\.\d+)"')


def run(*, quick: bool) -> Iterator[Figure]:
    """All figures."""
    yield from _painted(10 if quick else 50)
    yield from _crowd(5 if quick else 15)
    yield from _interested((1, 10) if quick else (1, 10, 100))


def _painted(times: int) -> Iterator[Figure]:
    """A tmux change on one computer until its row is painted on another, key to key nothing pressed."""
    with contextlib.closing(Fleet("here", "there")) as fleet:
        here, there = fleet.machines
        there.tmux("new-session", "-d", "-s", _name(0), "-c", str(there.code))
        with contextlib.closing(Tty((sys.executable, "-m", "teleclaude.tui"), here.environ)) as tty:
            tty.until(b"there", 30)
            tty.quiet(0.5)
            tty.send(b"g" + b"lj" * 6)
            tty.until(_name(0).encode(), 30)
            taken = [_rename(there, tty, number) for number in range(times)]
        bare = _bare_redis(fleet.redis.url, times * 4)
    beside = f"{milliseconds(taken)}; bare XADD to XREAD {milliseconds(bare)}"
    name = "tmux change on one, painted on another"
    yield at_most(f"{name}: p50", percentile(taken, 0.5) * 1e3, 50, " ms", beside, digits=1)
    yield at_most(f"{name}: p99", percentile(taken, 0.99) * 1e3, 200, " ms", digits=1)


def _name(number: int) -> str:
    """A name that differs from the one before in each letter: cells that stay as they were are not painted again."""
    return chr(ord("a") + number % 26) * 12


def _rename(there: Machine, tty: Tty, number: int) -> float:
    tty.quiet(0.3)  # so that each change is one of its own
    begin = time.monotonic()
    there.tmux("rename-session", "-t", f"={_name(number)}", _name(number + 1))
    return tty.until(_name(number + 1).encode()) - begin


def _bare_redis(url: str, times: int) -> list[float]:
    """Seconds from an XADD until a reader that is blocked in XREAD has it."""
    taken: list[float] = []
    ready = threading.Event()

    def read() -> None:
        with contextlib.closing(redis.Redis.from_url(url)) as reader:
            last = "0-0"
            ready.set()
            for _ in range(times):
                found: Any = reader.xread({"bare": last}, count=1, block=20_000)
                [(_, [(position, fields)])] = found
                taken.append(time.monotonic() - float(fields[b"t"]))
                last = position

    thread = threading.Thread(target=read)
    thread.start()
    ready.wait(10)
    with contextlib.closing(redis.Redis.from_url(url)) as writer:
        for number in range(times):
            time.sleep(0.005)
            writer.xadd("bare", {"t": f"{time.monotonic():.6f}", "m": b"x" * 600})
            until(lambda after=number: len(taken) > after, 20, every=0.001)  # type: ignore[misc]  # bound by default
    thread.join()
    return taken


class _Process:
    """A crowd in a process of its own."""

    def __init__(self, fleet: Fleet, to: Machine) -> None:
        ring = load_ring(to.place)
        assert ring is not None
        arguments = [fleet.redis.url, ring.key.hex(), "teleclaude:", str(COMPUTERS), str(SESSIONS), to.name]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.crowd", *arguments], stdin=subprocess.PIPE, cwd=ROOT
        )

    def rate(self, events: float) -> None:
        """Send that many events a second from now on."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{events}\n".encode())
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def _crowd(seconds: int) -> Iterator[Figure]:
    """Many computers at a high rate against one daemon, with one client that looks at all of them."""
    with contextlib.closing(Fleet("here")) as fleet:
        here = fleet.machines[0]
        with contextlib.closing(_Process(fleet, here)) as crowd, contextlib.closing(upgraded(_api(here))) as client:
            until(lambda: len(here.sessions()) == COMPUTERS * SESSIONS, 120, every=0.5)
            lags: list[float] = []
            stop = threading.Event()
            thread = threading.Thread(target=_follow, args=(client, lags, stop))
            thread.start()
            quiet = _gets(here, 50)
            crowd.rate(RATE)
            until(lambda: len(lags) > RATE, 60)
            lags.clear()
            before, began = _cpu(here), time.monotonic()
            busy = _gets(here, 50)
            time.sleep(max(0.0, seconds - (time.monotonic() - began)))
            took = time.monotonic() - began
            used = {name: (value - before[name]) / took * 100 for name, value in _cpu(here).items()}
            events = len(lags) / took
            crowd.rate(0)
            stop.set()
            thread.join()
            memory = sum(pss(here.worker_pid(name)) for name in ("cache", "sync", "web"))
    name = f"{COMPUTERS} computers x {SESSIONS} sessions"
    beside = ", ".join(f"{worker} {value:.0f}" for worker, value in used.items())
    yield at_most(f"{name}: CPU, {events:.0f} events/s", sum(used.values()), 30, " %", beside + " %", digits=0)
    yield Figure(f"{name}: lag, push to client", milliseconds(lags))
    yield Figure(f"{name}: GET /computers meanwhile", milliseconds(busy), f"quiet {milliseconds(quiet)}")
    yield Figure(f"{name}: memory of the workers (PSS)", f"{memory:.0f} MB")


def _api(machine: Machine) -> Path:
    return machine.place.api_socket


def _cpu(machine: Machine) -> dict[str, float]:
    return {name: cores.cpu_seconds(machine.worker_pid(name)) for name in ("cache", "sync", "web")}


def _gets(machine: Machine, times: int) -> list[float]:
    taken: list[float] = []
    for _ in range(times):
        begin = time.monotonic()
        request(_api(machine), "GET", "/computers")
        taken.append(time.monotonic() - begin)
    return taken


def _follow(client: socket.socket, lags: list[float], stop: threading.Event) -> None:
    rest = b""
    while not stop.is_set():
        if not select.select([client], [], [], 0.2)[0]:
            continue
        data = rest + client.recv(1 << 20)
        now = time.monotonic()
        end = 0
        for found in _SENT.finditer(data):
            lags.append(now - float(found[1]))
            end = found.end()
        rest = data[max(end, len(data) - 64) :]


def _interested(counts: tuple[int, ...]) -> Iterator[Figure]:
    """CPU of the owner's sync process for one changed session, with so many computers that look at it."""
    costs = {count: _cost(count) for count in counts}
    first, last = costs[counts[0]], costs[counts[-1]]
    beside = ", ".join(f"{count}: {cost * 1e6:.0f} us" for count, cost in costs.items())
    yield Figure(f"a change: CPU of its owner, {counts[-1]} lookers over {counts[0]}", f"{last / first:.1f}x", beside)


def _cost(lookers: int, changes: int = 30) -> float:
    """Seconds of CPU for a change of a name, the look at tmux included."""
    with contextlib.closing(Fleet("here")) as fleet:
        here = fleet.machines[0]
        here.tmux("new-session", "-d", "-s", "changing", "-c", str(here.code))
        until(here.sessions)
        ring = load_ring(here.place)
        assert ring is not None
        with contextlib.closing(Crowd(fleet.redis.url, ring.key, "teleclaude:", lookers, 1)) as crowd:
            crowd.look_at(here.name)
            until(lambda: min(crowd.inboxes()) > 0, 60)
            pid = here.worker_pid("sync")
            at, before = sum(crowd.inboxes()), cores.cpu_seconds(pid)
            for number in range(changes):
                here.tmux("rename-session", "-t", f"=changing{number - 1 if number else ''}", f"changing{number}")
                time.sleep(0.25)  # one event each
            used = cores.cpu_seconds(pid) - before
            pushed = sum(crowd.inboxes()) - at
            if pushed < changes * lookers * 0.8:
                raise AssertionError(f"only {pushed} events were pushed for {changes} changes to {lookers} lookers")
    return used / changes
