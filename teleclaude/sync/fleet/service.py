"""The peers half of the sync process: the one door to all that concerns other computers.

With no fleet it does nothing and imports neither Redis nor NaCl. Whatever happens to Redis, its calls return at once.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from teleclaude.cache import wire
from teleclaude.core.errors import NotFound, TeleclaudeError, Unavailable
from teleclaude.core.paths import Places
from teleclaude.core.records import Kind, Service
from teleclaude.core.requests import Outcome, Refresh, Request, failed
from teleclaude.core.settings import Settings
from teleclaude.sync.fleet.board import Board
from teleclaude.sync.fleet.keyring import keys_now
from teleclaude.sync.fleet.outcome_sender import Clerk, Counter
from teleclaude.sync.own_records import OwnChange, OwnRecords

if TYPE_CHECKING:
    from teleclaude.sync.fleet.loop import Engine
    from teleclaude.sync.fleet.redis.embedded_server import EmbeddedServer

log = logging.getLogger(__name__)

STOP_WITHIN = 0.8  # seconds


class Writer(Protocol):
    """What is needed of the writer into the cache."""

    def submit(self, ops: list[wire.Op]) -> None:
        """Queue writes."""
        ...

    def add_provider(self, provider: Callable[[], list[wire.Op]]) -> None:
        """Add a source of all that a new cache should have."""
        ...


class PeersHalf:
    """`start` and `stop` once; the rest from any thread. `on_change` is called when `services` changed."""

    def __init__(
        self,
        place: Places,
        settings: Settings,
        own: OwnRecords,
        writer: Writer,
        client: Counter,
        run_local: Callable[[Request], Outcome],
    ) -> None:
        self._place = place
        self._settings = settings
        self._own = own
        self._writer = writer
        self._counter = client
        self._run_local = run_local
        self._lock = threading.RLock()
        self._board = Board()
        self._clerk: Clerk | None = None
        self._engine: Engine | None = None
        self._embedded: EmbeddedServer | None = None
        self._interest: dict[str, list[Kind]] = {}
        self._running_with: object = None
        writer.add_provider(self._everything)
        own.listen(self._own_changed)

    # Life.

    def start(self) -> None:
        """Begin, with or without a fleet. Waits for nobody."""
        with self._lock:
            self._clerk = Clerk(self._counter)
            self._begin()

    def stop(self) -> None:
        """End within a second, whatever Redis does."""
        with self._lock:
            self._finish()
            if self._clerk:
                self._clerk.stop(0.2)
                self._clerk = None

    def reload(self, settings: Settings) -> None:
        """Take other settings, or another key, in place."""
        with self._lock:
            before, self._settings = self._settings, settings
            if self._engine:
                self._engine.ground.settings = settings
            if self._clerk and self._what_matters() != self._running_with:
                others = self._engine.others() if self._engine else []
                self._finish()
                if (before.redis.url, before.redis.prefix) != (settings.redis.url, settings.redis.prefix):
                    self._writer.submit(
                        [wire.Forget(name) for name in others]
                    )  # they were of another fleet, or of none
                self._begin()

    def _what_matters(self) -> object:
        """All that the connection to the fleet is made of."""
        settings = self._settings
        try:
            keys = tuple(keys_now(self._place))
        except TeleclaudeError as error:
            keys = (error.message.encode(),)
        return settings.redis, settings.fleet.embedded, keys

    def _begin(self) -> None:
        self._running_with = self._what_matters()
        self._board.clear()
        url = self._settings.redis.url
        try:
            keys = keys_now(self._place) if url else []
            if not url:
                self._board.show("redis", "off", "no fleet: `teleclaude fleet create` makes one")
            elif not keys:
                self._board.show("redis", "down", "no key for the fleet: `teleclaude fleet join` brings one")
            else:
                self._begin_engine(keys)
        except (TeleclaudeError, sqlite3.Error, OSError) as error:
            log.exception("the fleet cannot be joined")
            self._board.show("redis", "down", f"the fleet cannot be joined: {error}")

    def _begin_engine(self, keys: list[bytes]) -> None:
        from teleclaude.sync.fleet.build import build_engine  # noqa: PLC0415  (Redis and NaCl only with a fleet)

        assert self._clerk is not None  # noqa: S101  (start made it)
        if self._settings.fleet.embedded:
            from teleclaude.sync.fleet.redis.embedded_server import EmbeddedServer  # noqa: PLC0415

            self._embedded = EmbeddedServer(self._place.state, self._settings, self._board)
            self._embedded.start()
        self._engine = build_engine(
            self._place, self._settings, keys, self._own, self._writer, self._clerk, self._run_local, self._board
        )
        self._engine.set_interest(self._interest)
        self._engine.start()

    def _finish(self) -> None:
        engine, self._engine = self._engine, None
        if engine:
            engine.stop(STOP_WITHIN)
        embedded, self._embedded = self._embedded, None
        if embedded:
            embedded.stop()

    # Doors.

    @property
    def on_change(self) -> Callable[[], None]:
        """Called when `services` changed, from any thread; must be quick."""
        return self._board.on_change

    @on_change.setter
    def on_change(self, callback: Callable[[], None]) -> None:
        self._board.on_change = callback

    def services(self) -> list[Service]:
        """How Redis is, and what else of the fleet a person should know."""
        return self._board.all()

    @property
    def is_reachable(self) -> bool:
        """Whether other computers can be asked now: a look at this one does not fail because they cannot."""
        engine = self._engine
        return engine is not None and not engine.trouble

    def submit(self, request: Request) -> None:
        """Take a command for another computer, or a refresh of all; the outcome goes to the cache. Never waits."""
        engine, clerk = self._engine, self._clerk
        if engine:
            engine.submit(request)
        elif clerk:
            clerk.finish(self._without_fleet(request))

    def _without_fleet(self, request: Request) -> Outcome:
        is_for_all = isinstance(request.args, Refresh) and request.computer in {"", "*", self._own.computer}
        if is_for_all:
            return Outcome(id=request.id, status="ok")
        reason = next((service.reason for service in self._board.all() if service.name == "redis"), "")
        if self._settings.redis.url:
            return failed(request.id, Unavailable(f"{request.computer} cannot be reached: {reason}"))
        return failed(request.id, NotFound(f"no computer is called {request.computer!r}: {reason}", field="computer"))

    def interest(self, interest: Mapping[str, list[Kind]]) -> None:
        """Say all that clients here look at: computer, or "*", to kinds. Never waits."""
        self._interest = {name: list(kinds) for name, kinds in interest.items()}
        if self._engine:
            self._engine.set_interest(self._interest)

    def output(self, screen: wire.OutputFrame) -> None:
        """Show the screen of a session here to the computers that watch it. Never waits."""
        engine = self._engine
        if engine:
            engine.post(lambda: engine.fleet.serving.show(screen))

    @property
    def counters(self) -> dict[str, int]:
        """Numbers for the metrics: `dropped_REASON`, and what was done."""
        engine = self._engine
        if engine is None:
            return {}
        drops = {f"dropped_{reason}": count for reason, count in engine.ground.drops.counts().items()}
        return {**drops, **dict(engine.ground.numbers)}

    def _own_changed(self, change: OwnChange) -> None:
        engine = self._engine
        if engine:
            engine.own_changed(change)

    def _everything(self) -> list[wire.Op]:
        engine = self._engine
        return engine.everything() if engine else []


def home_of(state: Path) -> str:
    """Name a machine (since its boot) and a state folder on it: what a cloned disk does not share."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    found = state.stat()
    return hashlib.sha256(f"{boot} {found.st_dev} {found.st_ino}".encode()).hexdigest()[:16]
