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

from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.node_effects import ShowService, ToRedis
from teleclaude.sync.fleet.redis.redis_keys import MESSAGES_LENGTH
from teleclaude.sync.fleet.wire.messages import REQUEST_LIFE, Clash, Envelope, Fresh, Heartbeat

PATIENCE = 25.0  # seconds; a living computer beats every 20
LOOK_EVERY = 5.0  # seconds between looks at a name that another computer holds
SHOWN_FOR = 90.0  # seconds that the holder of a name shows what the silent one told
SERVICE = "name"


class Claim(Enum):
    """What to do about the name."""

    FREE = "free"
    WAIT = "wait"
    TAKEN = "taken"


@dataclass(frozen=True)
class NameHolder:
    """Who has the name, at a beat, since when that was seen."""

    epoch: str
    beat: int
    home: str
    host: str
    since: float
    alive: bool  # it was seen to beat
    ahead: float = 0.0  # its clock over this one's, at least


def _holder(envelope: Envelope, beat: Heartbeat, now: float, *, alive: bool) -> NameHolder:
    ahead = envelope.clock - now
    return NameHolder(envelope.epoch, beat.beat, beat.home, beat.info.host, now, alive, ahead)


class NameLease:
    """The claim of one run (`epoch`, `generation`) on a machine and folder (`home`)."""

    def __init__(self, epoch: str, generation: int, home: str) -> None:
        self._epoch, self._generation, self._home = epoch, generation, home
        self.holder: NameHolder | None = None

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
            self.holder = NameHolder(
                envelope.epoch, beat.beat, beat.home, beat.info.host, now, False, envelope.clock - now
            )
        elif beat.beat > last.beat:
            self.holder = NameHolder(
                envelope.epoch, beat.beat, beat.home, beat.info.host, now, True, envelope.clock - now
            )
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
        self.holder = _holder(envelope, beat, now, alive=True)
        return True

    def fresh_for(self, holder: NameHolder, now: float) -> Fresh:
        """Mark a request to whoever holds the name."""
        return Fresh(holder.epoch, now + holder.ahead, now + holder.ahead + REQUEST_LIFE)


class NameClaim:
    """What each of two namesakes shows, as the service `name`, and what the silent one tells the other."""

    def __init__(self, context: Context, lease: NameLease) -> None:
        self._context = context
        self._lease = lease
        self._shown_until = 0.0

    def look(self, found: tuple[Envelope, Heartbeat] | None) -> Claim:
        """Judge the heartbeat under this name. Whoever holds it is told."""
        claim = self._lease.look(found, self._context.now)
        if claim is not Claim.FREE:
            self._context.want(ShowService(SERVICE, "down", self.reason(claim)))
        elif self._context.now >= self._shown_until:
            self._context.want(ShowService(SERVICE, None))
        if claim is Claim.TAKEN and self._lease.holder:
            self._tell(self._lease.holder)
        return claim

    def yields_to(self, found: tuple[Envelope, Heartbeat] | None) -> bool:
        """Judge the heartbeat that the own one replaced. True when this computer has to keep silent."""
        return self._lease.yields_to(found, self._context.now)

    def look_again_at(self) -> float:
        """When to look at the name again."""
        return self._context.now + LOOK_EVERY

    def reason(self, claim: Claim) -> str:
        """Say why this computer keeps silent."""
        me, holder = self._context.me, self._lease.holder
        if claim is Claim.WAIT:
            return f"a computer called {me} was here a moment ago: looking whether it still is"
        host = f" ({holder.host})" if holder and holder.host else ""
        mend = "give one of them another name ([computer] name in config.toml)"
        return f"another computer of the fleet{host} is called {me} too: {mend}"

    def _tell(self, holder: NameHolder) -> None:
        context = self._context
        body = Clash(fresh=self._lease.fresh_for(holder, context.now), host=context.settings.computer.host)
        key, blob = context.keys.messages(context.me), context.sealed(context.me, body)
        # Not through `write`: this computer does not count as connected while the name is not its own.
        context.want(ToRedis(("XADD", key, "MAXLEN", "~", MESSAGES_LENGTH, "*", "m", blob)))

    def has_namesake(self, host: str) -> None:
        """Another computer has this name too, and keeps silent."""
        self._shown_until = self._context.now + SHOWN_FOR
        where = f" ({host})" if host else ""
        reason = f"another computer{where} has this computer's name too, and keeps silent: rename one of them"
        self._context.want(ShowService(SERVICE, "down", reason))

    def due(self) -> None:
        """Show no more what nobody tells any more."""
        if self._shown_until and self._context.now >= self._shown_until:
            self._shown_until = 0.0
            self._context.want(ShowService(SERVICE, None))
