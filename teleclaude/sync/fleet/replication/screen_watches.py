"""The watcher's side of live output: which screens elsewhere clients here watch, and what is shown of them. Pure.

Rules of this module:
- An owner is told all that is watched there, at once when that changes and again every `RENEW_EVERY` seconds, each time
  with what is here of it: that keeps the lease, and brings back whatever was lost on the way.
- A screen is a replica of its rows (replication/replica.py), with one rule less: a gap does not empty it, for what is
  shown stays until there is something newer. The owner is asked for what is missing, at most every `ASK_EVERY` seconds.
- Who watches is not told of each update: the newest screen is shown, at most every `SHOW_EVERY` seconds, whatever the
  owner sends. Several clients here are one watcher there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from teleclaude.core.live_screen import CHARS, LiveScreen
from teleclaude.core.request_wire import OutputEndFrame, OutputFrame
from teleclaude.core.sgr import plain
from teleclaude.replication.change import Change
from teleclaude.replication.replica import Replica
from teleclaude.replication.version import Verdict, Version
from teleclaude.sync.fleet.membership.peers import Peer, Peers
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.node_effects import ReadScreens, ShowScreen
from teleclaude.sync.fleet.wire.messages import Envelope, ScreenEnd, ScreenUpdate, WatchScreens
from teleclaude.sync.fleet.wire.sealing import Dropped

RENEW_EVERY = 10.0  # seconds
ASK_EVERY = 0.5  # seconds
SHOW_EVERY = 0.100  # seconds
NEVER = float("inf")


class ScreenReplica:
    """What is here of one screen. `screen` is None before its first keyframe."""

    def __init__(self) -> None:
        self.screen: LiveScreen | None = None
        self._rows: Replica[int, str] = Replica()

    @property
    def version(self) -> Version:
        """Where it stands."""
        return self._rows.version

    def take(self, epoch: str, update: ScreenUpdate) -> Verdict:
        """Take an update; the screen is another one only when the verdict is APPLIED."""
        version = Version(epoch, update.number)
        is_keyframe = update.after is None
        verdict = self._keyframe(version, update) if is_keyframe else self._rows.apply(_change(version, update))
        if verdict is Verdict.APPLIED:
            rows = [self._rows.rows.get(place, "") for place in range(update.height)]
            if sum(map(len, rows)) > CHARS:  # small updates may have added up
                rows = [plain(row)[: CHARS // len(rows)] for row in rows]
            self.screen = LiveScreen(
                rows=tuple(rows), columns=update.columns, cursor=update.cursor, alternate=update.alternate
            )
        return verdict

    def _keyframe(self, version: Version, update: ScreenUpdate) -> Verdict:
        is_known = version == self.version
        is_taken = self._rows.replace(version, update.rows.items())
        return Verdict.APPLIED if is_taken and not is_known else Verdict.REPEATED


def _change(version: Version, update: ScreenUpdate) -> Change[int, str]:
    rows: dict[int, str | None] = dict(update.rows.items())
    return Change(version, update.after or 0, rows)


@dataclass
class WatchedScreen:
    """One screen, and whether and when it is to be shown."""

    replica: ScreenReplica = field(default_factory=ScreenReplica)
    is_new: bool = False
    show_at: float = 0.0


@dataclass
class ScreenOwner:
    """One computer some of whose screens are watched. `ask_at`: when it is told so, and what is here, the next time."""

    screens: dict[str, WatchedScreen] = field(default_factory=dict)
    ask_at: float = 0.0
    asked_at: float = float("-inf")


class ScreenWatches:
    """See the module."""

    def __init__(self, context: Context, peers: Peers) -> None:
        self._context, self._peers = context, peers
        self._owners: dict[str, ScreenOwner] = {}

    def __bool__(self) -> bool:
        """Tell whether anything is watched."""
        return any(owner.screens for owner in self._owners.values())

    # What is watched.

    def set_watched(self, watched: Iterable[tuple[str, str]]) -> None:
        """Take all that clients here watch elsewhere, as (computer, session id)."""
        wanted = frozenset((name, session_id) for name, session_id in watched if name != self._context.me)
        had = frozenset((name, session_id) for name, owner in self._owners.items() for session_id in owner.screens)
        if wanted == had:
            return
        for name, session_id in had - wanted:
            del self._owners[name].screens[session_id]
        for name, session_id in wanted - had:
            self._owners.setdefault(name, ScreenOwner()).screens[session_id] = WatchedScreen()
        for name, session_id in wanted ^ had:  # what lies there is of an earlier watch
            self._context.write("DEL", self._context.keys.screens(self._context.me, name, session_id))
            self._owners[name].ask_at = 0.0
        self._context.want(ReadScreens(wanted))

    def peer_is_new(self, peer: Peer) -> None:
        """A computer came, came back, or started anew: it knows of no watcher."""
        self._ask(peer.name)

    def connected(self) -> None:
        """The connection broke and is back, or Redis was emptied: something may be lost."""
        for name in self._owners:
            self._ask(name)

    def _ask(self, name: str) -> None:
        owner = self._owners.get(name)
        if owner:
            owner.ask_at = min(owner.ask_at, max(self._context.now, owner.asked_at + ASK_EVERY))

    # In.

    def take(self, envelope: Envelope, body: ScreenUpdate) -> None:
        """Take an update of a screen. Raises Dropped for one that nobody here watches."""
        watched = self._watched(envelope.sender, body.session_id)
        verdict = watched.replica.take(envelope.epoch, body)
        if verdict is Verdict.APPLIED:
            self._context.numbers["screens_taken"] += 1
            watched.is_new = True
        elif verdict is Verdict.NEED_SNAPSHOT:
            self._context.numbers["screens_missed"] += 1
            self._ask(envelope.sender)

    def end(self, envelope: Envelope, body: ScreenEnd) -> None:
        """Take that nothing more comes of a screen. Raises Dropped for one that nobody here watches."""
        self._watched(envelope.sender, body.session_id)
        frame = OutputEndFrame(envelope.sender, body.session_id, body.code, body.message)
        self._context.want(ShowScreen(frame))

    def _watched(self, name: str, session_id: str) -> WatchedScreen:
        owner = self._owners.get(name)
        watched = owner.screens.get(session_id) if owner else None
        if watched is None:
            raise Dropped("unasked", name)
        return watched

    # Out.

    def due(self) -> float:
        """Show, tell and ask what is due; give the time when more is."""
        now, due_at = self._context.now, NEVER
        for name, owner in list(self._owners.items()):
            for session_id, watched in owner.screens.items():
                due_at = min(due_at, self._show(name, session_id, watched))
            peer = self._peers.online(name)
            if peer and self._context.is_connected:
                if owner.ask_at <= now:
                    self._tell(owner, peer)
                due_at = min(due_at, owner.ask_at)
            if not owner.screens and (peer is None or owner.ask_at > now):
                del self._owners[name]
        return due_at

    def _show(self, name: str, session_id: str, watched: WatchedScreen) -> float:
        """Show a screen when it is time; give the time when it is."""
        screen = watched.replica.screen
        if not watched.is_new or screen is None:
            return NEVER
        if watched.show_at > self._context.now:
            return watched.show_at
        watched.is_new, watched.show_at = False, self._context.now + SHOW_EVERY
        self._context.want(ShowScreen(OutputFrame(name, session_id, screen)))
        return NEVER

    def _tell(self, owner: ScreenOwner, peer: Peer) -> None:
        now = self._context.now
        owner.asked_at, owner.ask_at = now, now + RENEW_EVERY
        has = {session_id: _number(watched, peer) for session_id, watched in owner.screens.items()}
        self._context.request(peer.name, WatchScreens(fresh=peer.fresh(now), sessions=has))


def _number(watched: WatchedScreen, peer: Peer) -> int:
    """The number of what is here of a screen, in this run of its owner."""
    version = watched.replica.version
    return version.number if version.epoch == peer.epoch else 0
