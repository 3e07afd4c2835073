"""A change to many /ws clients: CPU beside writing one ready frame to as many plain sockets; a client that stalls."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from collections.abc import Callable, Iterator

from teleclaude.cache import wire
from teleclaude.core.records import Session
from teleclaude.web.push import frames
from tests.bench import cores, sample, served
from tests.bench.report import Figure, at_most, middle, milliseconds, percentile
from tests.bench.ws_load import Readers, readers, upgraded

SESSIONS = 100
_REASON = "being woken and finding out what changed is 0.1 ms, for any number of clients; a further client is 1.4x"


class Numbers:
    """Numbers changes, over the whole run, so that none is taken for another."""

    last = 0

    @classmethod
    def next(cls) -> int:
        """The next."""
        cls.last += 1
        return cls.last


def run(*, quick: bool) -> Iterator[Figure]:
    """All figures."""
    rounds, changes = (3, 100) if quick else (7, 300)
    with served.daemon() as here:
        here.fill(SESSIONS)
        for clients in (1, 10, 100):
            yield _fan_out(here, clients, rounds, changes, 1)
        yield _fan_out(here, 100, rounds, changes // 3, 10)
        yield from _stalled(here, 100, 2 * changes)


def _fan_out(here: served.Served, clients: int, rounds: int, changes: int, at_once: int) -> Figure:
    """CPU of a change, or of some at once, the least of several rounds each."""
    ours: list[float] = []
    ready: list[float] = []
    with contextlib.ExitStack() as stack:
        ours_readers = stack.enter_context(readers(here.path, clients, lazy=True))
        file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="tc"))
        body = b'{"session_id":"0000000000000000","title":"t0","rest":"%b"}' % (b"x" * 470)
        file.write(frames.event("session_updated", 1, body))
        file.flush()
        path, pid = stack.enter_context(served.peer("ready_frames", file.name, str(clients)))
        plain_readers = stack.enter_context(readers(path, clients, plain=True, lazy=True))
        teller = stack.enter_context(socket.socket(socket.AF_UNIX))
        teller.connect(str(path))
        web = here.pin_web()
        for _ in range(rounds):
            ours.append(_cpu(web, changes, lambda: _change(here, ours_readers, at_once)))
            ready.append(_cpu(pid, changes, lambda: _tell(teller, plain_readers, at_once)))
    what = "a change" if at_once == 1 else f"{at_once} changes at once"
    name = f"{what} to {clients} /ws clients : ready frames"
    medians = middle(ours) / middle(ready)
    beside = f"{min(ours) * 1e6:.0f} us : {min(ready) * 1e6:.0f} us of CPU; medians {medians:.2f}x"
    ratio = min(ours) / min(ready)
    if clients == 100:
        return at_most(name, ratio, 1.2, beside=beside, reason=_REASON if at_once == 1 else "")
    return Figure(name, f"{ratio:.2f}x", beside)


def _cpu(pid: int, changes: int, change: Callable[[], object]) -> float:
    before = cores.cpu_seconds(pid)
    for _ in range(changes):
        change()
    return (cores.cpu_seconds(pid) - before) / changes


def _change(here: served.Served, clients: Readers, at_once: int = 1) -> list[float]:
    """Change some sessions in one write, and wait until all have the last: seconds until each had."""
    numbers = [Numbers.next() for _ in range(at_once)]
    records: list[Session] = [sample.session(number % SESSIONS, f"t{number}") for number in numbers]
    begin = time.monotonic()
    here.door.write([wire.PutSessions(records)])
    return [at - begin for at in clients.wait(numbers[-1])]


def _tell(teller: socket.socket, clients: Readers, at_once: int) -> None:
    teller.send(b"x" * at_once)
    clients.wait(at_once)


def _stalled(here: served.Served, clients: int, changes: int) -> Iterator[Figure]:
    """Latency of the others with a client that does not read, and without; in turns."""
    alone: list[float] = []
    beside_it: list[float] = []
    with readers(here.path, clients) as others:
        for _ in range(4):
            alone += _latencies(here, others, changes)
            with upgraded(here.path):
                # Fill its socket, its queue, and run over: every state that it can be in.
                beside_it += _latencies(here, others, changes)
    ratio = percentile(beside_it, 0.99) / percentile(alone, 0.99)
    yield at_most(
        f"p99 of {clients} clients, with a stalled one : without",
        ratio,
        1.5,
        beside=f"{milliseconds(beside_it)} : {milliseconds(alone)}",
    )


def _latencies(here: served.Served, others: Readers, changes: int) -> list[float]:
    return [seconds for _ in range(changes) for seconds in _change(here, others)]
