"""What the parts of the peers half stand on together: who we are, where things go, and one outbox to Redis.

The parts (heartbeat, asking, serving) run in one thread, the engine's, under its lock. They never talk to Redis
themselves: they put commands into the outbox, which goes out as one pipeline at the end of each turn, and get the
answers in a later step of the same thread.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from teleclaude.cache import wire
from teleclaude.core.requests import Outcome, Request
from teleclaude.core.settings import Settings
from teleclaude.sync.fleet.membership.peers import Peer, Roster
from teleclaude.sync.fleet.redis.connection import Command, Value
from teleclaude.sync.fleet.redis.key_names import INBOX_LENGTH, INBOX_TTL, MESSAGES_LENGTH, OUTPUT_TTL, KeyNames
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.fleet.wire.messages import REQUEST_LIFE, Body, Fresh
from teleclaude.sync.fleet.wire.sealing import Dropped, Drops, Seal
from teleclaude.sync.own_records import OwnRecords

log = logging.getLogger(__name__)

Then = Callable[[Any], None]
RunLocal = Callable[[Request], Outcome]
NUMBERS = (
    "connects",
    "troubles",
    "flushes",
    "pulls",
    "snapshots",
    "events_pushed",
    "events_applied",
    "events_repeated",
    "events_need_snapshot",
    "commands_sent",
    "commands_run",
    "commands_refused",
    "refused_by_redis",
)
RETRY_EVERY = 1.0  # seconds between tries to write under a key that holds something else
TOLD_EVERY = 30.0  # seconds between lines in the log on that
KEPT_LIMIT = 2000  # commands that wait for Redis to come back


class Writer(Protocol):
    """What is needed of the writer into the cache."""

    def submit(self, ops: list[wire.Op]) -> None:
        """Queue writes."""
        ...


class Desk(Protocol):
    """Where outcomes and screens go that clients here wait for. Never waits."""

    def finish(self, outcome: Outcome) -> None:
        """Tell how a request ended."""
        ...

    def emit(self, screen: wire.OutputFrame) -> None:
        """Show a watched screen."""
        ...


@dataclass
class Parcel:
    """One command for Redis. `keep_until`: until then it is sent again when the connection broke."""

    command: Command
    then: Then | None = None
    keep_until: float = 0.0
    on_try: Callable[[], None] | None = None


class Outbox:
    """Commands that wait for the end of the turn."""

    def __init__(self) -> None:
        self._parcels: list[Parcel] = []

    def put(
        self,
        *command: Value,
        then: Then | None = None,
        keep_until: float = 0.0,
        on_try: Callable[[], None] | None = None,
    ) -> None:
        """Add one command."""
        self._parcels.append(Parcel(command, then, keep_until, on_try))

    def take(self) -> list[Parcel]:
        """Give all, and be empty."""
        taken, self._parcels = self._parcels, []
        return taken

    def keep(self, parcels: list[Parcel], now: float) -> None:
        """Take back those that are worth sending when Redis is back, before what was added since."""
        kept = [parcel for parcel in [*parcels, *self._parcels] if parcel.keep_until > now]
        self._parcels = kept[-KEPT_LIMIT:]


@dataclass
class Ground:
    """See the module."""

    own: OwnRecords
    writer: Writer
    desk: Desk
    keys: KeyNames
    seal: Seal
    settings: Settings
    drops: Drops = field(default_factory=Drops)
    outbox: Outbox = field(default_factory=Outbox)
    numbers: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(NUMBERS, 0)))

    deferred: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the roster."""
        self.roster = Roster(self.me)
        self._told_until = 0.0

    @property
    def me(self) -> str:
        """Name of this computer."""
        return self.own.computer

    def dropped(self, dropped: Dropped) -> None:
        """Count a message that is dropped; people see of its sender why, until its next heartbeat."""
        self.drops.add(dropped)
        peer = self.roster.peers.get(dropped.sender)
        if peer and dropped.detail:
            peer.trouble = dropped.detail

    def fresh(self, peer: Peer, now: float, life: float = REQUEST_LIFE) -> Fresh:
        """Mark a request to a computer: for its present run, from now for `life` seconds on its clock."""
        at = peer.clock.estimate(now)
        return Fresh(peer.epoch, at, at + min(life, REQUEST_LIFE))

    def request(
        self,
        name: str,
        body: Body,
        message_id: str = "",
        *,
        then: Then | None = None,
        on_try: Callable[[], None] | None = None,
        make: bool = True,
    ) -> None:
        """Put a message into another computer's messages; `make` them where they are not there."""
        blob = self.seal.seal(name, body, message_id)
        how = () if make else ("NOMKSTREAM",)
        key = self.keys.messages(name)
        command: tuple[Value, ...] = ("XADD", key, *how, "MAXLEN", "~", MESSAGES_LENGTH, "*", "m", blob)
        self.outbox.put(*command, then=then, on_try=on_try)

    def push(self, name: str, blob: bytes, *, expire: bool, then: Then | None = None) -> None:
        """Put a sealed message into another computer's inbox."""
        key = self.keys.inbox(name)

        def written(answer: Any) -> None:
            (then or self.noted)(answer)
            if expire and not isinstance(answer, Exception):
                self.outbox.put("EXPIRE", key, INBOX_TTL)  # not before: what is refused is not ours to keep alive

        self.outbox.put("XADD", key, "MAXLEN", "~", INBOX_LENGTH, "*", "m", blob, then=written)

    def answer(self, name: str, request_id: str, body: Body, now: float) -> None:
        """Leave an answer for its asker, and a note in its inbox.

        The note lies in the same stream as the events, so a snapshot has its place among them, and one blocked
        reader waits for all answers; the answer itself goes with its key after a minute, whoever did not fetch it.
        """
        until = now + OUTPUT_TTL
        blob = self.seal.seal(name, body)
        inbox = self.keys.inbox(name)
        self.outbox.put("SET", self.keys.output(name, request_id), blob, "EX", OUTPUT_TTL, keep_until=until)
        self._note_answer(inbox, request_id, until)

    def _note_answer(self, inbox: str, request_id: str, until: float) -> None:
        def written(answer: Any) -> None:
            self.noted(answer)
            if isinstance(answer, Exception):
                self.deferred.append((clock() + RETRY_EVERY, again))
            else:
                self.outbox.put("EXPIRE", inbox, INBOX_TTL, keep_until=until)

        def again() -> None:
            if clock() < until:
                self._note_answer(inbox, request_id, until)

        note: tuple[Value, ...] = ("XADD", inbox, "MAXLEN", "~", INBOX_LENGTH, "*", "a", request_id)
        self.outbox.put(*note, keep_until=until, then=written)

    def try_again(self, now: float) -> None:
        """Do what was put off, once its time has come."""
        waiting, self.deferred = self.deferred, []
        for at, step in waiting:
            if at <= now:
                step()
            else:
                self.deferred.append((at, step))

    def noted(self, answer: Any) -> None:
        """Take the answer to a command whose failure concerns one key of another computer only."""
        if isinstance(answer, Exception):
            self.numbers["refused_by_redis"] += 1
            if clock() >= self._told_until:
                self._told_until = clock() + TOLD_EVERY
                log.warning("Redis refused a write for another computer: %s", str(answer)[:200])
