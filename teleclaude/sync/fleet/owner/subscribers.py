"""Who looks at this computer. Pure: times come as arguments.

Rules of this module:
- A computer is pushed to only while its lease runs: its pull or its heartbeat, not older than `LEASE`, lists this one.
- A pull tells the interest at once; from the beat that it names on, the heartbeats tell it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from teleclaude.core.records import Kind, Record
from teleclaude.replication.change import Change
from teleclaude.sync.fleet.membership.peers import LEASE, Peer
from teleclaude.sync.fleet.wire.messages import ChangeEvent, rows_of


@dataclass
class Subscriber:
    """One computer that looks."""

    epoch: str
    kinds: frozenset[Kind]
    beat: int
    until: float
    expire_at: float = 0.0  # when its inbox' expiry is set again


class Subscribers:
    """All computers that look at this one, `me`."""

    def __init__(self, me: str) -> None:
        self.me = me
        self._subscribers: dict[str, Subscriber] = {}

    def told(self, name: str, epoch: str, kinds: Iterable[Kind], beat: int, now: float) -> None:
        """Take what a request of a computer says of its interest."""
        known = self._subscribers.get(name)
        if known and known.epoch == epoch and known.beat > beat:
            return  # its heartbeat has said something newer
        self._set(name, epoch, kinds, beat, now)

    def beat(self, peer: Peer) -> None:
        """Take what a new heartbeat of a computer says of its interest."""
        known = self._subscribers.get(peer.name)
        if known and known.epoch == peer.epoch and known.beat > peer.beat:
            return  # it was written before the request that told the interest
        self._set(peer.name, peer.epoch, peer.looks_at(self.me), peer.beat, peer.heard)

    def _set(self, name: str, epoch: str, kinds: Iterable[Kind], beat: int, now: float) -> None:
        found = frozenset(kinds)
        if not found:
            self._subscribers.pop(name, None)
            return
        known = self._subscribers.get(name)
        self._subscribers[name] = Subscriber(epoch, found, beat, now + LEASE, known.expire_at if known else 0.0)

    def drop(self, name: str) -> None:
        """Push nothing more to a computer."""
        self._subscribers.pop(name, None)

    def expire(self, now: float) -> None:
        """Drop whose lease ran out."""
        for name in [name for name, one in self._subscribers.items() if one.until <= now]:
            del self._subscribers[name]

    def of(self, kind: Kind) -> list[str]:
        """Names of those that look at a kind."""
        return [name for name, one in self._subscribers.items() if kind in one.kinds]

    def names(self) -> list[str]:
        """All names."""
        return list(self._subscribers)

    def inbox_expiry_due(self, name: str, now: float, every: float = 60.0) -> bool:
        """Tell, once per `every` seconds, that the expiry of a subscriber's inbox has to be set."""
        one = self._subscribers.get(name)
        if one is None or now < one.expire_at:
            return False
        one.expire_at = now + every
        return True

    def __bool__(self) -> bool:
        """Tell whether anybody looks."""
        return bool(self._subscribers)


def event_of(kind: Kind, change: Change[str, Record]) -> ChangeEvent:
    """Make the event that tells a change."""
    rows = rows_of(change.puts.values())
    return ChangeEvent(kind=kind, seq=change.version.number, after=change.after, rows=rows, removed=change.removes)
