"""One computer of a fleet, in this process: real own records, writer, cache and peers half; no tmux.

`run_local` is the test's own: it notes each command that runs here.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from teleclaude.cache import wire
from teleclaude.cache.core import CacheCore, FeedSubscriber
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.core.files import write_atomic
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.paths import Places
from teleclaude.core.records import Computer, Kind, Record, Session
from teleclaude.core.request_wire import OutputFrame, WatchedFrame
from teleclaude.core.requests import Outcome, Request
from teleclaude.core.settings import FleetSettings, RedisSettings, Settings, parse
from teleclaude.core.verbs import Output, Rename, Start
from teleclaude.sync.cache_writer import CacheWriter
from teleclaude.sync.fleet.keyring import KeyRing, save_ring
from teleclaude.sync.fleet.loop import Loop
from teleclaude.sync.fleet.members_file import identity_file
from teleclaude.sync.fleet.service import FleetService
from teleclaude.sync.fleet.wire.identity import SigningKey
from teleclaude.sync.own_records import OwnRecords
from tests import make
from tests.wait import until

KEY = b"k" * 32


def seed_of(name: str) -> bytes:
    """The seed of the signing key that the computer of a name has in these tests."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def identity_of(name: str) -> SigningKey:
    """That signing key."""
    return SigningKey(seed_of(name))


class _Door:
    """The cache without its process."""

    def __init__(self, core: CacheCore) -> None:
        self.core = core

    def write(self, ops: list[wire.Op], *, flush: bool = False) -> tuple[str, int]:
        """Apply writes."""
        return self.core.write(ops)


class _Lane:
    """Takes what the peers half tells the cache of requests."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[Outcome]] = {}
        self.screens: list[OutputFrame] = []
        self.ends: list[WatchedFrame] = []

    def finish(self, outcome: Outcome) -> None:
        """Note an outcome."""
        self.outcomes.setdefault(outcome.id, []).append(outcome)

    def emit(self, screen: WatchedFrame) -> None:
        """Note a screen, or why there is none."""
        (self.screens if isinstance(screen, OutputFrame) else self.ends).append(screen)  # type: ignore[arg-type]


class Node:
    """A computer called `name`. `folder`: that of an earlier run, to start again in it.

    `identity`: whose signing key it has; that of its name when it is not said, and one of its own when it is empty.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        key: bytes = KEY,
        folder: Path | None = None,
        cluster: bool = False,
        identity: str | None = None,
    ) -> None:
        self.name = name
        self.folder = folder or Path(tempfile.mkdtemp(prefix="tcn", dir="/tmp"))
        self.place = Places(self.folder / "c", self.folder / "s", self.folder / "r")
        for path in (self.place.config, self.place.state, self.place.runtime):
            path.mkdir(mode=0o700, exist_ok=True)
        self.rename(name)
        if key:
            save_ring(self.place, KeyRing(key))
        identity = name if identity is None else identity
        if identity and not identity_file(self.place).exists():
            write_atomic(identity_file(self.place), seed_of(identity).hex().encode())
        self.settings = _settings(name, url, cluster=cluster)
        self.place.settings_file.write_text(f'[computer]\nname = "{name}"\n')
        self.core = CacheCore(DaemonCache(name))
        self.door = _Door(self.core)
        self.writer = CacheWriter(self.door)
        self.own = OwnRecords(name, self.writer.submit)
        self.writer.add_provider(self.own.everything)
        self.lane = _Lane()
        self.ran: list[Request] = []
        self.answer: Callable[[Request], Outcome] = self._done
        self.interest: dict[str, list[Kind]] = {}
        self.watched: frozenset[tuple[str, str]] = frozenset()
        self.watched_here: frozenset[str] = frozenset()
        self.half = FleetService(
            self.place,
            self.settings,
            self.own,
            self.writer,
            self.lane,
            self._run_local,
            lambda: self.interest,
            lambda: self.watched,
            watch_here=self._watch_here,
        )
        self._feed: FeedSubscriber = self.core.subscribe()
        self._writing = threading.Thread(target=self.writer.run, daemon=True)
        self._writing.start()

    def rename(self, name: str) -> None:
        """Have another name in the settings file; who runs keeps the one that it has."""
        self.place.settings_file.write_text(f'[computer]\nname = "{name}"\n', encoding="utf-8")

    def start(self) -> Node:
        """Begin, with one session and one project."""
        self.own.update_computer(Computer(name=self.name, is_local=True, host=f"{self.name}.lan", user="u"))
        self.own.update("projects", [make.project(owner=self.name)])
        self.sessions("one")
        self.own.filled()
        self.half.start()
        return self

    def sessions(self, *titles: str) -> None:
        """Have sessions of these titles, and no others."""
        self.own.update("sessions", [make.session(make.session_id(title), self.name, title=title) for title in titles])

    def look(self, computer: str = "*", *kinds: Kind) -> None:
        """Have a client that looks at kinds (sessions, when none is said) of a computer."""
        self.look_at({computer: list(kinds or ("sessions",))})

    def look_at(self, interest: dict[str, list[Kind]]) -> None:
        """Have clients that look at all this: computer to kinds."""
        self.interest = interest
        self.half.interest_changed()

    def look_away(self) -> None:
        """Have no client that looks at anything."""
        self.look_at({})

    def records(self, kind: Kind, computer: str) -> dict[str, Record]:
        """What the cache here has of a computer's kind."""

        def read(cache: DaemonCache) -> dict[str, Record]:
            shelf = cache._partitions.get((kind, computer))
            return dict(shelf.records) if shelf else {}

        return self.core.locked(read)

    def titles(self, computer: str) -> list[str]:
        """Titles of a computer's sessions, as the cache here has them."""
        found = self.records("sessions", computer).values()
        return sorted(record.title for record in found if isinstance(record, Session))

    def computer(self, name: str) -> Computer | None:
        """A computer, as the cache here has it."""
        found = self.records("computers", name).get(name)
        assert found is None or isinstance(found, Computer)
        return found

    def status(self, name: str) -> str:
        """Status of a computer, as the cache here has it; "absent" when there is none."""
        found = self.computer(name)
        return found.status if found else "absent"

    @property
    def loop(self) -> Loop:
        """The loop of the peers half, to look into and to hinder."""
        loop = self.half._loop
        assert loop is not None
        return loop

    def beat_now(self) -> None:
        """Have it beat at once."""
        with self.loop._lock:
            self.loop.node.heartbeats.soon()
        self.loop.mailbox.nudge()

    def redis(self) -> tuple[str, str]:
        """State and reason of the service `redis`."""
        found = next((service for service in self.half.services() if service.name == "redis"), None)
        return (found.state, found.reason) if found else ("", "")

    def is_ok(self) -> bool:
        """Tell whether Redis is reached."""
        return self.redis()[0] == "ok"

    def awaited(self, name: str) -> tuple[Kind, ...] | None:
        """Kinds of a computer that are still awaited, as the cache here has it."""
        found = self.computer(name)
        return found.awaited if found else None

    def ended(self, request: Request, timeout: float = 15.0) -> Outcome:
        """Wait for the outcome of a request of a client here, the only one."""
        [outcome] = until(lambda: self.lane.outcomes.get(request.id), timeout) or []
        return outcome

    def change_settings(self, *, redis: RedisSettings | None = None, fleet: FleetSettings | None = None) -> None:
        """Reload with other settings."""
        self.settings = msgspec.structs.replace(
            self.settings, redis=redis or self.settings.redis, fleet=fleet or self.settings.fleet
        )
        self.half.reload(self.settings)

    def rekey(self, key: bytes) -> None:
        """Have another key, and reload."""
        save_ring(self.place, KeyRing(key))
        self.half.reload(self.settings)

    def new_cache(self) -> None:
        """Have the cache's process start anew, empty."""
        self.core = self.door.core = CacheCore(DaemonCache(self.name))
        self.writer.seen_epoch(self.core.cache.version.epoch)

    def _done(self, request: Request) -> Outcome:
        """Give the answer of a command that ran as it should."""
        session = msgspec.to_builtins(make.session(make.session_id("one"), self.name))
        data: dict[type, dict[str, object]] = {
            Output: {"text": "a screen"},
            Start: {"session": session},
            Rename: {"session": session},
        }
        return Outcome(id=request.id, status="ok", data=data.get(type(request.args), {}))

    def _watch_here(self, session_ids: frozenset[str]) -> None:
        self.watched_here = session_ids

    def watch(self, computer: str, *titles: str) -> None:
        """Have clients that watch these sessions of a computer, and no others."""
        self.watched = frozenset((computer, make.session_id(title)) for title in titles)
        self.half.watch_changed()

    def show(self, title: str, *rows: str) -> LiveScreen:
        """Have a session here show that, to whoever watches it elsewhere."""
        screen = LiveScreen(rows=rows, columns=80)
        self.half.output(make.session_id(title), screen)
        return screen

    def _run_local(self, request: Request) -> Outcome:
        self.ran.append(request)
        return self.answer(request)

    def close(self, *, keep: bool = False) -> None:
        """End it."""
        self.half.stop()
        self.writer.stop()
        self._writing.join(5)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def _settings(name: str, url: str, *, cluster: bool) -> Settings:
    found = parse(f'[computer]\nname = "{name}"\n')
    return msgspec.structs.replace(found, redis=RedisSettings(url=url, cluster=cluster))
