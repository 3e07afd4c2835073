"""Who is there: what follows when a computer comes, beats, goes or is forgotten, and what clients see of it. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from teleclaude.cache import wire
from teleclaude.core.records import Computer
from teleclaude.sync.fleet.membership.heartbeat import Heard, Heartbeats
from teleclaude.sync.fleet.membership.peers import Freshness, Peer, Peers
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.owner.request_server import RequestServer
from teleclaude.sync.fleet.owner.screen_server import ScreenServer
from teleclaude.sync.fleet.remote_commands import RemoteCommands
from teleclaude.sync.fleet.replication.puller import Puller
from teleclaude.sync.fleet.replication.screen_watches import ScreenWatches
from teleclaude.sync.fleet.wire.messages import Envelope, Goodbye

log = logging.getLogger(__name__)

FORGET_AFTER_LOOK = 10.0  # seconds after connecting: nobody is forgotten before he could be heard
ANXIOUS = 120.0  # seconds for which somebody who went is looked for often
SWEEP_EVERY = 0.5  # seconds between looks at whether awaited kinds of all computers are shown as such


class Presence:
    """Tells the other parts of the node what concerns them, and the cache what clients see."""

    def __init__(
        self,
        context: Context,
        peers: Peers,
        heartbeats: Heartbeats,
        puller: Puller,
        commands: RemoteCommands,
        server: RequestServer,
        screens: ScreenServer,
        watches: ScreenWatches,
    ) -> None:
        self._context, self._peers, self._heartbeats = context, peers, heartbeats
        self._puller, self._commands, self._server = puller, commands, server
        self._screens, self._watches = screens, watches
        self._shown: dict[str, Computer] = {}
        self._sweep_at = 0.0

    def hear(self, heard: Iterable[Heard]) -> None:
        """Take what heartbeats told."""
        for peer, freshness in heard:
            is_newcomer = self._heartbeats.is_new_here
            if freshness is Freshness.UNPROVEN or (freshness is Freshness.NEW and is_newcomer):
                self._commands.ask_for_life(peer)
            if not peer.online:
                continue
            if freshness is Freshness.NEW:
                self._puller.peer_is_new(peer)
                self._commands.peer_is_new(peer)
                self._watches.peer_is_new(peer)
            self._show(peer)
            self._server.subscribers.beat(peer)
            self._puller.replicas.heads(peer.name, peer.epoch, peer.heads, self._context.now, ordered=False)

    def goodbye(self, envelope: Envelope, body: Goodbye) -> None:
        """Take a goodbye: who left the fleet is shown no more."""
        name = envelope.sender
        if self._peers.leave(envelope):
            self._offline(self._peers.all[name])
            if body.left:
                self._peers.drop(name)
                self._forget(name)

    def expire(self, connected_for: float) -> None:
        """Let leases run out; forget who is long gone. `connected_for`: seconds, below 0 when not connected."""
        now = self._context.now
        for peer in self._peers.expire(now):
            self._offline(peer)
        if connected_for > FORGET_AFTER_LOOK:
            for name in self._peers.forget(now, self._heartbeats.forget_after()):
                self._forget(name)

    def _offline(self, peer: Peer) -> None:
        log.info("%s is offline", peer.name)
        self._server.subscribers.drop(peer.name)
        self._screens.drop(peer.name)
        self._puller.replicas.lost(peer.name)
        self._show(peer)
        if self._puller.wanted(peer.name):
            self._heartbeats.look_closely(ANXIOUS)

    def _forget(self, name: str) -> None:
        self._puller.replicas.forget(name)
        self._heartbeats.forgotten(name)
        self._shown.pop(name, None)

    # What the cache gets.

    def show_changes(self) -> None:
        """Write into the cache what came, and which kinds of which computers are still awaited."""
        ops, replicas, now = self._puller.take_ops(), self._puller.replicas, self._context.now
        names = set(replicas.touched)
        replicas.touched.clear()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY
            names |= set(self._peers.all)
        for name in names:
            peer, before = self._peers.all.get(name), self._shown.get(name)
            if peer and before != self._record(peer):
                ops += wire.put([self._shown[name]])
        self._context.cache(ops)

    def everything(self) -> list[wire.Op]:
        """All that is known of other computers, as writes for a new cache, and since when nobody heard of them."""
        peers, now = list(self._peers.all.values()), self._context.now
        ops = wire.put([self._record(peer) for peer in peers]) + self._puller.replicas.everything()
        return [*ops, *(wire.LastHeard(peer.name, max(0.0, now - peer.heard)) for peer in peers if peer.online)]

    def _show(self, peer: Peer) -> None:
        self._context.cache(self._puller.take_ops() + wire.put([self._record(peer)]))

    def _record(self, peer: Peer) -> Computer:
        """The computer as it is to be shown from now on."""
        replicas = self._puller.replicas
        record = peer.record(replicas.awaited(peer.name, self._context.now), replicas.trouble(peer.name))
        self._shown[peer.name] = record
        return record
