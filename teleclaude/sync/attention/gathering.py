"""Notices that come together are told together; many of them as one. Pure.

A notice waits `GATHER` seconds for others. Then there is a pause, which grows when much is told, so that a storm (a
network that goes, and twenty agents with it) is a few summaries.
"""

from __future__ import annotations

from collections import deque

from teleclaude.core.session_notice import SessionNotice

GATHER = 0.3  # seconds
PAUSE, LONG_PAUSE = 2.0, 30.0  # seconds between two that are told
OFTEN, WITHIN = 6, 60.0  # so many times within so many seconds make the pause long, until nothing came for one
SINGLES = 3  # more at once are told as a summary
LIMIT = 1000  # notices that wait


class Gathering:
    """Notices that wait to be told. Times are seconds of any clock that does not jump."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], SessionNotice] = {}  # of each session the newest
        self._due: float | None = None
        self._told: deque[float] = deque(maxlen=OFTEN)
        self._is_storm = False
        self._came = float("-inf")

    @property
    def due(self) -> float | None:
        """When to take; None when nothing waits."""
        return self._due

    def add(self, notice: SessionNotice, now: float) -> None:
        """Have a notice wait."""
        if len(self._waiting) < LIMIT:
            self._waiting[notice.computer, notice.session_id] = notice
        is_often = len(self._told) == OFTEN and now - self._told[0] < WITHIN
        self._is_storm = is_often or (self._is_storm and now - self._came < LONG_PAUSE)
        self._came = now
        if self._due is None:
            last = self._told[-1] if self._told else float("-inf")
            self._due = max(now + GATHER, last + (LONG_PAUSE if self._is_storm else PAUSE))

    def take(self, now: float) -> list[SessionNotice]:
        """Give what is to be told now, and have nothing wait."""
        if self._due is None or self._due > now:
            return []
        found, self._waiting, self._due = list(self._waiting.values()), {}, None
        self._told.append(now)
        return found
