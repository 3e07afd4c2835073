"""Ages in words, and when the words change. Pure; times are seconds since 1970."""

from __future__ import annotations

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


def age_text(seconds: float) -> str:
    """`now`, `1 min`, `59 min`, `1 h`, `23 h`, `1 d`, `400 d`. A negative age (another clock) is `now`."""
    if seconds < _MINUTE:
        return "now"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h"
    return f"{int(seconds // _DAY)} d"


def next_change(seconds: float) -> float:
    """Age at which `age_text` will say something else."""
    if seconds < _MINUTE:
        return _MINUTE
    size = _MINUTE if seconds < _HOUR else _HOUR if seconds < _DAY else _DAY
    return (seconds // size + 1) * size
