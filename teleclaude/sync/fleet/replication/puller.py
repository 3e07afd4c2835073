"""The reader's side: what clients here look at on other computers, and what comes of it."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from teleclaude.cache import wire
from teleclaude.core.records import Kind
from teleclaude.core.requests import Outcome
from teleclaude.replication.version import Verdict
from teleclaude.sync.fleet.context import Ground
from teleclaude.sync.fleet.membership.peers import EVERYWHERE, Peer
from teleclaude.sync.fleet.replication.replicas import PullNeeded, Replicas
from teleclaude.sync.fleet.wire.limits import OverLimit
from teleclaude.sync.fleet.wire.messages import (
    REQUEST_LIFE,
    Body,
    ChangeEvent,
    CommandAnswer,
    Envelope,
    Heads,
    InterestChange,
    Pull,
    PullAnswer,
    WatchedScreen,
)
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, Dropped
from teleclaude.sync.own_records import OWN_KINDS

log = logging.getLogger(__name__)

MEMORY = 10_000  # ids of messages that came
SWEEP_EVERY = 0.5  # seconds between looks at all owners; in between only at those that something happened to


class Asking:
    """Turns interest into pulls, and what comes back into cache writes."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.replicas = Replicas()
        self.interest: dict[str, list[Kind]] = {}
        self.beat = 0  # the beat that tells the present interest
        self._told: dict[str, tuple[str, list[Kind]]] = {}  # owner to (its epoch, the interest it knows)
        self._asked: OrderedDict[str, float] = OrderedDict()  # pull to when
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._sweep_at = 0.0
        self.answered: Callable[[Outcome, str], bool] = lambda _outcome, _sender: False
        self.clock_told: Callable[[str], None] = lambda _name: None
        self.wonder: Callable[[], None] = lambda: None

    # InterestChange.

    def set_interest(self, interest: Mapping[str, Iterable[Kind]]) -> bool:
        """Say all that clients here look at. True when it changed."""
        ground = self._ground
        found: dict[str, list[Kind]] = {name: sorted(kinds) for name, kinds in interest.items() if kinds}
        if found == self.interest:
            return False
        self.interest = found
        for name in ground.roster.peers:
            self.replicas.want(name, self.wanted(name))
        return True

    def wanted(self, name: str) -> list[Kind]:
        """Kinds of a computer that clients here look at."""
        both = {*self.interest.get(name, ()), *self.interest.get(EVERYWHERE, ())}
        return sorted(kind for kind in both if kind in OWN_KINDS)

    def told_to_all(self) -> dict[str, list[Kind]]:
        """The interest, as it stands in the heartbeat."""
        return {name: kinds for name, kinds in self.interest.items() if name != self._ground.me}

    def peer_is_new(self, peer: Peer) -> None:
        """A computer came, came back, or started anew: changes may be missing."""
        self.replicas.want(peer.name, self.wanted(peer.name))
        self.replicas.lost(peer.name)

    def connection_is_new(self) -> None:
        """The connection broke and is back: changes may be missing."""
        self.replicas.lost()

    # Out.

    def due(self, now: float) -> None:
        """Put into the outbox what is due: of those that something happened to, and now and then of all."""
        roster = self._ground.roster
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY
            names = list(roster.peers)
            self._tell_interest(now)
        else:
            names = list(self.replicas.touched)
        for needed in self.replicas.due([name for name in names if roster.online(name)], now):
            self._pull(needed, now)

    def interest_changed(self, beat: int) -> None:
        """The interest changed, and beat number `beat` will tell it: tell at once those who have to know."""
        self.beat = beat
        self._sweep_at = 0.0

    def _pull(self, needed: PullNeeded, now: float) -> None:
        peer = self._ground.roster.online(needed.owner)
        if peer is None:
            return
        interest = self.wanted(peer.name)
        self._told[peer.name] = (peer.epoch, interest)
        self.ask(
            peer,
            Pull(
                fresh=self._ground.fresh(peer, now),
                kinds=needed.kinds or (list(OWN_KINDS) if needed.look and not interest else []),
                have=needed.have,
                interest=interest,
                beat=self.beat,
                look=needed.look,
            ),
            needed.request,
            now,
        )

    def ask(self, peer: Peer, pull: Pull, request: str, now: float) -> None:
        """Send a pull."""
        self._ground.numbers["pulls"] += 1
        self._asked[request] = now
        while len(self._asked) > MEMORY:
            self._asked.popitem(last=False)
        self._ground.request(peer.name, pull, request, then=self._ground.noted)

    def _tell_interest(self, now: float) -> None:
        """Tell owners who know more than is looked at now; those who know less are told with the pull."""
        for name, (epoch, kinds) in list(self._told.items()):
            wanted = self.wanted(name)
            peer = self._ground.roster.online(name)
            if peer is None or peer.epoch != epoch:
                del self._told[name]
            elif set(kinds) - set(wanted):
                self._told[name] = (epoch, wanted)
                body = InterestChange(fresh=self._ground.fresh(peer, now), kinds=wanted, beat=self.beat)
                self._ground.request(name, body, then=self._ground.noted)

    # In.

    def receive(self, blob: bytes, now: float) -> None:
        """Take a message from the inbox."""
        sender = ""
        try:
            envelope, body = self._ground.seal.open(blob)
            sender = envelope.sender
            if envelope.recipient == EVERYBODY:
                raise Dropped("misaddressed", envelope.sender)
            self._remember(envelope)
            self._sample(envelope, body, now)
            self._take(envelope, body, now)
        except Dropped as dropped:
            self._ground.dropped(dropped)
        except OverLimit as error:
            self.replicas.over_limit(sender, error.reason)
            self._ground.drops.add(Dropped("limits", sender, error.reason))
        except ValueError:
            self._ground.drops.add(Dropped("forged", sender))

    def _remember(self, envelope: Envelope) -> None:
        if envelope.id in self._seen:
            raise Dropped("replayed", envelope.sender)
        self._seen[envelope.id] = None
        if len(self._seen) > MEMORY:
            self._seen.popitem(last=False)

    def _sample(self, envelope: Envelope, body: Body, now: float) -> None:
        peer = self._ground.roster.peers.get(envelope.sender)
        if peer and envelope.generation < peer.generation:
            raise Dropped("replayed", envelope.sender)
        if peer and peer.epoch == envelope.epoch:
            asked = self._asked.get(body.request) if isinstance(body, PullAnswer) else None
            peer.clock.sample(envelope.clock, now, error=float("inf") if asked is None else now - asked)

    def _take(self, envelope: Envelope, body: Body, now: float) -> None:
        owner, numbers = envelope.sender, self._ground.numbers
        match body:
            case ChangeEvent():
                verdict = self.replicas.apply(owner, envelope.epoch, body, time.time())
                numbers["events_" + verdict.value] += 1
                if verdict is Verdict.NEED_SNAPSHOT:
                    self._gap(envelope)
            case PullAnswer():
                self._land(envelope, body, now)
            case CommandAnswer():
                if not self.answered(body.outcome, owner):
                    raise Dropped("unasked", owner)
            case Heads():
                self.replicas.heads(owner, envelope.epoch, body.heads, now, ordered=True)
            case WatchedScreen():
                self._check_age(envelope, now)
                self._ground.desk.emit(wire.OutputFrame(owner, body.session_id, body.text))
            case _:
                raise Dropped("malformed", owner)

    def _check_age(self, envelope: Envelope, now: float) -> None:
        """Raise for what is not of now: the memory of ids does not reach back behind this process' start."""
        peer = self._ground.roster.peers.get(envelope.sender)
        if peer is None or peer.epoch != envelope.epoch:
            raise Dropped("epoch", envelope.sender)
        if envelope.clock < peer.clock.estimate(now) - REQUEST_LIFE:
            raise Dropped("expired", envelope.sender)

    def _gap(self, envelope: Envelope) -> None:
        peer = self._ground.roster.peers.get(envelope.sender)
        if peer is None or peer.epoch != envelope.epoch:
            self.wonder()  # it started anew, and its heartbeat was not read yet

    def _land(self, envelope: Envelope, body: PullAnswer, now: float) -> None:
        owner = envelope.sender
        if body.request not in self._asked:
            raise Dropped("unasked", owner)
        self.clock_told(owner)
        if body.refused:
            self.replicas.refused(owner, body.request, now)
            log.info("%s does not let this computer look: %s", owner, body.refused)
        elif self.replicas.land(owner, envelope.epoch, body.request, body.parts, now, time.time()):
            self._ground.numbers["snapshots"] += 1

    def take_ops(self) -> list[wire.Op]:
        """Give the cache writes that came of all this."""
        ops, self.replicas.ops = self.replicas.ops, []
        return ops
