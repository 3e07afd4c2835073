"""Whose name is it? Two computers with one name, or one disk cloned: one holds the name, the other keeps silent.

Pure. The heartbeat in Redis is the lease. Who starts looks at it first:
- nobody's, or that of this machine's own earlier run: the name is free;
- another's, and it still beats: the name is taken; keep silent, tell both, look again;
- another's, and it does not beat any more (this computer before its reboot, a dead namesake): free after `PATIENCE`.
Two that began at once see each other's heartbeat when they write their own; the one that started first stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from teleclaude.sync.fleet.wire.messages import REQUEST_LIFE, Envelope, Fresh, Heartbeat

PATIENCE = 25.0  # seconds; a living computer beats every 20


class Claim(Enum):
    """What to do about the name."""

    FREE = "free"
    WAIT = "wait"
    TAKEN = "taken"


@dataclass(frozen=True)
class Holder:
    """Who has the name, at a beat, since when that was seen."""

    epoch: str
    beat: int
    home: str
    host: str
    since: float
    alive: bool  # it was seen to beat
    ahead: float = 0.0  # its clock over this one's, at least


class Name:
    """The claim of one run (`epoch`, `generation`) on a machine and folder (`home`)."""

    def __init__(self, epoch: str, generation: int, home: str) -> None:
        self._epoch, self._generation, self._home = epoch, generation, home
        self.holder: Holder | None = None

    def look(self, found: tuple[Envelope, Heartbeat] | None, now: float) -> Claim:
        """Judge the heartbeat under this name, before the first own one."""
        last = self.holder
        if found is None or found[0].epoch == self._epoch or found[1].home == self._home:
            if last and last.alive and now - last.since < PATIENCE:
                return Claim.TAKEN  # its beat was overwritten by the one that it was yielded for; it will be back
            self.holder = None
            return Claim.FREE
        envelope, beat = found
        if last is None or last.epoch != envelope.epoch:
            self.holder = Holder(envelope.epoch, beat.beat, beat.home, beat.info.host, now, False, envelope.clock - now)
        elif beat.beat > last.beat:
            self.holder = Holder(envelope.epoch, beat.beat, beat.home, beat.info.host, now, True, envelope.clock - now)
        elif now - last.since >= PATIENCE:
            self.holder = None
            return Claim.FREE
        return Claim.TAKEN if self.holder and self.holder.alive else Claim.WAIT

    def yields_to(self, found: tuple[Envelope, Heartbeat] | None, now: float) -> bool:
        """Judge the heartbeat that the own one replaced. True when this computer has to keep silent."""
        if found is None or found[0].epoch == self._epoch:
            return False
        envelope, beat = found
        if (envelope.generation, envelope.epoch) > (self._generation, self._epoch):
            return False  # it started later, and will see this one's beat in place of its own
        self.holder = Holder(envelope.epoch, beat.beat, beat.home, beat.info.host, now, True, envelope.clock - now)
        return True

    def fresh_for(self, holder: Holder, now: float) -> Fresh:
        """Mark a request to whoever holds the name."""
        return Fresh(holder.epoch, now + holder.ahead, now + holder.ahead + REQUEST_LIFE)
