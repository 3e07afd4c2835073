"""A reload under way: who is yet to say that it took the settings, and what was wrong there. Pure."""

from __future__ import annotations

from collections.abc import Iterable

WITHIN = 5.0  # seconds, for all to say so


class Reload:
    """Ends when every worker that was told said how it went, or is gone, or when time is up."""

    def __init__(self, awaited: Iterable[str], now: float) -> None:
        self._awaited = set(awaited)
        self._problems: list[str] = []
        self.deadline = now + WITHIN

    def taken(self, name: str, problem: str) -> None:
        """Take a worker's word that it took the settings; `problem`: what of them it cannot do, or nothing."""
        if name in self._awaited and problem:
            self._problems.append(f"{name}: {problem}")
        self._awaited.discard(name)

    def ended(self, name: str) -> None:
        """A worker ended: it reads the settings when it starts again."""
        self._awaited.discard(name)

    def outcome(self, now: float) -> list[str] | None:
        """What went wrong, once it is over; None before that."""
        if self._awaited and now < self.deadline:
            return None
        late = [f"{name} did not say within {WITHIN:.0f} s that it took them" for name in sorted(self._awaited)]
        return self._problems + late
