"""The reader's side: what clients here look at on other computers, and what comes of it. Pure."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from teleclaude.cache import wire
from teleclaude.core.records import Kind
from teleclaude.replication.version import Verdict
from teleclaude.sync.fleet.membership.peers import EVERYWHERE, Peer, Peers
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.replication.replicas import PullNeeded, Replicas
from teleclaude.sync.fleet.wire.messages import ChangeEvent, Envelope, InterestChange, Pull, PullAnswer
from teleclaude.sync.fleet.wire.sealing import Dropped
from teleclaude.sync.own_records import OWN_KINDS

log = logging.getLogger(__name__)

MEMORY = 10_000  # pulls that were sent
SWEEP_EVERY = 0.5  # seconds between looks at all owners; in between only at those that something happened to


class Puller:
    """Turns interest into pulls, and what comes back into cache writes."""

    def __init__(self, context: Context, peers: Peers) -> None:
        self._context = context
        self._peers = peers
        self.replicas = Replicas()
        self._beat = 0  # the beat that tells the present interest
        self._told: dict[str, tuple[str, list[Kind]]] = {}  # owner to (its epoch, the interest it knows)
        self._asked: OrderedDict[str, float] = OrderedDict()  # pull to when
        self._sweep_at = 0.0

    # Interest.

    def set_interest(self, interest: Mapping[str, Iterable[Kind]], beat: int) -> bool:
        """Say all that clients here look at; beat number `beat` will tell it. True when it changed."""
        found: dict[str, list[Kind]] = {name: sorted(kinds) for name, kinds in interest.items() if kinds}
        if found == self._context.interest:
            return False
        self._context.interest, self._beat = found, beat
        self._sweep_at = 0.0  # who has to know is told at once
        for name in self._peers.all:
            self.replicas.want(name, self.wanted(name))
        return True

    def wanted(self, name: str) -> list[Kind]:
        """Kinds of a computer that clients here look at."""
        interest = self._context.interest
        both = {*interest.get(name, ()), *interest.get(EVERYWHERE, ())}
        return sorted(kind for kind in both if kind in OWN_KINDS)

    def peer_is_new(self, peer: Peer) -> None:
        """A computer came, came back, or started anew: changes may be missing."""
        self.replicas.want(peer.name, self.wanted(peer.name))
        self.replicas.lost(peer.name)

    def connected(self) -> None:
        """The connection broke and is back: changes may be missing."""
        self.replicas.lost()

    # Out.

    def due(self) -> None:
        """Send what is due: to those that something happened to, and now and then to all."""
        now = self._context.now
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY
            names = list(self._peers.all)
            self._tell_interest()
        else:
            names = list(self.replicas.touched)
        for needed in self.replicas.due([name for name in names if self._peers.online(name)], now):
            self._pull(needed)

    def _pull(self, needed: PullNeeded) -> None:
        peer = self._peers.online(needed.owner)
        if peer is None:
            return
        interest = self.wanted(peer.name)
        self._told[peer.name] = (peer.epoch, interest)
        kinds = needed.kinds or (list(OWN_KINDS) if needed.look and not interest else [])
        fresh = peer.fresh(self._context.now)
        body = Pull(fresh=fresh, kinds=kinds, have=needed.have, interest=interest, beat=self._beat, look=needed.look)
        self._context.numbers["pulls"] += 1
        self._send(peer, body, needed.request)

    def ask_time(self, peer: Peer, request: str) -> None:
        """Ask a computer for its clock."""
        fresh, interest = peer.fresh(self._context.now), self.wanted(peer.name)
        self._send(peer, Pull(fresh=fresh, kinds=[], interest=interest, beat=self._beat), request)

    def _send(self, peer: Peer, pull: Pull, request: str) -> None:
        self._asked[request] = self._context.now
        while len(self._asked) > MEMORY:
            self._asked.popitem(last=False)
        self._context.request(peer.name, pull, request)

    def _tell_interest(self) -> None:
        """Tell owners who know more than is looked at now; those who know less are told with the pull.

        A pull under way was told before: should more be looked at again, its answer would be taken for current while
        its owner pushes nothing. So it is asked anew.
        """
        for name, (epoch, kinds) in list(self._told.items()):
            wanted = self.wanted(name)
            peer = self._peers.online(name)
            if peer is None or peer.epoch != epoch:
                del self._told[name]
            elif set(kinds) - set(wanted):
                self._told[name] = (epoch, wanted)
                self.replicas.ask_anew(name)
                fresh = peer.fresh(self._context.now)
                self._context.request(name, InterestChange(fresh=fresh, kinds=wanted, beat=self._beat))

    # In.

    def asked_at(self, request: str) -> float | None:
        """Time at which a pull was sent; None for one that was not."""
        return self._asked.get(request)

    def oversized(self, request: str) -> None:
        """The answer to a pull is too long to be read."""
        if request in self._asked:
            self.replicas.oversized(request, self._context.now)

    def event(self, envelope: Envelope, body: ChangeEvent) -> bool:
        """Take changes of an owner. False when that start of it is not known here, and a look at it is due.

        Raises ValueError for foreign rows, OverLimit for too many.
        """
        owner, context = envelope.sender, self._context
        verdict = self.replicas.apply(owner, envelope.epoch, body, context.wall)
        context.numbers["events_" + verdict.value] += 1
        if verdict is not Verdict.NEED_SNAPSHOT:
            return True
        peer = self._peers.all.get(owner)
        return peer is not None and peer.epoch == envelope.epoch

    def land(self, envelope: Envelope, body: PullAnswer) -> None:
        """Take the answer to a pull. Raises Dropped, ValueError, OverLimit."""
        owner, context = envelope.sender, self._context
        asked = self._asked.get(body.request)
        if asked is None:
            raise Dropped("unasked", owner)
        self.replicas.overtaken(owner, asked)
        if body.refused:
            self.replicas.refused(owner, body.request, context.now)
            log.info("%s does not let this computer look: %s", owner, body.refused)
        elif self.replicas.land(owner, envelope.epoch, body.request, body.parts, context.now, context.wall):
            context.numbers["snapshots"] += 1

    def take_ops(self) -> list[wire.Op]:
        """Give the cache writes that came of all this."""
        ops, self.replicas.ops = self.replicas.ops, []
        return ops
