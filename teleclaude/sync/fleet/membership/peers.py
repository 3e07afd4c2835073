"""The other computers, as their heartbeats tell of them. Pure: times come as arguments, on this computer's clock.

Rules of this module:
- A computer is online for `LEASE` seconds after a beat that was not seen before. The same beat again, or an older one,
  is no sign of life; one that is known to have lain in Redis for a while counts from when it was written.
- Starts of a computer are counted (`generation`); what an earlier start said is old, for ever.
- What was known of a computer is never overwritten by nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import msgspec

from teleclaude.core.records import Computer, Kind, Service
from teleclaude.core.text import one_line
from teleclaude.sync.fleet.redis.key_names import HEARTBEAT_TTL
from teleclaude.sync.fleet.wire.clock import PeerClock
from teleclaude.sync.fleet.wire.messages import Envelope, Heartbeat

LEASE = float(HEARTBEAT_TTL)
EVERYWHERE = "*"
MESSAGES_SERVICE = "messages"  # the reader's note on a computer: what it sends is not as it should be
_LASTING = ("user", "host", "tmux_socket", "role", "platform", "version")
_TEXT_LIMIT = 256  # characters


class Word(Enum):
    """What a heartbeat was worth."""

    NEW = "new"  # a new computer, a new start of one, or one that was offline
    BEAT = "beat"
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
    trouble: str = ""  # what is wrong with what it sends, for people
    clock: PeerClock = field(default_factory=PeerClock)

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


class Roster:
    """All computers but `me`."""

    def __init__(self, me: str) -> None:
        self.me = me
        self.peers: dict[str, Peer] = {}

    def receive(self, envelope: Envelope, beat: Heartbeat, now: float, wall: str) -> Word:
        """Take a heartbeat, read at `now`; `wall` is the same moment as UTC text, for people."""
        name, known = envelope.sender, self.peers.get(envelope.sender)
        if known is not None:
            at, last = (envelope.generation, beat.beat), (known.generation, known.beat)
            if at == last and envelope.epoch == known.epoch:
                return Word.REPEATED
            if at <= last:
                return Word.OLD
        is_same = known is not None and known.epoch == envelope.epoch
        peer = Peer(
            name,
            envelope.epoch,
            envelope.generation,
            beat.beat,
            now,
            _merged(known.info if known else None, beat.info),
            wall,
            beat.heads,
            beat.interested_in,
            clock=known.clock if known and is_same else PeerClock(),
        )
        peer.clock.sample(envelope.clock, now)
        self.peers[name] = peer
        return Word.BEAT if known and is_same and known.online else Word.NEW

    def aged(self, envelope: Envelope, beat: Heartbeat, written: float) -> None:
        """Take note that the beat that was received was written at `written`, and not when it was read."""
        peer = self.peers.get(envelope.sender)
        if peer and (peer.generation, peer.beat) == (envelope.generation, beat.beat):
            peer.heard = min(peer.heard, written)

    def leave(self, envelope: Envelope) -> bool:
        """Take a goodbye. False when it is old."""
        peer = self.peers.get(envelope.sender)
        if peer is None or not peer.online or (peer.epoch, peer.generation) != (envelope.epoch, envelope.generation):
            return False
        peer.online = False
        peer.beat += 1_000_000  # the heartbeat that may still lie in Redis is no sign of life any more
        return True

    def expire(self, now: float) -> list[Peer]:
        """Take as offline whose lease ran out; give those."""
        late = [peer for peer in self.peers.values() if peer.online and now - peer.heard >= LEASE]
        for peer in late:
            peer.online = False
        return late

    def forget(self, now: float, after: float) -> list[str]:
        """Forget who was not heard of for `after` seconds; give their names."""
        gone = [peer.name for peer in self.peers.values() if not peer.online and now - peer.heard >= after]
        for name in gone:
            del self.peers[name]
        return gone

    def online(self, name: str) -> Peer | None:
        """The computer of that name, if it is online."""
        peer = self.peers.get(name)
        return peer if peer and peer.online else None

    def next_change(self, now: float) -> float:
        """Seconds until a lease runs out."""
        return min((peer.heard + LEASE - now for peer in self.peers.values() if peer.online), default=LEASE)


def _merged(known: Computer | None, told: Computer) -> Computer:
    """What is known of a computer after it told of itself; every text bounded, and safe to show."""
    found = {name: one_line(getattr(told, name), _TEXT_LIMIT) for name in _LASTING}
    kept = {name: text or getattr(known, name, "") for name, text in found.items()}
    return msgspec.structs.replace(told, **kept)
