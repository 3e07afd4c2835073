"""The person who uses this computer, as the fleet's loop sees him: somebody to tell, whose last key is known. Pure."""

from __future__ import annotations

from typing import Protocol

from teleclaude.core.session_notice import SessionNotice
from teleclaude.sync.fleet.node_events import KeyPressed

LOOK_EVERY = 1.0  # seconds between looks at the last key
COARSE = 5.0  # seconds of keys that are told as one


class Person(Protocol):
    """Who uses this computer. Both may be called from any thread, and do not wait."""

    def tell_here(self, notices: list[SessionNotice]) -> None:
        """Tell him of sessions, here."""
        ...

    def last_key(self) -> float:
        """When he last pressed a key here: seconds since 1970, 0 for never."""
        ...


class Nobody:
    """No person."""

    def tell_here(self, notices: list[SessionNotice]) -> None:
        """Tell nobody."""

    def last_key(self) -> float:
        """Never."""
        return 0.0


class KeyWatch:
    """Turns a person's keys into events, few of them."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._look_at = self._told = 0.0

    def news(self, now: float, wall: float) -> list[KeyPressed]:
        """Give the event, if there is one. `now`: on this computer's clock; `wall`: seconds since 1970."""
        if now < self._look_at:
            return []
        self._look_at = now + LOOK_EVERY
        pressed = min(self._person.last_key(), wall)  # a clock that was set back makes no key of tomorrow
        if pressed < self._told + COARSE:
            return []
        self._told = pressed
        return [KeyPressed(now - (wall - pressed))]
