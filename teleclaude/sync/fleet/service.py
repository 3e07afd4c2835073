"""The fleet, as the rest of the sync process sees it: the one door to all that concerns other computers.

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
from teleclaude.core.errors import NotFound, SettingsError, TeleclaudeError, Unavailable
from teleclaude.core.files import private_folder
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.paths import Places
from teleclaude.core.records import EVERYWHERE, Kind, Service
from teleclaude.core.requests import Outcome, Request, failed
from teleclaude.core.settings import Settings, load_in_force
from teleclaude.core.thread_group import fatal
from teleclaude.core.verbs import Refresh
from teleclaude.sync.fleet.board import Board
from teleclaude.sync.fleet.keyring import keys_now
from teleclaude.sync.fleet.node_events import NoticesGiven
from teleclaude.sync.fleet.outcome_sender import OutcomeSender, OutcomeTaker
from teleclaude.sync.fleet.owner.permissions import may
from teleclaude.sync.fleet.person import Person
from teleclaude.sync.own_records import OwnChange, OwnRecords

if TYPE_CHECKING:
    from teleclaude.core.session_notice import SessionNotice
    from teleclaude.sync.fleet.loop import Loop
    from teleclaude.sync.fleet.membership.peers import Peer
    from teleclaude.sync.fleet.redis.embedded_server import EmbeddedServer

log = logging.getLogger(__name__)

STOP_WITHIN = 0.8  # seconds
AGAIN_AFTER = 3.0  # seconds, where the fleet cannot be joined


class ProvidedWriter(Protocol):
    """What is needed of the writer into the cache."""

    def submit(self, ops: list[wire.Op]) -> None:
        """Queue writes."""
        ...

    def add_provider(self, provider: Callable[[], list[wire.Op]]) -> None:
        """Add a source of all that a new cache should have."""
        ...


class FleetService:
    """`start` and `stop` once; the rest from any thread.

    `run_local` runs a request here. `interest` gives all that clients here look at, `watched` all sessions whose
    screens they watch, as (computer, session id). From any thread `on_change` is called when `services` changed, and
    `watch_here` with all sessions here that other computers watch; both must be quick. `person` uses this computer.
    """

    def __init__(
        self,
        place: Places,
        settings: Settings,
        own: OwnRecords,
        writer: ProvidedWriter,
        outcomes: OutcomeTaker,
        run_local: Callable[[Request], Outcome],
        interest: Callable[[], Mapping[str, list[Kind]]],
        watched: Callable[[], frozenset[tuple[str, str]]] = frozenset,
        on_change: Callable[[], None] = lambda: None,
        watch_here: Callable[[frozenset[str]], None] = lambda _: None,
        person: Person | None = None,
    ) -> None:
        self._place = place
        self._settings = settings
        self._own = own
        self._writer = writer
        self._taker = outcomes
        self._run_local = run_local
        self._lock = threading.RLock()
        self._board = Board(on_change)
        self._outcomes: OutcomeSender | None = None
        self._loop: Loop | None = None
        self._embedded: EmbeddedServer | None = None
        self._interest, self._watched, self._watch_here = interest, watched, watch_here
        self._person = person
        self._running_with: object = None
        self._again: threading.Timer | None = None
        self._reason = ""  # why it could not begin
        writer.add_provider(self._everything)
        own.listen(self._own_changed)

    # Life.

    def start(self) -> None:
        """Begin, with or without a fleet. Waits for nobody."""
        with self._lock:
            self._outcomes = OutcomeSender(self._taker)
            self._begin()

    def stop(self) -> None:
        """End within a second, whatever Redis does. A computer that comes back under another name left the fleet."""
        with self._lock:
            self._finish(left=self._name_in_force() != self._own.computer)
            if self._outcomes:
                self._outcomes.stop(0.2)
                self._outcomes = None

    def _name_in_force(self) -> str:
        """This computer's name by now: another one is given to no process that runs, all are begun anew for it."""
        try:
            return load_in_force(self._place).computer.name
        except SettingsError:
            return self._own.computer

    def reload(self, settings: Settings) -> None:
        """Take other settings, or another key, in place."""
        with self._lock:
            before, self._settings = self._settings, settings
            if self._loop:
                self._loop.settings_changed(settings)
            if self._outcomes and self._what_matters() != self._running_with:
                self._begin_anew(before)

    def _begin_anew(self, before: Settings) -> None:
        """Begin with what there is now. Those of another fleet, or of one that this computer left, are shown no more.

        Those of this fleet stay, and are forgotten in time if they are not heard with the new key.
        """
        redis = self._settings.redis
        is_other = (before.redis.url, before.redis.prefix) != (redis.url, redis.prefix)
        others = self._finish(left=is_other)
        if is_other:
            self._writer.submit([wire.ForgetComputer(peer.name) for peer in others])
        self._begin([] if is_other else others)

    def _what_matters(self) -> object:
        """All that the connection to the fleet is made of."""
        settings = self._settings
        try:
            keys = tuple(keys_now(self._place))
        except TeleclaudeError as error:
            keys = (error.message.encode(),)
        return settings.redis, settings.fleet.embedded, keys

    def _begin(self, known: list[Peer] | None = None) -> None:
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
                self._begin_loop(known or [])
        except (TeleclaudeError, sqlite3.Error, OSError) as error:
            self._finish(left=False)
            self._cannot_begin(str(error), known)

    def _cannot_begin(self, reason: str, known: list[Peer] | None) -> None:
        """Tell why, once; and try again, for it may be a full disk, which needs no restart once it has space."""
        if reason != self._reason:
            log.error("the fleet cannot be joined: %s", reason)
        self._reason = reason
        self._board.show("redis", "down", f"the fleet cannot be joined: {reason}")
        self._again = threading.Timer(AGAIN_AFTER, self._begin_late, (known,))
        self._again.daemon = True
        self._again.start()

    def _begin_late(self, known: list[Peer] | None) -> None:
        with fatal("joining the fleet"), self._lock:
            if self._outcomes and not self._loop:
                self._begin(known)

    def _begin_loop(self, known: list[Peer]) -> None:
        # Redis and NaCl only with a fleet.
        from teleclaude.sync.fleet.loop import Loop, connecting
        from teleclaude.sync.fleet.members_file import make_seal
        from teleclaude.sync.fleet.node import Node
        from teleclaude.sync.fleet.own_view import OwnView
        from teleclaude.sync.fleet.owner.journal import Journal
        from teleclaude.sync.fleet.redis.embedded_server import EmbeddedServer
        from teleclaude.sync.fleet.redis.redis_keys import KeyNames

        assert self._outcomes is not None  # noqa: S101  (start made it)
        own, settings = self._own, self._settings
        if settings.fleet.embedded:
            self._embedded = EmbeddedServer(self._place.state, settings, self._board)
            self._embedded.start()
        private_folder(self._place.state)
        journal = Journal(self._place.state / "journal.db")
        journal.prune()
        node = Node(
            OwnView(own.computer, own.epoch, own.described),
            KeyNames(settings.redis.prefix),
            make_seal(self._place, own.computer, own.epoch, journal.next_generation()),
            settings,
            home_of(self._place.state),
            known=known,
            trouble=connecting(settings.redis),
        )
        self._reason = ""
        self._loop = Loop(
            node,
            own,
            journal,
            self._run_local,
            self._writer,
            self._outcomes,
            self._board,
            self._watch_here,
            self._person,
        )
        self._loop.interest_changed(self._interest())
        self._loop.watch_changed(self._watched())
        self._loop.start()

    def _finish(self, *, left: bool) -> list[Peer]:
        """End what runs; give the computers that it knew."""
        if self._again:
            self._again.cancel()
        loop, self._loop = self._loop, None
        others = loop.others() if loop else []
        if loop:
            loop.stop(STOP_WITHIN, left=left)
        embedded, self._embedded = self._embedded, None
        if embedded:
            embedded.stop()
        return others

    # Doors.

    def services(self) -> list[Service]:
        """How Redis is, and what else of the fleet a person should know."""
        return self._board.all()

    @property
    def is_reachable(self) -> bool:
        """Whether other computers can be asked now: a look at this one does not fail because they cannot."""
        return (loop := self._loop) is not None and not loop.trouble

    def submit(self, request: Request) -> None:
        """Take a command for another computer, or a refresh of all; the outcome goes to the cache. Never waits."""
        loop, outcomes = self._loop, self._outcomes
        if loop:
            loop.submit(request)
        elif outcomes:
            outcomes.finish(self._without_fleet(request))

    def _without_fleet(self, request: Request) -> Outcome:
        is_for_all = isinstance(request.args, Refresh) and request.computer == EVERYWHERE
        if is_for_all:
            return Outcome(id=request.id, status="ok")
        reason = next((service.reason for service in self._board.all() if service.name == "redis"), "")
        if self._settings.redis.url:
            return failed(request.id, Unavailable(f"{request.computer} cannot be reached: {reason}"))
        return failed(request.id, NotFound(f"no computer is called {request.computer!r}: {reason}", field="computer"))

    def may_be_answered(self) -> bool:
        """Tell whether a computer looks at this one that may answer what an agent asks here."""
        loop = self._loop
        names = loop.node.server.subscribers.names() if loop else []
        return any(may(self._settings.fleet, name, "approve") for name in names)

    def interest_changed(self) -> None:
        """Say that clients here look at something else. Never waits."""
        if loop := self._loop:
            loop.interest_changed(self._interest())

    def watch_changed(self) -> None:
        """Say that clients here watch other screens. Never waits."""
        if loop := self._loop:
            loop.watch_changed(self._watched())

    def notify(self, notices: list[SessionNotice]) -> bool:
        """Tell the user of sessions here, wherever he is. False when there is no fleet. Never waits."""
        if loop := self._loop:
            loop.mailbox.put(NoticesGiven(notices))
        return loop is not None

    def output(self, session_id: str, found: LiveScreen | TeleclaudeError) -> None:
        """Show the screen of a session here, or why there is none, to the computers that watch it. Never waits."""
        if loop := self._loop:
            loop.screen_changed(session_id, found)

    @property
    def counters(self) -> dict[str, int]:
        """Numbers for the metrics: `dropped_REASON`, and what was done."""
        return loop.counters() if (loop := self._loop) else {}

    def _own_changed(self, _kind: Kind, _change: OwnChange) -> None:
        if loop := self._loop:
            loop.mailbox.nudge()  # it asks what changed since it asked last

    def _everything(self) -> list[wire.Op]:
        return loop.everything() if (loop := self._loop) else []


def home_of(state: Path) -> str:
    """Name a machine (since its boot) and a state folder on it: what a cloned disk does not share."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    found = state.stat()
    return hashlib.sha256(f"{boot} {found.st_dev} {found.st_ino}".encode()).hexdigest()[:16]
