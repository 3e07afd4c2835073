"""The other computers, as their heartbeats tell of them. Pure: times come as arguments, on this computer's clock.

Rules of this module:
- A computer is online for `LEASE` seconds after a beat that was not seen before. The same beat again, or an older one,
  is no sign of life; one that is known to have lain in Redis for a while counts from when it was written.
- Who was never heard before may be dead since long, and its beats old ones: they prolong nothing until a message came
  that can only have been made after this process began: an answer to its question, or a request for its epoch.
- Starts of a computer are counted (`generation`); what an earlier start said is old, for ever.
- What was known of a computer is never overwritten by nothing.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

import msgspec

from teleclaude.core.records import Computer, Kind, Service
from teleclaude.core.text import one_line
from teleclaude.sync.fleet.redis.redis_keys import HEARTBEAT_TTL
from teleclaude.sync.fleet.wire.clock import PeerClock
from teleclaude.sync.fleet.wire.messages import REQUEST_LIFE, Envelope, Fresh, Heartbeat

LEASE = float(HEARTBEAT_TTL)
PAST_LIMIT = 4096  # computers that were forgotten, of which the last beat is remembered
EVERYWHERE = "*"
MESSAGES_SERVICE = "messages"  # the reader's note on a computer: what it sends is not as it should be
_LASTING = ("user", "host", "tmux_socket", "role", "platform", "version")
_TEXT_LIMIT = 256  # characters


class Freshness(Enum):
    """How a heartbeat stands to what is known of its computer."""

    NEW = "new"  # a new computer, a new start of one, or one that was offline
    BEAT = "beat"
    UNPROVEN = "unproven"  # another beat of one of which nothing shows yet that it is not old
    REPEATED = "repeated"
    OLD = "old"


@dataclass
class Peer:
    """One other computer."""

    name: str
    epoch: str
    generation: int
    beat: int
    heard: float
    info: Computer
    last_seen: str
    heads: dict[Kind, int]
    interested_in: dict[str, list[Kind]]
    online: bool = True
    has_left: bool = False  # it said goodbye
    trouble: str = ""  # what is wrong with what it sends, for people
    last_key: float = 0.0  # of its user, on its clock; 0 for never
    clock: PeerClock = field(default_factory=PeerClock)

    def fresh(self, now: float, life: float = REQUEST_LIFE) -> Fresh:
        """Mark a request to it: for its present run, from now for `life` seconds on its clock."""
        at = self.clock.estimate(now)
        return Fresh(self.epoch, at, at + min(life, REQUEST_LIFE))

    def looks_at(self, name: str) -> list[Kind]:
        """Kinds of `name`'s records that somebody there looks at."""
        return sorted({*self.interested_in.get(name, ()), *self.interested_in.get(EVERYWHERE, ())})

    def record(self, awaited: tuple[Kind, ...] = (), trouble: str = "") -> Computer:
        """The computer as clients here see it. `trouble`: what is wrong with its rows, else with its messages."""
        reason = trouble or self.trouble
        wrong = (Service(name=MESSAGES_SERVICE, state="down", reason=reason),) if reason else ()
        return msgspec.structs.replace(
            self.info,
            name=self.name,
            status="online" if self.online else "offline",
            last_seen=self.last_seen,
            is_local=False,
            epoch=self.epoch,
            awaited=awaited if self.online else (),
            services=(*wrong, *self.info.services),
        )


class Peers:
    """All computers but `me`. `known`: those that clients know already; they are offline until they are heard."""

    def __init__(self, me: str, known: Iterable[Peer] = ()) -> None:
        self.me = me
        # The last beat of each may count once more, for it was heard with another key.
        self.all = {peer.name: dataclasses.replace(peer, online=False, epoch="", beat=peer.beat - 1) for peer in known}
        self._proven: OrderedDict[str, str] = OrderedDict()  # the epoch of each computer that was certainly live
        self._past: OrderedDict[str, tuple[int, int]] = OrderedDict()  # last (generation, beat) of who was forgotten

    def receive(self, envelope: Envelope, beat: Heartbeat, now: float, wall: str) -> Freshness:
        """Take a heartbeat, read at `now`; `wall` is the same moment as UTC text, for people."""
        name, known = envelope.sender, self.all.get(envelope.sender)
        at, last = (envelope.generation, beat.beat), self._last(name)
        if known is not None and at == last and envelope.epoch == known.epoch:
            return Freshness.REPEATED
        if last is not None and at <= last:
            return Freshness.OLD
        is_same = known is not None and known.epoch == envelope.epoch
        is_unproven = known is not None and is_same and not self.is_proven(known)
        peer = Peer(
            name,
            envelope.epoch,
            envelope.generation,
            beat.beat,
            known.heard if known and is_unproven else now,
            _merged(known.info if known else None, beat.info),
            wall,
            beat.heads,
            beat.interested_in,
            online=known.online if known and is_unproven else True,
            has_left=known.has_left if known and is_unproven else False,
            last_key=beat.last_key,
            clock=known.clock if known and is_same else PeerClock(),
        )
        peer.clock.sample(envelope.clock, now)
        self.all[name] = peer
        if is_unproven:
            return Freshness.UNPROVEN
        return Freshness.BEAT if known and is_same and known.online else Freshness.NEW

    def is_proven(self, peer: Peer) -> bool:
        """Tell whether a message showed that it lived since this process began."""
        return self._proven.get(peer.name) == peer.epoch

    def prove(self, name: str, epoch: str, at: float, now: float) -> bool:
        """Take note that a computer lived at `at`, by this clock, or some time later. True when that brings it back."""
        self._proven[name] = epoch
        self._proven.move_to_end(name)
        while len(self._proven) > PAST_LIMIT:
            self._proven.popitem(last=False)
        peer = self.all.get(name)
        if peer is None or peer.epoch != epoch:
            return False
        peer.heard = max(peer.heard, at)
        is_back = not peer.online and not peer.has_left and now - peer.heard < LEASE
        peer.online = peer.online or is_back
        return is_back

    def aged(self, name: str, generation: int, beat: int, written: float) -> None:
        """Take note that the beat that was received was written at `written`, and not when it was read."""
        peer = self.all.get(name)
        if peer and (peer.generation, peer.beat) == (generation, beat):
            peer.heard = min(peer.heard, written)

    def _last(self, name: str) -> tuple[int, int] | None:
        known = self.all.get(name)
        return (known.generation, known.beat) if known else self._past.get(name)

    def leave(self, envelope: Envelope) -> bool:
        """Take a goodbye. False when it is old."""
        peer = self.all.get(envelope.sender)
        if peer is None or not peer.online or (peer.epoch, peer.generation) != (envelope.epoch, envelope.generation):
            return False
        peer.online, peer.has_left = False, True
        peer.beat += 1_000_000  # the heartbeat that may still lie in Redis is no sign of life any more
        return True

    def expire(self, now: float) -> list[Peer]:
        """Take as offline whose lease ran out; give those."""
        late = [peer for peer in self.all.values() if peer.online and now - peer.heard >= LEASE]
        for peer in late:
            peer.online = False
        return late

    def forget(self, now: float, after: float) -> list[str]:
        """Forget who was not heard of for `after` seconds; give their names."""
        gone = [peer.name for peer in self.all.values() if not peer.online and now - peer.heard >= after]
        for name in gone:
            self.drop(name)
        return gone

    def drop(self, name: str) -> None:
        """Forget a computer; its heartbeats until now stay old."""
        peer = self.all.pop(name)
        self._past[name] = peer.generation, peer.beat
        while len(self._past) > PAST_LIMIT:
            self._past.popitem(last=False)

    def online(self, name: str) -> Peer | None:
        """The computer of that name, if it is online."""
        peer = self.all.get(name)
        return peer if peer and peer.online else None

    def has_trouble(self, name: str, reason: str) -> None:
        """Show, with a computer, what is wrong with what it sends; until its next heartbeat."""
        peer = self.all.get(name)
        if peer and reason:
            peer.trouble = reason

    def not_understood(self, name: str, reason: str, now: float) -> None:
        """Show a member whose messages this version cannot read as offline, with the reason; until it can be heard."""
        if name not in self.all:
            self.all[name] = Peer(name, "", -1, -1, now, Computer(name=name), "", {}, {}, online=False, trouble=reason)

    def next_change(self, now: float) -> float:
        """Seconds until a lease runs out."""
        return min((peer.heard + LEASE - now for peer in self.all.values() if peer.online), default=LEASE)


def _merged(known: Computer | None, told: Computer) -> Computer:
    """What is known of a computer after it told of itself; every text bounded, and safe to show."""
    found = {name: one_line(getattr(told, name), _TEXT_LIMIT) for name in _LASTING}
    kept = {name: text or getattr(known, name, "") for name, text in found.items()}
    return msgspec.structs.replace(told, **kept)
