"""Live output: the screens of watched sessions, looked at when they may have changed.

Contract:
- A screen is told when it differs from the last one that was told, at most every `EVERY` seconds; only the newest.
- Who watches is said by those who tell it on, the `Audience`s, each with all that it has watchers for; they keep the
  leases. A session that no audience names is not looked at: nothing here runs, and tmux is asked nothing.
- An audience that comes to a session is told its screen, also when that did not change.
- What cannot be shown any more, because it ended, is told once, and looked at no more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from teleclaude.core.errors import NotFound, TeleclaudeError, TooLarge
from teleclaude.core.live_screen import LiveScreen

log = logging.getLogger(__name__)

EVERY = 0.100  # seconds
AT_ONCE = 64  # sessions
UNHEARD = 1.0  # seconds after which a screen is looked at although nothing was heard of it

Audience: TypeAlias = Literal["here", "fleet"]  # clients of this computer, or those of others
Found: TypeAlias = "LiveScreen | TeleclaudeError"
Capture: TypeAlias = Callable[[str], tuple[str, LiveScreen]]
Tell: TypeAlias = Callable[[Audience, str, Found], None]


@dataclass(slots=True)
class _WatchedSession:
    """`due`: when it may be looked at next. `untold`: audiences that do not have `told` yet."""

    audiences: set[Audience] = field(default_factory=set)
    untold: set[Audience] = field(default_factory=set)
    pane: str = ""
    due: float = 0.0
    is_heard: bool = True
    told: Found | None = None


class LiveScreens:
    """Looks at screens in a thread of its own. `tell` gets an audience, a session, and its screen or why there is none;
    `on_panes` gets the panes that are watched.
    """

    def __init__(self, tell: Tell, on_panes: Callable[[frozenset[str]], None] = lambda _: None) -> None:
        self._tell, self._on_panes = tell, on_panes
        self._changed = threading.Condition()
        self._watched: dict[str, _WatchedSession] = {}
        self._panes: frozenset[str] = frozenset()
        self._stopped = False

    def watch(self, audience: Audience, session_ids: Iterable[str]) -> None:
        """Take all sessions that an audience watches; those that it named before and names no more are let go."""
        wanted = set(session_ids)
        with self._changed:
            for session_id in wanted:
                self._enter(audience, self._watched.setdefault(session_id, _WatchedSession()))
            for session_id, watched in list(self._watched.items()):
                if session_id not in wanted:
                    watched.audiences.discard(audience)
                    watched.untold.discard(audience)
                if not watched.audiences:
                    del self._watched[session_id]
            self._changed.notify_all()

    def _enter(self, audience: Audience, watched: _WatchedSession) -> None:
        if audience not in watched.audiences:
            watched.audiences.add(audience)
            watched.untold.add(audience)
            watched.is_heard = True
            if isinstance(watched.told, TeleclaudeError):
                watched.due = 0.0

    def wrote(self, panes: list[str]) -> None:
        """Note that panes wrote."""
        if not self._watched:
            return
        with self._changed:
            for watched in self._watched.values():
                watched.is_heard = watched.is_heard or watched.pane in panes
            self._changed.notify_all()

    def stop(self) -> None:
        """End `run`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self, capture: Capture) -> None:
        """Look until stopped; for a thread of its own. `capture` gives (pane, screen) of a session."""
        while True:
            with self._changed:
                due = self._take_due()
                if self._stopped:
                    return
                late = set(list(self._watched)[AT_ONCE:])
            for session_id, watched in due:
                self._look(session_id, watched, capture, is_one_too_many=session_id in late)
            self._tell_panes()

    def _take_due(self) -> list[tuple[str, _WatchedSession]]:
        """Wait for screens that are due, or for another set of them."""
        now = time.monotonic()
        due = [(key, watched) for key, watched in self._watched.items() if _due(watched) <= now]
        if not due and not self._stopped and self._panes == self._panes_now():
            times = [_due(watched) for watched in self._watched.values()]
            wait = min(times, default=float("inf")) - now
            self._changed.wait(wait if wait < threading.TIMEOUT_MAX else None)
        return due

    def _look(self, session_id: str, watched: _WatchedSession, capture: Capture, *, is_one_too_many: bool) -> None:
        watched.is_heard, watched.due = False, time.monotonic() + EVERY
        try:
            if is_one_too_many:
                raise TooLarge(f"{AT_ONCE} sessions are watched already")
            watched.pane, found = capture(session_id)
        except (NotFound, TooLarge) as error:
            watched.pane, watched.due = "", float("inf")
            self._show(session_id, watched, error)
        except TeleclaudeError as error:
            log.debug("session %s cannot be shown: %s", session_id, error.message)
            watched.due += UNHEARD
        else:
            self._show(session_id, watched, found)

    def _show(self, session_id: str, watched: _WatchedSession, found: Found) -> None:
        with self._changed:
            is_same = isinstance(found, LiveScreen) and found == watched.told
            audiences = set(watched.untold if is_same else watched.audiences)
            watched.told = found
            watched.untold.difference_update(audiences)
        for audience in audiences:
            self._tell(audience, session_id, found)

    def _tell_panes(self) -> None:
        with self._changed:
            panes = self._panes_now()
        if panes != self._panes:
            self._panes = panes
            self._on_panes(panes)

    def _panes_now(self) -> frozenset[str]:
        return frozenset(watched.pane for watched in self._watched.values() if watched.pane)


def _due(watched: _WatchedSession) -> float:
    return watched.due if watched.is_heard else watched.due + UNHEARD
