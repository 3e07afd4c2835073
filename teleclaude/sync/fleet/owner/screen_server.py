"""The owner's side of live output: who watches which screens here, and what each of them is to be told. Pure.

Rules of this module:
- A computer watches while its lease runs: it says all that it watches again in time, and then has `LEASE` seconds more.
- What it is told first is a keyframe, all rows; then the rows that changed since that keyframe. So an update may be
  lost without harm; who misses the keyframe sees the gap (replication/version.py: its `after` is not reached) and says
  what it has, and so does who has less than it was sent. Once most rows differ, the next keyframe comes anyway.
- Only the newest is sent, to each watcher at most every `EVERY` seconds; what was in between is never told.
- Numbers grow over all sessions of a run, so that no older screen is ever taken for a newer one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from teleclaude.core.errors import Refused, TeleclaudeError
from teleclaude.core.live_screen import LiveScreen
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.node_effects import ScreenWritten, WatchHere
from teleclaude.sync.fleet.node_events import Answer, Refusal
from teleclaude.sync.fleet.owner import permissions
from teleclaude.sync.fleet.redis.redis_keys import SCREENS_LENGTH, SCREENS_TTL
from teleclaude.sync.fleet.wire.messages import Envelope, ScreenEnd, ScreenUpdate, WatchScreens

LEASE = 30.0  # seconds
EVERY = 0.100  # seconds
RETRY_EVERY = 1.0  # seconds until a screen is sent again that Redis refused
NEVER = float("inf")


class ScreenSource:
    """The screen of one session, and when each of its rows changed last."""

    def __init__(self) -> None:
        self.screen = LiveScreen()
        self.number = 0
        self._changed: list[int] = []  # by row: the number of the screen with which it changed

    def take(self, screen: LiveScreen, number: int) -> None:
        """Take the next screen; its number is above all before."""
        before = self.screen.rows
        if len(before) != len(screen.rows):
            self._changed = [number] * len(screen.rows)
        else:
            for place, (old, new) in enumerate(zip(before, screen.rows, strict=True)):
                if old != new:
                    self._changed[place] = number
        self.screen, self.number = screen, number

    def update(self, session_id: str, after: int) -> ScreenUpdate:
        """Give what changed after a number; all rows, when that is most of them."""
        rows = {place: row for place, row in enumerate(self.screen.rows) if self._changed[place] > after}
        is_whole = not after or len(rows) * 2 > len(self.screen.rows)
        return ScreenUpdate(
            session_id=session_id,
            number=self.number,
            after=None if is_whole else after,
            rows=dict(enumerate(self.screen.rows)) if is_whole else rows,
            height=len(self.screen.rows),
            columns=self.screen.columns,
            cursor=self.screen.cursor,
            alternate=self.screen.alternate,
        )


@dataclass
class ToldUpTo:
    """What a watcher was sent of a session: up to `number`, since the keyframe `base`; 0 for nothing."""

    base: int = 0
    number: int = 0
    not_before: float = 0.0


@dataclass
class ScreenWatcher:
    """One computer that watches, in one run of it."""

    epoch: str
    until: float
    told: dict[str, ToldUpTo] = field(default_factory=dict)


class ScreenServer:
    """See the module."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._watchers: dict[str, ScreenWatcher] = {}
        self._sources: dict[str, ScreenSource] = {}
        self._number = 0
        self._said: frozenset[str] = frozenset()  # what this computer was told to watch

    def __bool__(self) -> bool:
        """Tell whether anybody watches."""
        return bool(self._watchers)

    # Who watches.

    def watch(self, envelope: Envelope, body: WatchScreens) -> None:
        """Take all that a computer watches, and what it has of it."""
        context, sender = self._context, envelope.sender
        known = self._watchers.get(sender)
        before = known.told if known and known.epoch == envelope.epoch else {}
        if why := self._why_not(sender):
            self.drop(sender)
            for session_id in body.sessions:
                permissions.note_watch(sender, envelope.id, session_id, "refused")
                self._end(sender, session_id, Refused(why))
            return
        for session_id in body.sessions.keys() - before.keys():
            permissions.note_watch(sender, envelope.id, session_id, "ok")
        told = {session_id: before.get(session_id, ToldUpTo()) for session_id in body.sessions}
        for session_id, number in body.sessions.items():
            if number < told[session_id].number:
                self._lacks(told[session_id], number)
        if told:
            self._watchers[sender] = ScreenWatcher(envelope.epoch, context.now + LEASE, told)
        else:
            self._watchers.pop(sender, None)
        self._say()

    def _lacks(self, told: ToldUpTo, number: int) -> None:
        """Have told again what was sent and did not arrive, or had not yet when the watcher said what it has."""
        told.number = number
        if number < told.base:
            told.base = 0

    def _why_not(self, name: str) -> str:
        """Say why a computer may watch nothing here; empty when it may."""
        context = self._context
        if not permissions.may(context.settings.fleet, name, "view"):
            return permissions.refusal(context.me, name, "view")
        return permissions.no_screens(context.me) if permissions.hides_screens(context.settings) else ""

    def settings_changed(self) -> None:
        """End the watches of those that may not watch any more."""
        for name, watcher in list(self._watchers.items()):
            if why := self._why_not(name):
                self.drop(name)
                for session_id in watcher.told:
                    self._end(name, session_id, Refused(why))

    def drop(self, name: str) -> None:
        """Tell a computer nothing more."""
        if self._watchers.pop(name, None):
            self._say()

    def _say(self) -> None:
        wanted = frozenset(session_id for one in self._watchers.values() for session_id in one.told)
        if wanted != self._said:
            self._said = wanted
            self._sources = {key: source for key, source in self._sources.items() if key in wanted}
            self._context.want(WatchHere(wanted))

    # What is told.

    def changed(self, session_id: str, found: LiveScreen | TeleclaudeError) -> None:
        """Take the screen of a session here, or why there is none."""
        if session_id not in self._said:
            return
        if isinstance(found, LiveScreen):
            self._number += 1
            self._sources.setdefault(session_id, ScreenSource()).take(found, self._number)
            return
        for name, watcher in self._watchers.items():
            if watcher.told.pop(session_id, None):
                self._end(name, session_id, found)
        self._watchers = {name: watcher for name, watcher in self._watchers.items() if watcher.told}
        self._say()

    def connected(self) -> None:
        """The connection broke and is back, or Redis was emptied: begin with keyframes."""
        for watcher in self._watchers.values():
            watcher.told = {session_id: ToldUpTo() for session_id in watcher.told}

    def due(self) -> float:
        """Send what is due; give the time when more is."""
        now, due_at = self._context.now, NEVER
        for name in [name for name, watcher in self._watchers.items() if watcher.until <= now]:
            self.drop(name)
        for name, watcher in self._watchers.items():
            due_at = min(due_at, watcher.until)
            for session_id, told in watcher.told.items():
                source = self._sources.get(session_id)
                if source is None or told.number >= source.number:
                    continue
                if told.not_before <= now:
                    self._send(name, session_id, source, told)
                else:
                    due_at = min(due_at, told.not_before)
        return due_at

    def _send(self, name: str, session_id: str, source: ScreenSource, told: ToldUpTo) -> None:
        now = self._context.now
        update = source.update(session_id, told.base)
        if update.after is None:
            told.base = update.number
        told.number, told.not_before = update.number, now + EVERY
        self._context.numbers["screens_sent"] += 1
        self._write(name, session_id, self._context.sealed(name, update))

    def _end(self, name: str, session_id: str, error: TeleclaudeError) -> None:
        end = ScreenEnd(session_id=session_id, code=error.code, message=error.message)
        self._write(name, session_id, self._context.sealed(name, end))

    def _write(self, name: str, session_id: str, blob: bytes) -> None:
        about, key = ScreenWritten(name, session_id), self._key(name, session_id)
        self._context.write("XADD", key, "MAXLEN", "=", SCREENS_LENGTH, "*", "m", blob, about=about)

    def _key(self, name: str, session_id: str) -> str:
        return self._context.keys.screens(name, self._context.me, session_id)

    def written(self, about: ScreenWritten, answer: Answer) -> None:
        """Take what became of an update. One that Redis refused is sent again after a while, whole."""
        if not isinstance(answer, Refusal):  # each time: the watcher may have removed the stream just before
            self._context.write("EXPIRE", self._key(about.name, about.session_id), SCREENS_TTL)
            return
        self._context.refused(answer.reason)
        watcher = self._watchers.get(about.name)
        if watcher and about.session_id in watcher.told:
            watcher.told[about.session_id] = ToldUpTo(not_before=self._context.now + RETRY_EVERY)
