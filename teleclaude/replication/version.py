"""Where a source stands, and where a reader of it does. Whether something follows is decided here, for every hop."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Verdict(Enum):
    """What becomes of a change at a reader."""

    APPLIED = "applied"
    REPEATED = "repeated"
    NEED_SNAPSHOT = "need_snapshot"


class Version(NamedTuple):
    """The state of a source after its change `number` in `epoch`, one life of it. On a wire it is [epoch, number]."""

    epoch: str
    number: int

    def is_before(self, other: Version) -> bool:
        """Tell whether a reader that stands here lacks something that `other` has: all of it, in another epoch."""
        return self.epoch != other.epoch or self.number < other.number

    def takes_snapshot(self, snapshot: Version) -> bool:
        """Tell whether a reader that stands here takes a snapshot: any but an older one of its epoch."""
        return self.epoch != snapshot.epoch or self.number <= snapshot.number

    def judge(self, change: Version, after: int) -> Verdict:
        """Judge the change from `after` to `change` for a reader that stands here.

        It follows when it begins here or earlier and ends later: what it tells is whole, so telling some of it again
        does no harm. One that ends here or earlier is a repetition. All else leaves a gap, or is of another life.
        """
        if change.epoch != self.epoch or not self.epoch:
            return Verdict.NEED_SNAPSHOT
        if change.number <= self.number:
            return Verdict.REPEATED
        return Verdict.APPLIED if after <= self.number else Verdict.NEED_SNAPSHOT


NOTHING = Version("", 0)  # where a reader stands that has had no snapshot; no source has this epoch
