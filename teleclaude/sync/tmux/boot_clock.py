"""The clock that goes on evenly from the computer's start, also while it sleeps, however the wall clock is set."""

from __future__ import annotations

import time


def since_boot() -> float:
    """Seconds since the computer's start, as /proc counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall_offset() -> float:
    """What to add to seconds since the computer's start for seconds since 1970, as the wall clock is set now."""
    return time.time() - since_boot()
