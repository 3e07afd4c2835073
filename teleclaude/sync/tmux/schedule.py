"""When to look at tmux. Pure: triggers and the clock in, a due time out.

A look follows its trigger by `SETTLE`, so that one look sees all of a burst; looks begin at least a gap apart, and
a gap grows with what a look costs, so that looking never takes more than a fifth of the time. What nothing told of
is found by a slow safety look, the slower the more a look costs. Whoever asks, and however often: after `BURST` looks
and peeks there are no more than `RATE` a second, so no fault elsewhere can make this process, and tmux with it, spin.
"""

from __future__ import annotations

SETTLE, GAP = 0.010, 0.050  # seconds after a trigger; between two looks
SAFETY, SLOWEST_SAFETY = 5.0, 30.0
SAFETY_SHARE = 1000.0  # a safety look comes after at least this many times what the last look took
RATE, BURST = 10.0, 10  # looks and peeks a second for as long as it takes; those that may come faster before that
SHARE = 4.0  # a gap is at least this many times what the last look took
LONGEST = 0.5  # seconds that a look is taken to have cost; one that takes longer had to wait


class LookSchedule:
    """`safety`: seconds, at least, between looks that nothing triggered."""

    def __init__(self, safety: float = SAFETY) -> None:
        self.safety = safety
        self._began = float("-inf")
        self._took = 0.0
        self._usually: float | None = None  # what looks take, without the few that took long for another reason
        self._peek_began = float("-inf")
        self._peek_until = float("-inf")  # when the next peek may begin
        self._paid = float("-inf")  # the time by which all looks so far would have been made at `RATE`
        self._asked: float | None = None  # the earliest time that a trigger allows

    def trigger(self, now: float) -> None:
        """Note that something happened."""
        self.trigger_at(now + SETTLE)

    def trigger_at(self, at: float) -> None:
        """Note that something is to be looked at, not before `at`."""
        at = max(at, self._began + max(GAP, SHARE * self._took))
        self._asked = at if self._asked is None else min(self._asked, at)

    def at_once(self, now: float) -> None:
        """Ask for a look without settling or keeping a gap, because somebody waits for it."""
        self._asked = now

    def began(self, now: float) -> None:
        """Note that a look begins: it sees all that was triggered before."""
        self._began = now
        self._asked = None
        self._paid = max(self._paid, now) + 1 / RATE

    def ended(self, now: float) -> None:
        """Note that it ended."""
        self._took = min(now - self._began, LONGEST)
        self._usually = self._took if self._usually is None else min(self._took, self._usually * 1.5)

    def due(self) -> float:
        """When to look next."""
        slow = min(SAFETY_SHARE * (self._usually or 0.0), SLOWEST_SAFETY) * self.safety / SAFETY
        safety = self._began + max(self.safety, slow)
        wanted = safety if self._asked is None else min(self._asked, safety)
        return max(wanted, self._free())

    def peek_due(self, wanted: float | None) -> float:
        """When to peek, if that is wanted at a time; infinite for never."""
        return float("inf") if wanted is None else max(wanted, self._peek_until, self._free())

    def began_peek(self, now: float) -> None:
        """Note that a peek begins."""
        self._peek_began = now
        self._paid = max(self._paid, now) + 1 / RATE

    def ended_peek(self, now: float) -> None:
        """Note that it ended."""
        self._peek_until = self._peek_began + SHARE * min(now - self._peek_began, LONGEST)

    def _free(self) -> float:
        return self._paid - BURST / RATE
