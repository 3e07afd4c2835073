"""The parts together, without the connection: what one of them learns, the others are told here.

Every method is called in the engine's thread, under its lock. Nothing here waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from teleclaude.cache import wire
from teleclaude.core.records import Computer, Kind
from teleclaude.sync.fleet.context import Ground, RunLocal
from teleclaude.sync.fleet.membership.heartbeat import Pulse
from teleclaude.sync.fleet.membership.name_claim import Name
from teleclaude.sync.fleet.membership.peers import Peer, Word
from teleclaude.sync.fleet.owner.journal import Journal
from teleclaude.sync.fleet.owner.request_server import Serving
from teleclaude.sync.fleet.remote_commands import Commanding
from teleclaude.sync.fleet.replication.puller import Asking
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.fleet.wire.messages import Envelope, Hello

log = logging.getLogger(__name__)

FORGET_AFTER_LOOK = 10.0  # seconds after connecting: nobody is forgotten before he could be heard
ANXIOUS = 120.0  # seconds for which somebody who went is looked for often
SWEEP_EVERY = 0.5  # seconds between looks at whether awaited kinds of all computers are shown as such


class Fleet:
    """See the module. `busy_until`: the inbox is read while it may bring something."""

    def __init__(
        self, ground: Ground, journal: Journal, name: Name, home: str, run: RunLocal, later: Callable[..., None]
    ) -> None:
        self.ground = ground
        self.pulse = Pulse(ground, name, home, is_cluster=ground.settings.redis.cluster)
        self.asking = Asking(ground)
        self.commanding = Commanding(ground, self.asking)
        self.serving = Serving(ground, journal, run, later)
        self.pulse.heard = self._heard
        self.asking.wonder = self.pulse.look_soon
        self.serving.greeted = self._greeted
        self.serving.left = self._left
        self._shown: dict[str, Computer] = {}
        self._sweep_at = 0.0

    # What the connection does.

    def connection_is_new(self, found: bytes = b"") -> None:
        """There is a new connection, or Redis was emptied: what may be lost is asked for and told again.

        `found`: the heartbeat under this computer's name, which was judged and may be replaced.
        """
        self.pulse.connected(clock(), found)
        self.asking.connection_is_new()
        self.commanding.connection_is_new()
        self.serving.connection_is_new()

    def greet(self) -> None:
        """Tell those who look at this computer that it is back."""
        ground = self.ground
        self.pulse.greet([peer.name for peer in ground.roster.peers.values() if peer.looks_at(ground.me)])

    def needs_inbox(self, now: float) -> bool:
        """Tell whether the inbox may bring something that somebody here waits for."""
        needs = self.commanding.needs_inbox(now)
        return needs or bool(self.asking.interest)

    def due(self, now: float) -> float:
        """Put into the outbox all that is due; give the seconds until more is."""
        clients, watched = bool(self.asking.interest), bool(self.serving.subscribers)
        self.ground.try_again(now)
        due_in = self.pulse.due(now, clients=clients, watched=watched)
        self.serving.due(now)
        self.commanding.due(now)
        self.asking.due(now)
        return max(0.0, due_in)

    def expire(self, now: float, *, connected_for: float, trouble: str) -> None:
        """Let leases run out; forget who is long gone. `connected_for`: seconds; below 0: not connected.

        `trouble`: why there has been no connection for longer than a moment.
        """
        for peer in self.ground.roster.expire(now):
            self._offline(peer)
        if connected_for > FORGET_AFTER_LOOK:
            for name in self.ground.roster.forget(now, self.pulse.forget_after()):
                self.asking.replicas.forget(name)
                self._shown.pop(name, None)
        if connected_for < 0:
            self.commanding.expire()
        if trouble:
            self.commanding.fail_unsent(f"the fleet cannot be reached: {trouble}")

    # What clients here do.

    def set_interest(self, interest: Mapping[str, list[Kind]]) -> None:
        """Say all that clients here look at."""
        had = bool(self.asking.interest)
        if not self.asking.set_interest(interest):
            return
        self.pulse.interested_in = self.asking.told_to_all()
        self.asking.interest_changed(self.pulse.beat + 1)
        self.pulse.soon()
        if not had:
            self.pulse.look_soon()

    # What other computers do.

    def _heard(self, peer: Peer, word: Word) -> None:
        replicas, now = self.asking.replicas, clock()
        if word is Word.NEW:
            self.asking.peer_is_new(peer)
            self.commanding.peer_is_new(peer)
        replicas.ops += wire.put([self._record(peer, now)])
        self.serving.subscribers.beat(peer)
        replicas.heads(peer.name, peer.epoch, peer.heads, now, ordered=False)

    def _greeted(self, envelope: Envelope, hello: Hello) -> None:
        self.pulse.greeted(envelope, hello.heartbeat)

    def _left(self, envelope: Envelope) -> None:
        if self.ground.roster.leave(envelope):
            self._offline(self.ground.roster.peers[envelope.sender])

    def _offline(self, peer: Peer) -> None:
        log.info("%s is offline", peer.name)
        self.serving.subscribers.drop(peer.name)
        self.asking.replicas.lost(peer.name)
        self.asking.replicas.ops += wire.put([self._record(peer, clock())])
        if self.asking.wanted(peer.name):
            self.pulse.anxious_until = clock() + ANXIOUS

    # What the cache gets.

    def take_ops(self) -> list[wire.Op]:
        """Give the writes for the cache, and among them which kinds of which computers are still awaited."""
        replicas, roster, now = self.asking.replicas, self.ground.roster, clock()
        ops, names = self.asking.take_ops(), set(replicas.touched)
        replicas.touched.clear()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY
            names |= set(roster.peers)
        for name in names:
            peer, before = roster.peers.get(name), self._shown.get(name)
            if peer and before != self._record(peer, now):
                ops += wire.put([self._shown[name]])
        return ops

    def _record(self, peer: Peer, now: float) -> Computer:
        """The computer as it is to be shown from now on."""
        replicas = self.asking.replicas
        record = peer.record(replicas.awaited(peer.name, now), replicas.trouble(peer.name))
        self._shown[peer.name] = record
        return record

    def everything(self) -> list[wire.Op]:
        """All that is known of other computers, as writes for a new cache."""
        now, peers = clock(), self.ground.roster.peers.values()
        return wire.put([self._record(peer, now) for peer in peers]) + self.asking.replicas.everything()
