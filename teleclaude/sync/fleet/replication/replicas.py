"""Copies of what other computers have, for what clients here look at. Pure: it gives pulls to send and cache writes.

Rules of this module:
- replication/replica.py alone decides what a change or a snapshot does to the rows.
- What is looked at is pulled from each owner that is online, all at once, and again after a gap, a new epoch, a lost
  connection, a head that is ahead, or (projects and todos) five minutes. What is there stays until the new lands.
- An owner that does not answer is asked again, ever more slowly. It delays nobody else.
- What nobody looks at any more keeps its rows and position, and is asked for anew before it counts as current.
Times are seconds on this computer's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from teleclaude.cache import wire
from teleclaude.core.backoff import Backoff
from teleclaude.core.records import Kind, Record, key_of
from teleclaude.core.requests import new_id
from teleclaude.replication.change import Change
from teleclaude.replication.replica import Replica
from teleclaude.replication.version import NOTHING, Verdict, Version
from teleclaude.sync.fleet.wire.limits import Holdings, OverLimit, Received
from teleclaude.sync.fleet.wire.messages import ChangeEvent, PullPart, read_rows

Phase: TypeAlias = Literal["unwanted", "wanted", "awaited", "current"]
Happening: TypeAlias = Literal["want", "unwant", "ask", "land", "behind", "lost"]

# What is missing here raises KeyError: it cannot happen.
TABLE: dict[tuple[Phase, Happening], Phase] = {
    ("unwanted", "want"): "wanted",
    ("unwanted", "unwant"): "unwanted",
    ("unwanted", "land"): "unwanted",
    ("unwanted", "behind"): "unwanted",
    ("unwanted", "lost"): "unwanted",
    ("wanted", "want"): "wanted",
    ("wanted", "unwant"): "unwanted",
    ("wanted", "ask"): "awaited",
    ("wanted", "land"): "current",
    ("wanted", "behind"): "wanted",
    ("wanted", "lost"): "wanted",
    ("awaited", "want"): "awaited",
    ("awaited", "unwant"): "unwanted",
    ("awaited", "land"): "current",
    ("awaited", "behind"): "awaited",  # what comes lies behind this event in the inbox
    ("awaited", "lost"): "wanted",
    ("current", "want"): "current",
    ("current", "unwant"): "unwanted",
    ("current", "land"): "current",
    ("current", "behind"): "wanted",
    ("current", "lost"): "wanted",
}

PLAN_TTL = 300.0  # seconds that projects and todos are good for
TTLS: dict[Kind, float] = {"projects": PLAN_TTL, "todos": PLAN_TTL}
ANSWER_TIMEOUT = 2.0  # seconds until an owner is asked again, at first
REFUSED_FOR = 60.0  # seconds until an owner that refused is asked again
HEAD_GRACE = 1.0  # seconds that an event may be on its way after a heartbeat told its number
AWAITED_AFTER = 0.5  # seconds until a repeated pull is shown as awaited


@dataclass
class KindReplica:
    """One owner's records of one kind, as they are here."""

    phase: Phase = "unwanted"
    replica: Replica[str, Record] = field(default_factory=Replica)
    filled: float = 0.0  # last time it was known to be current
    asked: float = 0.0
    suspect: tuple[int, float] | None = None  # (head, since when) that a heartbeat told
    trouble: str = ""  # what of its rows is not here, and why

    def happens(self, what: Happening) -> None:
        """Go to the next phase."""
        self.phase = TABLE[self.phase, what]


@dataclass(frozen=True)
class PullNeeded:
    """A pull to send to `owner`; `request` is the id by which `land` knows the answer."""

    owner: str
    request: str
    kinds: list[Kind]
    have: dict[Kind, tuple[str, int]]
    look: bool


@dataclass
class _Owner:
    kinds: dict[Kind, KindReplica] = field(default_factory=dict)
    request: str = ""  # the pull that is under way
    asked: float = 0.0
    asked_to_look: bool = False  # that may take long
    timeout: float = ANSWER_TIMEOUT
    not_before: float = 0.0
    look: bool = False
    backoff: Backoff = field(default_factory=lambda: Backoff(ANSWER_TIMEOUT, 30.0))

    def calm(self) -> None:
        """Be ready to be asked at once."""
        self.request, self.not_before = "", 0.0
        self.backoff.reset()


class Replicas:
    """All of them. `ops` collects writes for the cache, in order, until the caller takes them.

    `unanswered` counts the pulls that were not answered in time: their owner may be slow, or the way back broken.
    """

    def __init__(self) -> None:
        self.unanswered = 0
        self._owners: dict[str, _Owner] = {}
        self._holdings = Holdings()
        self.ops: list[wire.Op] = []
        self.touched: set[str] = set()  # owners with something to do or to show, until the caller clears it

    # What is wanted.

    def want(self, name: str, kinds: Iterable[Kind]) -> None:
        """Say all that is looked at now of one owner."""
        owner, wanted = self._touch(name), set(kinds)
        for kind in wanted:
            kept = owner.kinds.setdefault(kind, KindReplica())
            if kept.phase == "unwanted" and not owner.request:
                owner.calm()
            kept.happens("want")
        for kind, kept in owner.kinds.items():
            if kind not in wanted:
                kept.happens("unwant")

    def refresh(self, name: str, kinds: Iterable[Kind]) -> None:
        """Pull those kinds now, whatever is here, and have the owner look again."""
        owner = self._touch(name)
        owner.calm()
        owner.look = True
        for kind in kinds:
            owner.kinds.setdefault(kind, KindReplica()).happens("lost")

    def lost(self, name: str | None = None) -> None:
        """Take note that changes may be missing: of one owner (it is new), or of all."""
        for each in list(self._owners) if name is None else [name]:
            owner = self._touch(each)
            owner.calm()
            for kept in owner.kinds.values():
                kept.happens("lost")

    def ask_anew(self, name: str) -> None:
        """Take no answer to a pull that is under way; what it asked for is asked again."""
        owner = self._owners.get(name)
        if owner and owner.request:
            self.lost(name)

    def forget(self, name: str) -> None:
        """Drop all of an owner."""
        self._owners.pop(name, None)
        self._holdings.forget(name)
        self.ops.append(wire.ForgetComputer(name))

    # What comes.

    def apply(self, owner: str, epoch: str, event: ChangeEvent, wall: float) -> Verdict:
        """Take an event; `wall`: seconds since 1970 here.

        Raises ValueError when its rows are not the owner's, OverLimit when they are too many: then nothing changes.
        """
        found = read_rows(event.kind, owner, event.rows, wall)
        kept = self._kept(owner, event.kind)
        if kept is None:
            return Verdict.REPEATED  # never asked for
        replica, rows = kept.replica, found.rows
        puts = {key_of(row): row for row in rows}
        change = Change(Version(epoch, event.seq), event.after, dict.fromkeys(event.removed) | puts)
        if replica.version.judge(change.version, change.after) is Verdict.APPLIED:
            self._holdings.change(owner, event.kind, replica.rows, rows, event.removed)
        verdict = replica.apply(change)
        if verdict is Verdict.APPLIED:
            self.ops += [wire.Remove(event.kind, owner, event.removed)] if event.removed else []
            self.ops += wire.put(rows)
            kept.trouble = found.trouble or kept.trouble
        elif verdict is Verdict.NEED_SNAPSHOT:
            self._behind(owner, kept)
        return verdict

    def land(self, owner: str, epoch: str, request: str, parts: Iterable[PullPart], now: float, wall: float) -> bool:
        """Take the answer to a pull. False when it is to none that is under way.

        Raises ValueError for foreign rows, OverLimit for too many: then what is here stays, and the owner is not asked
        again for a minute.
        """
        asked = self._owners.get(owner)
        if asked is None or asked.request != request:
            return False
        try:
            rows = [(part, None if part.is_same else read_rows(part.kind, owner, part.rows, wall)) for part in parts]
            for part, found in rows:
                if found is not None:
                    self._holdings.replace(owner, part.kind, found.rows)
        except OverLimit as error:
            self.refused(owner, request, now)
            self.over_limit(owner, error.reason)
            raise
        self._touch(owner).calm()
        for part, found in rows:
            kept = asked.kinds.setdefault(part.kind, KindReplica())
            self._land(owner, epoch, part, found, kept, now)
        return True

    def _land(
        self, owner: str, epoch: str, part: PullPart, found: Received | None, kept: KindReplica, now: float
    ) -> None:
        replica = kept.replica
        if found is None:
            if replica.version.is_before(Version(epoch, part.seq)):
                kept.happens("lost")  # what it was asked about is not here any more
                return
            self.ops.append(wire.Touch(part.kind, owner))
        elif replica.replace(Version(epoch, part.seq), [(key_of(record), record) for record in found.rows]):
            self.ops.append(wire.replace(part.kind, owner, list(replica.rows.values())))
            kept.trouble = found.trouble
        kept.filled, kept.suspect = now, None
        kept.happens("land")

    def over_limit(self, owner: str, reason: str) -> None:
        """An owner sent more than it may: keep the reason until a snapshot of it lands."""
        for kept in self._touch(owner).kinds.values():
            kept.trouble = reason

    def oversized(self, request: str, now: float) -> None:
        """The answer to a pull is too long to be read: its owner is not asked again for a minute."""
        for name in [name for name, owner in self._owners.items() if owner.request == request]:
            self.over_limit(name, "all that it sends at once is too much to be read")
            self.refused(name, request, now)

    def trouble(self, owner: str) -> str:
        """What of an owner's rows is not shown, and why; empty when all is."""
        found = self._owners.get(owner)
        return next((kept.trouble for kept in found.kinds.values() if kept.trouble), "") if found else ""

    def refused(self, owner: str, request: str, now: float) -> bool:
        """Take a refusal: it is not asked again for a minute. False when nothing was asked."""
        asked = self._owners.get(owner)
        if asked is None or asked.request != request:
            return False
        self._touch(owner)
        asked.request, asked.not_before = "", now + REFUSED_FOR
        for kept in asked.kinds.values():
            if kept.phase == "awaited":
                kept.happens("lost")
        return True

    def overtaken(self, name: str, asked: float) -> None:
        """A question of `asked` was answered: requests are answered in order, so an earlier pull was lost."""
        owner = self._owners.get(name)
        if owner and owner.request and owner.asked < asked and not owner.asked_to_look:
            self.lost(name)

    def heads(self, owner: str, epoch: str, heads: Mapping[Kind, int], now: float, *, ordered: bool) -> None:
        """Compare with what an owner says of itself; `ordered`: nothing older is on its way any more."""
        found = self._owners.get(owner)
        for kind, kept in found.kinds.items() if found else ():
            head = heads.get(kind, 0)
            if kept.phase != "current" or not kept.replica.is_behind(Version(epoch, head)):
                continue
            if ordered or kept.replica.version.epoch != epoch:
                self._behind(owner, kept)
            elif kept.suspect is None:
                kept.suspect = (head, now)

    # What to do.

    def due(self, online: Iterable[str], now: float) -> list[PullNeeded]:
        """Give the pulls to send now to owners that are online."""
        needed: list[PullNeeded] = []
        for name in online:
            owner = self._owners.get(name)
            if owner is None:
                continue
            self._age(owner, now)
            kinds: list[Kind] = sorted(kind for kind, kept in owner.kinds.items() if kept.phase == "wanted")
            if (kinds or owner.look) and now >= owner.not_before and not owner.request:
                needed.append(self._ask(name, owner, kinds, now))
        return needed

    def _ask(self, name: str, owner: _Owner, kinds: list[Kind], now: float) -> PullNeeded:
        owner.request, owner.asked = new_id(), now
        owner.timeout = owner.backoff.next()
        self.touched.add(name)
        look, owner.look = owner.look, False
        owner.asked_to_look = look
        have: dict[Kind, tuple[str, int]] = {}
        for kind in kinds:
            kept = owner.kinds[kind]
            kept.happens("ask")
            kept.asked = now
            if kept.replica.version != NOTHING:
                have[kind] = kept.replica.version
        return PullNeeded(name, owner.request, kinds, have, look)

    def _age(self, owner: _Owner, now: float) -> None:
        if owner.request and now - owner.asked >= owner.timeout:
            owner.request = ""
            self.unanswered += 1
            for kept in owner.kinds.values():
                if kept.phase == "awaited":
                    kept.happens("lost")
        for kind, kept in owner.kinds.items():
            if kept.phase != "current":
                continue
            if now - kept.filled >= TTLS.get(kind, float("inf")):
                kept.happens("behind")
            elif kept.suspect and now - kept.suspect[1] >= HEAD_GRACE:
                head, kept.suspect = kept.suspect[0], None
                if kept.replica.version.number < head:
                    kept.happens("behind")

    # What is there.

    def awaited(self, name: str, now: float) -> tuple[Kind, ...]:
        """Kinds that were asked of an owner and have not come yet."""
        owner = self._owners.get(name)
        kinds = sorted(owner.kinds.items()) if owner else []
        return tuple(kind for kind, kept in kinds if _is_awaited(kept, now))

    def phase(self, owner: str, kind: Kind) -> Phase:
        """Where the replica of a kind is."""
        kept = self._kept(owner, kind)
        return kept.phase if kept else "unwanted"

    def is_settled(self, name: str) -> bool:
        """Tell whether nothing that is looked at is missing or under way."""
        owner = self._owners.get(name)
        if owner is None:
            return True
        is_whole = all(kept.phase in {"current", "unwanted"} for kept in owner.kinds.values())
        return is_whole and not owner.look and not owner.request

    def rows(self, owner: str, kind: Kind) -> Mapping[str, Record]:
        """What is here of an owner's kind, by key."""
        kept = self._kept(owner, kind)
        return kept.replica.rows if kept else {}

    def everything(self) -> list[wire.Op]:
        """All of it, as writes for a new cache."""
        return [
            wire.replace(kind, name, list(kept.replica.rows.values()))
            for name, owner in self._owners.items()
            for kind, kept in owner.kinds.items()
            if kept.replica.version != NOTHING
        ]

    # Parts.

    def _touch(self, name: str) -> _Owner:
        self.touched.add(name)
        return self._owners.setdefault(name, _Owner())

    def _kept(self, owner: str, kind: Kind) -> KindReplica | None:
        found = self._owners.get(owner)
        return found.kinds.get(kind) if found else None

    def _behind(self, name: str, kept: KindReplica) -> None:
        owner = self._touch(name)
        if kept.phase == "current" and not owner.request:
            owner.not_before = 0.0
        kept.happens("behind")


def _is_awaited(kept: KindReplica, now: float) -> bool:
    if kept.phase not in {"wanted", "awaited"}:
        return False
    return kept.replica.version == NOTHING or (kept.phase == "awaited" and now - kept.asked >= AWAITED_AFTER)
