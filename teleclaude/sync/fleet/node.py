"""One computer of the fleet, pure: what happens to it goes in, what it wants of the world comes out.

`receive(event, now)` gives effects, as data. There is no socket, thread, clock, lock or callback in here: loop.py has
them, and a test that plays a whole fleet in one thread has others. The parts do not know one another; what one learns
and another needs to know passes through this module.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from teleclaude.cache import wire
from teleclaude.core.settings import Settings
from teleclaude.core.verbs import Refresh
from teleclaude.sync.fleet import node_effects as effects
from teleclaude.sync.fleet import node_events as events
from teleclaude.sync.fleet.membership.heartbeat import Heartbeats
from teleclaude.sync.fleet.membership.name_claim import Claim, NameClaim, NameLease
from teleclaude.sync.fleet.membership.peers import Peer, Peers
from teleclaude.sync.fleet.message_door import MessageDoor
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.notice_router import NoticeRouter
from teleclaude.sync.fleet.own_view import OwnView
from teleclaude.sync.fleet.owner.request_server import RequestServer
from teleclaude.sync.fleet.owner.screen_server import ScreenServer
from teleclaude.sync.fleet.presence import Presence
from teleclaude.sync.fleet.redis.redis_keys import KeyNames
from teleclaude.sync.fleet.remote_commands import RemoteCommands
from teleclaude.sync.fleet.replication.puller import Puller
from teleclaude.sync.fleet.replication.screen_watches import ScreenWatches
from teleclaude.sync.fleet.wire.sealing import Seal

log = logging.getLogger(__name__)

BLIP = 2.0  # seconds without Redis for which a command waits; after that it is refused at once
TURN = 1.0  # seconds, at most, until the node wants to be woken
BUSY_TURN = 0.2  # the same while clients here look, or wait


class Node:
    """See the module. `home` names this machine and state folder; `known`: computers of which clients here know.

    `trouble`: why it is not connected at first, for people.
    """

    def __init__(
        self,
        own: OwnView,
        keys: KeyNames,
        seal: Seal,
        settings: Settings,
        home: str,
        *,
        known: Iterable[Peer] = (),
        trouble: str = "not connected yet",
    ) -> None:
        self.context = context = Context(own, keys, seal, settings)
        self.peers = peers = Peers(context.me, known)
        self.heartbeats = Heartbeats(context, peers, home, is_cluster=settings.redis.cluster)
        self.claim = NameClaim(context, NameLease(own.epoch, seal.generation, home))
        self.puller = Puller(context, peers)
        self.commands = RemoteCommands(context, peers, self.puller)
        self.server = RequestServer(context)
        self.screens, self.watches = ScreenServer(context), ScreenWatches(context, peers)
        live = self.screens, self.watches
        self.presence = Presence(context, peers, self.heartbeats, self.puller, self.commands, self.server, *live)
        self._door = MessageDoor(
            context, peers, self.heartbeats, self.claim, self.presence, self.puller, self.commands, self.server, *live
        )
        self.notices = NoticeRouter(context, peers, self.heartbeats, self.commands)
        self._trouble = trouble
        self._down_since = float("-inf")
        self._connected_at = 0.0
        self._reads_inbox = False
        self._unanswered = 0
        self._on = self._table()

    def _table(self) -> dict[type[events.Event], Callable[[Any], None]]:
        """What is done about each event."""
        return {
            events.RedisReached: self._reached,
            events.Joined: self._connected,
            events.ConnectionLost: self._disconnected,
            events.ReaderFailed: self._reader_failed,
            events.RedisAnswered: self._redis_answered,
            events.RedisEmptied: self._redis_emptied,
            events.InboxRemade: lambda _: self.puller.connected(),
            events.RequestsCame: self._door.requests_came,
            events.InboxCame: self._door.inbox_came,
            events.ScreensCame: self._door.screens_came,
            events.OwnFound: self._own_found,
            events.OwnChanged: self._own_changed,
            events.SelfDescribed: self._self_described,
            events.InterestChanged: self._interest_changed,
            events.WatchChanged: self._watch_changed,
            events.CommandGiven: self._command_given,
            events.RequestRan: lambda event: self.server.ran(event.outcome, has_run=event.has_run),
            events.ScreenChanged: lambda event: self.screens.changed(event.session_id, event.screen),
            events.KeyPressed: lambda event: self.notices.key_pressed(event.at),
            events.NoticesGiven: lambda event: self.notices.given(event.notices),
            events.SettingsChanged: self._settings_changed,
            events.Woken: self._woken,
            events.Stopping: self._stopped,
        }

    def receive(self, event: events.Event, now: float, wall: float) -> list[effects.Effect]:
        """Take what happened at `now`, and give what is to be done, in order. `wall`: seconds since 1970, for people.

        Effects are not put off: whatever is due is among those of a `Woken`, and the last of these says when to wake
        the node again.
        """
        self.context.now, self.context.wall = now, wall
        self._on[type(event)](event)
        return self.notices.sift(self.context.take_effects())

    # Questions.

    def trouble(self, now: float) -> str:
        """Say why the fleet cannot be reached; empty when it can, or could a moment ago."""
        return "" if self.context.is_connected or now - self._down_since <= BLIP else self._trouble

    def everything(self) -> list[wire.Op]:
        """All that is known of other computers, as writes for a new cache."""
        return self.presence.everything()

    # The connection.

    def _reached(self, event: events.RedisReached) -> None:
        found = event.heartbeat
        claim = self.claim.look(self.heartbeats.open_beat(self.context.me, found) if found else None)
        if claim is Claim.FREE:
            self.heartbeats.connected(found or b"")
            self.context.want(effects.TakeName())
        else:
            self._keep_silent(claim)

    def _keep_silent(self, claim: Claim) -> None:
        self._trouble = self.claim.reason(claim)
        self.context.want(effects.KeepSilent(self._trouble, self.claim.look_again_at()))

    def _connected(self, _: events.Joined) -> None:
        self.context.connected()
        self._connected_at = self.context.now
        self.context.numbers["connects"] += 1
        self._may_have_lost()
        self.heartbeats.due(clients=self._has_clients, watched=self._is_watched)

    @property
    def _has_clients(self) -> bool:
        """Whether clients here look at anything elsewhere."""
        return bool(self.context.interest or self.watches)

    @property
    def _is_watched(self) -> bool:
        """Whether others look at anything here."""
        return bool(self.server.subscribers or self.screens)

    def _may_have_lost(self) -> None:
        """What may be lost is asked for and told again."""
        self.puller.connected()
        self.commands.connected()
        self.server.connected()
        self.screens.connected()
        self.watches.connected()

    def _disconnected(self, event: events.ConnectionLost) -> None:
        if self.context.is_connected:
            self._down_since = self.context.now
        self._trouble = event.reason
        self.context.numbers["troubles"] += 1
        self.context.disconnected(event.unsent)

    def _reader_failed(self, event: events.ReaderFailed) -> None:
        if self.context.is_connected:
            self.context.want(effects.ConnectAnew(event.reason))

    def _redis_emptied(self, _: events.RedisEmptied) -> None:
        log.info("Redis was emptied: writing anew, and taking snapshots")
        self.context.numbers["flushes"] += 1
        self.heartbeats.connected()
        self._may_have_lost()
        self.context.want(effects.ReadInboxAnew())

    def _redis_answered(self, event: events.RedisAnswered) -> None:
        answer = event.answer
        match event.about:
            case effects.BeatWritten() as about:
                self._beat_written(about, answer)
            case effects.NameEntered():
                self._needs_own_key(answer)
                self.heartbeats.entered(answer)
            case effects.NamesRead():
                self._needs_own_key(answer)
                self.heartbeats.names_read(answer)
            case effects.BeatsRead() as about:
                self.presence.hear(self.heartbeats.beats_read(about, answer))
            case effects.BeatAge() as about:
                self.heartbeats.age_told(about, answer)
            case effects.PushWritten() as about:
                self.server.pushed(about, answer)
            case effects.NoteWritten() as about:
                self.server.note_written(about, answer)
            case effects.CommandWritten() as about:
                self.commands.written(about, answer)
            case effects.ScreenWritten() as about:
                self.screens.written(about, answer)
            case effects.MessageWritten():
                if isinstance(answer, events.Refusal):
                    self.context.refused(answer.reason)

    def _needs_own_key(self, answer: events.Answer) -> None:
        """A key without which this computer is not in the fleet is refused: connecting anew looks what is wrong."""
        if isinstance(answer, events.Refusal):
            self.context.want(effects.ConnectAnew(f"Redis refused a command: {answer.reason[:200]}"))

    def _beat_written(self, about: effects.BeatWritten, answer: events.Answer) -> None:
        self._needs_own_key(answer)
        if answer is None and about.before:
            self._redis_emptied(events.RedisEmptied())
        elif isinstance(answer, bytes) and answer != about.before:
            self._found_other_beat(answer)

    def _found_other_beat(self, blob: bytes) -> None:
        if self.claim.yields_to(self.heartbeats.open_beat(self.context.me, blob)):
            self.context.want(effects.ConnectAnew(self.claim.reason(Claim.TAKEN)))

    # This computer and its clients.

    def _own_found(self, event: events.OwnFound) -> None:
        self.context.own.found(event.kind, event.version, event.records)
        self.server.own_found(event.kind)

    def _own_changed(self, event: events.OwnChanged) -> None:
        self.context.own.changed(event.kind, event.change)
        self.server.own_changed(event.kind, event.change)

    def _self_described(self, event: events.SelfDescribed) -> None:
        self.context.own.me, self.context.own.is_filled = event.me, event.is_filled

    def _interest_changed(self, event: events.InterestChanged) -> None:
        had = bool(self.context.interest)
        if self.puller.set_interest(event.interest, self.heartbeats.beat + 1):
            self.heartbeats.soon()
            if not had:
                self.heartbeats.discover_soon()

    def _watch_changed(self, event: events.WatchChanged) -> None:
        had = self._has_clients
        self.watches.set_watched(event.watched)
        if self._has_clients and not had:
            self.heartbeats.discover_soon()

    def _command_given(self, event: events.CommandGiven) -> None:
        request, trouble = event.request, self.trouble(self.context.now)
        if trouble:
            self.commands.refuse(request, trouble)
            return
        self.commands.give(event)
        if isinstance(request.args, Refresh):
            self.heartbeats.discover_soon()

    def _settings_changed(self, event: events.SettingsChanged) -> None:
        self.context.settings = event.settings
        self.screens.settings_changed()

    # What is due.

    def _woken(self, _: events.Woken) -> None:
        now = self.context.now
        self._expire()
        wake_at = min(now + TURN, self.notices.due(), self.commands.due())
        if self.context.is_connected:
            wake_at = min(wake_at, self._due())
        self.presence.show_changes()
        self.context.want(effects.WakeAt(max(now + 0.001, wake_at)))

    def _due(self) -> float:
        clients = bool(self.context.interest)
        due_at = self.heartbeats.due(clients=self._has_clients, watched=self._is_watched)
        due_at = min(due_at, self.server.due(), self.screens.due(), self.watches.due())
        self.puller.due()
        reads_inbox = self.commands.needs_inbox() or clients
        if reads_inbox != self._reads_inbox:
            self._reads_inbox = reads_inbox
            self.context.want(effects.ReadInbox(reads_inbox))
        if self.puller.replicas.unanswered != self._unanswered:
            self._unanswered = self.puller.replicas.unanswered
            self.context.want(effects.ReadInboxAnew())  # a blocked connection may be dead without a sign
        return min(due_at, self.context.now + BUSY_TURN) if reads_inbox else due_at

    def _expire(self) -> None:
        """Let leases run out; end what cannot be sent."""
        now = self.context.now
        self.presence.expire(now - self._connected_at if self.context.is_connected else -1.0)
        trouble = self.trouble(now)
        if trouble:
            self.commands.cut_off(trouble)
        self.claim.due()

    # The end.

    def _stopped(self, event: events.Stopping) -> None:
        self.commands.fail_all("this computer's daemon stops")
        if self.context.is_connected:
            self.heartbeats.farewell(left=event.left)
