"""The door for what other computers say: each message is opened and judged once, here, and handed to whom it concerns.

Pure. A message that is not as it should be is dropped and counted, and takes no other along, whatever is wrong with it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict

from teleclaude.core.verbs import Notify
from teleclaude.sync.fleet.membership.heartbeat import Heartbeats
from teleclaude.sync.fleet.membership.name_claim import NameClaim
from teleclaude.sync.fleet.membership.peers import Freshness, Peers
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.node_events import InboxCame, RequestsCame, ScreensCame
from teleclaude.sync.fleet.owner.replay_guard import Guard
from teleclaude.sync.fleet.owner.request_server import RequestServer
from teleclaude.sync.fleet.owner.screen_server import ScreenServer
from teleclaude.sync.fleet.presence import Presence
from teleclaude.sync.fleet.remote_commands import RemoteCommands
from teleclaude.sync.fleet.replication.puller import Puller
from teleclaude.sync.fleet.replication.screen_watches import ScreenWatches
from teleclaude.sync.fleet.wire.limits import OVERSIZED, OverLimit
from teleclaude.sync.fleet.wire.messages import (
    REQUEST_LIFE,
    Body,
    ChangeEvent,
    Clash,
    Command,
    CommandAnswer,
    Envelope,
    Goodbye,
    Heads,
    Hello,
    InterestChange,
    Pull,
    PullAnswer,
    ScreenEnd,
    ScreenUpdate,
    WatchScreens,
)
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, Dropped

log = logging.getLogger(__name__)

MEMORY = 10_000  # ids of messages that came through the inbox


class MessageDoor:
    """See the module."""

    def __init__(
        self,
        context: Context,
        peers: Peers,
        heartbeats: Heartbeats,
        claim: NameClaim,
        presence: Presence,
        puller: Puller,
        commands: RemoteCommands,
        server: RequestServer,
        screens: ScreenServer,
        watches: ScreenWatches,
    ) -> None:
        self._context, self._peers, self._heartbeats, self._claim = context, peers, heartbeats, claim
        self._presence, self._puller, self._commands, self._server = presence, puller, commands, server
        self._screens, self._watches = screens, watches
        self._guard = Guard(context.own.epoch)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def requests_came(self, event: RequestsCame) -> None:
        """Take entries of this computer's messages; each is acknowledged when it is done."""
        for entry, blob in event.entries:
            try:
                self._request(entry, blob)
            except Dropped as dropped:
                if not (event.again and dropped.reason in {"replayed", "epoch"}):
                    self._drop(dropped)
                self._server.acknowledge(entry)
            except Exception as error:  # noqa: BLE001  (no rule foresaw it; it is logged, and takes no other along)
                self._stumble(error)
                self._server.acknowledge(entry)

    def inbox_came(self, event: InboxCame) -> None:
        """Take messages from the inbox, in order."""
        for blob in event.blobs:
            sender = ""
            try:
                if blob.startswith(OVERSIZED):
                    self._puller.oversized(blob.removeprefix(OVERSIZED).decode("ascii", "replace"))
                    raise Dropped("limits")
                envelope, body = self._open(blob)
                sender = envelope.sender
                self._check_inbox(envelope, body)
                self._inbox_message(envelope, body)
            except Dropped as dropped:
                self._drop(dropped)
            except OverLimit as error:
                self._puller.replicas.over_limit(sender, error.reason)
                self._drop(Dropped("limits", sender, error.reason))
            except ValueError:
                self._drop(Dropped("forged", sender))
            except Exception as error:  # noqa: BLE001  (as above)
                self._stumble(error)

    def screens_came(self, event: ScreensCame) -> None:
        """Take updates of a screen, in order."""
        for blob in event.blobs:
            try:
                self._screen(event, blob)
            except Dropped as dropped:
                self._drop(dropped)
            except Exception as error:  # noqa: BLE001  (as above)
                self._stumble(error)

    def _screen(self, event: ScreensCame, blob: bytes) -> None:
        """Take an update: of this run of its owner, of now, and of the screen in whose place it lies."""
        envelope, body = self._open(blob, event.owner)
        peer, now = self._peers.all.get(event.owner), self._context.now
        if not isinstance(body, ScreenUpdate | ScreenEnd):
            raise Dropped("malformed", event.owner)
        if body.session_id != event.session_id:
            raise Dropped("forged", event.owner)
        if peer is None or (peer.epoch, peer.generation) != (envelope.epoch, envelope.generation):
            raise Dropped("epoch", event.owner)
        if envelope.clock < peer.clock.estimate(now) - REQUEST_LIFE:
            raise Dropped("expired", event.owner)  # nobody remembers which screens were shown before a watch began
        if isinstance(body, ScreenUpdate):
            self._watches.take(envelope, body)
        else:
            self._watches.end(envelope, body)

    def _drop(self, dropped: Dropped) -> None:
        self._context.drops.add(dropped)
        self._peers.has_trouble(dropped.sender, dropped.detail)

    def _stumble(self, error: Exception) -> None:
        log.error("a message could not be dealt with: it is dropped", exc_info=error)
        self._context.numbers["stumbles"] += 1
        self._drop(Dropped("malformed"))

    # Judging.

    def _open(self, blob: bytes, sender: str | None = None) -> tuple[Envelope, Body]:
        envelope, body = self._context.seal.open(blob, sender=sender, wall=self._context.wall)
        if envelope.recipient == EVERYBODY:
            raise Dropped("misaddressed", envelope.sender)
        return envelope, body

    def _check_request(self, envelope: Envelope, body: Body) -> None:
        """Judge a request: it is of now and new, and of another computer, unless it tells of a namesake."""
        if isinstance(body, Clash | InterestChange | Pull | Command | WatchScreens):
            self._guard.check(envelope.id, body.fresh, self._context.now, envelope.sender)
            self._prove(envelope, 0.0)  # it knew this run of this computer
        if (envelope.sender == self._context.me) != isinstance(body, Clash):
            raise Dropped("forged", envelope.sender)

    def _check_inbox(self, envelope: Envelope, body: Body) -> None:
        """Judge what came through the inbox, and learn its sender's clock."""
        now, sender = self._context.now, envelope.sender
        if envelope.id in self._seen:
            raise Dropped("replayed", sender)
        self._seen[envelope.id] = None
        if len(self._seen) > MEMORY:
            self._seen.popitem(last=False)
        peer = self._peers.all.get(sender)
        if peer and envelope.generation < peer.generation:
            raise Dropped("replayed", sender)
        if peer is None or peer.epoch != envelope.epoch:
            return
        asked = self._puller.asked_at(body.request) if isinstance(body, PullAnswer) else None
        if asked is not None:
            self._prove(envelope, asked)
        peer.clock.sample(envelope.clock, now, error=float("inf") if asked is None else now - asked)

    def _prove(self, envelope: Envelope, at: float) -> None:
        """Its sender lived at `at`, or later."""
        if self._peers.prove(envelope.sender, envelope.epoch, at, self._context.now):
            self._presence.hear([(self._peers.all[envelope.sender], Freshness.NEW)])

    # Handing over.

    def _request(self, entry: bytes, blob: bytes) -> None:
        envelope, body = self._open(blob)
        if self._server.is_under_way(envelope.id, entry):
            return  # handed over again; it is acknowledged when it ends
        self._check_request(envelope, body)
        sender, now = envelope.sender, self._context.now
        match body:
            case Command():
                self._server.command(entry, envelope, body)
                if isinstance(body.args, Notify):
                    self._heartbeats.look_soon()  # how many wait there has changed
                return  # acknowledged when its outcome is journaled
            case Pull():
                self._server.pull(entry, envelope, body)
                return  # likewise, if it has this computer look first
            case InterestChange():
                self._server.subscribers.told(sender, envelope.epoch, body.kinds, body.beat, now)
            case WatchScreens():
                self._screens.watch(envelope, body)
            case Hello():
                self._presence.hear(self._heartbeats.greeted(envelope, body.heartbeat))
            case Goodbye():
                self._presence.goodbye(envelope, body)
            case Clash():
                self._claim.has_namesake(body.host)
            case _:
                raise Dropped("malformed", sender)
        self._server.acknowledge(entry)

    def _inbox_message(self, envelope: Envelope, body: Body) -> None:
        owner = envelope.sender
        match body:
            case ChangeEvent():
                if not self._puller.event(envelope, body):
                    self._heartbeats.look_soon()  # it started anew, and its heartbeat was not read yet
            case PullAnswer():
                self._puller.land(envelope, body)
                peer = self._peers.all.get(owner)
                if peer and peer.epoch == envelope.epoch:
                    self._commands.clock_told(peer)
            case Heads():
                self._puller.replicas.heads(owner, envelope.epoch, body.heads, self._context.now, ordered=True)
            case CommandAnswer():
                if not self._commands.answered(body.outcome, owner):
                    raise Dropped("unasked", owner)
            case _:
                raise Dropped("malformed", owner)
