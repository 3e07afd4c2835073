"""Ages in words, and when the words change. Pure; times are seconds since 1970."""

from __future__ import annotations

import math

_STEPS = ((60.0, "min"), (3600.0, "h"), (86400.0, "d"))


def age_text(seconds: float) -> str:
    """`now`, `1 min`, `59 min`, `1 h`, `23 h`, `1 d`, `400 d`. A negative age (another clock) is `now`."""
    words = "now"
    for size, unit in _STEPS:
        if seconds >= size:
            words = f"{math.floor(seconds / size)} {unit}"
    return words


def next_change(seconds: float) -> float:
    """Age at which `age_text` will say something else."""
    size = next((size for size, _ in reversed(_STEPS) if seconds >= size), 60.0)
    limits = [limit for limit, _ in _STEPS if limit > seconds]
    return min([(math.floor(max(0.0, seconds) / size) + 1) * size, *limits])
