"""What the parts of the node stand on together: who we are, what time it is, and one list of effects.

Pure. The parts never talk to Redis: they put commands among the effects, which the loop carries out at the end of the
turn, and take the answers as later events. `now` is this computer's own clock (wire/clock.py), as the last event told.
"""

from __future__ import annotations

import logging
from collections import Counter

import msgspec

from teleclaude.cache import wire
from teleclaude.core.records import Kind
from teleclaude.core.requests import Outcome
from teleclaude.core.settings import Settings
from teleclaude.sync.fleet.node_effects import (
    About,
    Effect,
    MessageWritten,
    NoteWritten,
    PushWritten,
    TellOutcome,
    ToCache,
    ToRedis,
    Value,
)
from teleclaude.sync.fleet.own_view import OwnView
from teleclaude.sync.fleet.redis.redis_keys import INBOX_LENGTH, MESSAGES_LENGTH, OUTPUT_TTL, KeyNames
from teleclaude.sync.fleet.wire.messages import Body
from teleclaude.sync.fleet.wire.sealing import Drops, Seal

log = logging.getLogger(__name__)

NUMBERS = (
    "connects",
    "troubles",
    "flushes",
    "stumbles",
    "pulls",
    "snapshots",
    "events_pushed",
    "events_applied",
    "events_repeated",
    "events_need_snapshot",
    "commands_sent",
    "commands_run",
    "commands_refused",
    "screens_sent",
    "screens_taken",
    "screens_missed",
    "refused_by_redis",
)
TOLD_EVERY = 30.0  # seconds between lines in the log on what Redis refused
KEPT_LIMIT = 2000  # commands that wait for Redis to come back


class Context:
    """See the module."""

    def __init__(self, own: OwnView, keys: KeyNames, seal: Seal, settings: Settings) -> None:
        self.own, self.keys, self.seal, self.settings = own, keys, seal, settings
        self.now = self.wall = 0.0
        self.is_connected = False
        self.interest: dict[str, list[Kind]] = {}  # all that clients here look at: a computer, or "*", to kinds
        self.drops = Drops()
        self.numbers: Counter[str] = Counter(dict.fromkeys(NUMBERS, 0))
        self._effects: list[Effect] = []
        self._kept: list[ToRedis] = []
        self._told_until = 0.0

    @property
    def me(self) -> str:
        """Name of this computer."""
        return self.own.computer

    # Effects.

    def want(self, effect: Effect) -> None:
        """Add an effect."""
        self._effects.append(effect)

    def take_effects(self) -> list[Effect]:
        """Give all effects, and have none."""
        taken, self._effects = self._effects, []
        return taken

    def write(self, *command: Value, about: About | None = None, keep_until: float = 0.0) -> None:
        """Send a command to Redis; while there is no connection, keep it if it is worth that, and drop it else."""
        effect = ToRedis(command, about, keep_until)
        if self.is_connected:
            self._effects.append(effect)
        elif keep_until > self.now:
            self._kept = [*self._kept, effect][-KEPT_LIMIT:]

    def disconnected(self, unsent: tuple[ToRedis, ...]) -> None:
        """The connection is gone: keep what is worth sending again, before what was kept since."""
        self.is_connected = False
        self._kept = [effect for effect in (*unsent, *self._kept) if effect.keep_until > self.now][-KEPT_LIMIT:]

    def connected(self) -> None:
        """There is a connection: send what was kept."""
        self.is_connected = True
        kept, self._kept = self._kept, []
        self._effects += [effect for effect in kept if effect.keep_until > self.now]

    def tell(self, outcome: Outcome) -> None:
        """Tell a client here how its command ended."""
        self._effects.append(TellOutcome(outcome))

    def cache(self, ops: list[wire.Op]) -> None:
        """Write into the cache."""
        if ops:
            self._effects.append(ToCache(ops))

    # Messages.

    def sealed(self, name: str, body: Body | msgspec.Raw, message_id: str = "") -> bytes:
        """Seal a message for a computer, or all."""
        return self.seal.seal(name, body, message_id, at=self.now)

    def request(self, name: str, body: Body, message_id: str = "", *, about: About | None = None) -> None:
        """Put a message into another computer's messages; nowhere, when it has none: it left."""
        blob, key = self.sealed(name, body, message_id), self.keys.messages(name)
        message: tuple[Value, ...] = ("NOMKSTREAM", "MAXLEN", "~", MESSAGES_LENGTH, "*", "m", blob)
        self.write("XADD", key, *message, about=about or MessageWritten())

    def push(self, name: str, body: Body | msgspec.Raw, *, expire: bool = False) -> None:
        """Put a message into another computer's inbox."""
        key, blob = self.keys.inbox(name), self.sealed(name, body)
        self.write("XADD", key, "MAXLEN", "~", INBOX_LENGTH, "*", "m", blob, about=PushWritten(name, expire))

    def answer(self, name: str, request_id: str, body: Body) -> None:
        """Leave an answer for its asker, and a note in its inbox.

        The note lies in the same stream as the events, so a snapshot has its place among them, and one blocked
        reader waits for all answers; the answer itself goes with its key after a minute, whoever did not fetch it.
        """
        until = self.now + OUTPUT_TTL
        blob, key = self.sealed(name, body), self.keys.output(name, request_id)
        self.write("SET", key, blob, "EX", OUTPUT_TTL, keep_until=until)
        self.note_answer(NoteWritten(name, request_id, until))

    def note_answer(self, note: NoteWritten) -> None:
        """Put the note of an answer into its asker's inbox."""
        key = self.keys.inbox(note.name)
        command: tuple[Value, ...] = ("XADD", key, "MAXLEN", "~", INBOX_LENGTH, "*", "a", note.request_id)
        self.write(*command, about=note, keep_until=note.until)

    def refused(self, reason: str) -> None:
        """Take note that Redis refused a command; that concerns one key of another computer only."""
        self.numbers["refused_by_redis"] += 1
        if self.now >= self._told_until:
            self._told_until = self.now + TOLD_EVERY
            log.warning("Redis refused a write for another computer: %s", reason[:200])
