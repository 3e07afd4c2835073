"""When to look at tmux. Pure: triggers and the clock in, a due time out.

A look follows its trigger by `SETTLE`, so that one look sees all of a burst; looks begin at least a gap apart, and
a gap grows with what a look costs, so that looking never takes more than a fifth of the time. What nothing told of
is found by a slow safety look. Whoever asks, and however often: after `BURST` looks there are no more than `RATE` a
second, so no fault elsewhere can make this process, and tmux with it, spin.
"""

from __future__ import annotations

SETTLE, GAP = 0.050, 0.150  # seconds, after output
URGENT_SETTLE, URGENT_GAP = 0.010, 0.050  # after a session or window came, went or was renamed
SAFETY = 5.0
RATE, BURST = 10.0, 10  # looks a second for as long as it takes; looks that may come faster before that counts
SHARE = 4.0  # a gap is at least this many times what the last look took


class LookSchedule:
    """`safety`: seconds between looks that nothing triggered."""

    def __init__(self, safety: float = SAFETY) -> None:
        self.safety = safety
        self._began = float("-inf")
        self._took = 0.0
        self._paid = float("-inf")  # the time by which all looks so far would have been made at `RATE`
        self._asked: float | None = None  # the earliest time that a trigger allows
        self._next_safety = float("-inf")  # the first look is due at once

    def trigger(self, now: float, *, urgent: bool = False) -> None:
        """Note that something happened."""
        settle, gap = (URGENT_SETTLE, URGENT_GAP) if urgent else (SETTLE, GAP)
        at = max(now + settle, self._began + max(gap, SHARE * self._took))
        self._asked = at if self._asked is None else min(self._asked, at)

    def at_once(self, now: float) -> None:
        """Ask for a look without settling or keeping a gap, because somebody waits for it."""
        self._asked = now

    def began(self, now: float) -> None:
        """Note that a look begins: it sees all that was triggered before."""
        self._began = now
        self._asked = None
        self._paid = max(self._paid, now) + 1 / RATE
        self._next_safety = now + self.safety

    def ended(self, now: float) -> None:
        """Note that it ended."""
        self._took = now - self._began

    def due(self) -> float:
        """When to look next."""
        wanted = self._next_safety if self._asked is None else min(self._asked, self._next_safety)
        return max(wanted, self._paid - BURST / RATE)
