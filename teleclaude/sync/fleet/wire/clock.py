"""Clocks without agreement. Nobody trusts the wall clock of another computer, nor that of Redis.

`now` is this computer's own clock: it counts while the machine sleeps, and no one sets it. Each sealed message tells
its sender's clock. A reader who keeps (sender's clock - own clock) has a lower bound of the true difference, because a
message only ever grows older on its way. So a deadline that is told in the recipient's clock by that bound errs to
one side only: a request may run out early, and never late, whatever Redis does with it and however wrong the wall
clocks are.
"""

from __future__ import annotations

import time

DRIFT = 5e-4  # two quartz clocks part by less than this, in seconds a second


def now() -> float:
    """Seconds on this computer's own clock, sleep included."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS has no other name for it
    return time.clock_gettime(clock)


class PeerClock:
    """Between which bounds another computer's clock is ahead of this one, in one epoch of it."""

    def __init__(self) -> None:
        self._low: float | None = None
        self._high = float("inf")
        self._at = 0.0

    def sample(self, theirs: float, mine: float, *, error: float = float("inf")) -> None:
        """Take the clock that a message told, read at `mine`. `error`: the most seconds it can have been on its way."""
        ahead = theirs - mine
        if self._low is not None:
            apart = max(0.0, mine - self._at) * DRIFT
            ahead, error = max(ahead, self._low - apart), error + ahead
            self._high = min(self._high + apart, error)
        else:
            self._high = ahead + error
        self._low, self._at = ahead, mine

    def estimate(self, mine: float) -> float:
        """Their clock at `mine`, or a little less. Never more."""
        return 0.0 if self._low is None else mine + self._low - max(0.0, mine - self._at) * DRIFT

    def error(self, mine: float) -> float:
        """Seconds by which the estimate may be too low; infinite while only messages of unknown age told it."""
        if self._low is None:
            return float("inf")
        return max(0.0, self._high - self._low) + 2 * max(0.0, mine - self._at) * DRIFT
