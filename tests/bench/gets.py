"""GET /sessions beside gevent's bare WSGI server with the same bytes, and beside FastAPI; conditional GETs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import cores, served
from tests.bench.http_load import Rate, measure, request_head
from tests.bench.report import Figure, at_least, at_most

CONNECTIONS = 8
_GET = request_head("/sessions")


class Best:
    """The best of several rounds: what others do on the machine can only make a round worse."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.per_cpu_second = 0.0
        self.busy = 0.0

    def round(self, path: Path, pid: int, head: bytes, seconds: float, status: int = 200) -> Rate:
        """One round."""
        before = cores.cpu_seconds(pid)
        rate = measure(path, head, CONNECTIONS, seconds)
        if rate.status != status:
            raise ValueError(f"answered {rate.status}")
        self.per_cpu_second = max(self.per_cpu_second, rate.requests / (cores.cpu_seconds(pid) - before))
        if rate.per_second > self.rate:
            self.rate, self.busy = rate.per_second, rate.busy
        return rate


def run(*, quick: bool) -> Iterator[Figure]:
    """All figures."""
    rounds, seconds = (3, 0.5) if quick else (7, 1.0)
    with served.daemon() as here:
        for count in (1, 100, 1000) if quick else (1, 100, 1000, 10_000):
            yield from _gets(here, count, rounds, seconds)
    yield _conditional(rounds, seconds)


def _gets(here: served.Served, count: int, rounds: int, seconds: float) -> Iterator[Figure]:
    body = here.fill(count)
    ours, raw, models = Best(), Best(), Best()
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="tc"))
        file.write(body)
        file.flush()
        pywsgi = stack.enter_context(served.peer("raw_pywsgi", file.name))
        fastapi = stack.enter_context(served.peer("fastapi_models", file.name))
        web = here.pin_web()
        for _ in range(rounds):
            ours.round(here.path, web, _GET, seconds)
            raw.round(*pywsgi, _GET, seconds)
            models.round(*fastapi, _GET, seconds)
    own = f"{ours.rate:,.0f}/s"
    name = f"GET /sessions, {count:,} sessions"
    for peer, title, least in ((raw, "bare pywsgi", 0.9), (models, "FastAPI models", 8.0)):
        per_cpu = ours.per_cpu_second / peer.per_cpu_second
        beside = f"{own} : {peer.rate:,.0f}/s; by CPU {per_cpu:.2f}x; load {max(ours.busy, peer.busy):.0%}"
        ratio = ours.rate / peer.rate
        # The budgets are for 1,000 sessions; the other sizes are told beside it.
        if count == 1000:
            yield at_least(f"{name} : {title}", ratio, least, beside)
        else:
            yield Figure(f"{name} : {title}", f"{ratio:.2f}x", beside)


def _conditional(rounds: int, seconds: float) -> Figure:
    """Two daemons, one with many sessions, asked by turns."""
    with served.daemon("bench-one") as small, served.daemon("bench-many") as large:
        one, many = _Known(small, 1), _Known(large, 10_000)
        for _ in range(rounds):
            one.round(seconds)
            many.round(seconds)
    beside = f"{many.best.rate:,.0f}/s at 10,000 : {one.best.rate:,.0f}/s at 1; load {many.best.busy:.0%}"
    ratio = one.best.per_cpu_second / many.best.per_cpu_second
    return at_most("conditional GET, 10,000 sessions : 1", ratio, 1.1, beside=beside)


class _Known:
    """Asks a daemon for what the client has already."""

    def __init__(self, here: served.Served, count: int) -> None:
        here.fill(count)
        self._here = here
        self._web = here.pin_web()
        self.best = Best()

    def round(self, seconds: float) -> None:
        """One round, with the tag of now."""
        health = self._here.machine.get("/health")
        head = request_head("/sessions", f'If-None-Match: "{health["epoch"]}-{health["data_version"]}"')
        self.best.round(self._here.path, self._web, head, seconds, 304)
