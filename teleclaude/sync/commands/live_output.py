"""Live output: the screens of watched sessions, sent on when they change.

Contract: at most `AT_ONCE` sessions are watched; a screen is sent when it differs from the last one sent, at most every
`EVERY` seconds, best effort. Each watcher has a watch of its own, so that one who ends his ends nobody else's. A watch
ends by itself, so that one who forgot to end it costs nothing for long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from teleclaude.core.errors import InvalidField, TeleclaudeError, TooLarge
from teleclaude.core.request_wire import OutputFrame

log = logging.getLogger(__name__)

EVERY = 0.100  # seconds
AT_ONCE = 64
LONGEST = 300.0  # seconds
LINES = 200
_UNTOLD = 1.0  # seconds after which a screen is looked at although nothing told of it


@dataclass(slots=True)
class _WatchedSession:
    """`watchers`: until when each watches (monotonic)."""

    watchers: dict[str, float] = field(default_factory=dict)
    pane: str = ""
    due: float = 0.0
    is_told: bool = True
    sent: str | None = None


Capture = Callable[[str, int], tuple[str, str]]


class LiveScreens:
    """Sends screens from a thread of its own. `emit` sends a frame on; `on_panes` gets the panes that are watched."""

    def __init__(
        self,
        computer: str,
        emit: Callable[[OutputFrame], None],
        on_panes: Callable[[frozenset[str]], None] = lambda _: None,
    ) -> None:
        self._computer, self._emit, self._on_panes = computer, emit, on_panes
        self._changed = threading.Condition()
        self._watched: dict[str, _WatchedSession] = {}
        self._stopped = False

    def watch(self, session_id: str, watcher: str, seconds: float) -> None:
        """Let a watcher watch a session for `seconds` at least, 0 to stop. Raises InvalidField, TooLarge.

        `watcher` is the name of a computer; "" for the clients of this one.
        """
        if not 0 <= seconds <= LONGEST:
            raise InvalidField("seconds", f"must be from 0 to {LONGEST:.0f}")
        with self._changed:
            if not seconds:
                self._drop(session_id, watcher)
                return
            if session_id not in self._watched and len(self._watched) >= AT_ONCE:
                raise TooLarge(f"{AT_ONCE} sessions are watched already")
            watchers = self._watched.setdefault(session_id, _WatchedSession()).watchers
            watchers[watcher] = max(watchers.get(watcher, 0.0), time.monotonic() + seconds)
            self._changed.notify_all()

    def _drop(self, session_id: str, watcher: str) -> None:
        known = self._watched.get(session_id)
        if known:
            known.watchers.pop(watcher, None)
            self._changed.notify_all()

    def wrote(self, panes: list[str]) -> None:
        """Note that panes wrote."""
        if not self._watched:
            return
        with self._changed:
            for watched in self._watched.values():
                watched.is_told = watched.is_told or watched.pane in panes
            self._changed.notify_all()

    def stop(self) -> None:
        """End `run`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self, capture: Capture) -> None:
        """Send screens until stopped; for a thread of its own. `capture` gives (pane, screen) of a session."""
        while True:
            with self._changed:
                due = self._take_due()
                if self._stopped:
                    return
            for session_id, watched in due:
                self._look(session_id, watched, capture)
            if due:
                self._on_panes(frozenset(watched.pane for watched in list(self._watched.values())))

    def _take_due(self) -> list[tuple[str, _WatchedSession]]:
        """Wait for screens that are due, and for watches that are over."""
        now = time.monotonic()
        self._end_watches(now)
        due = [(key, watched) for key, watched in self._watched.items() if _due(watched) <= now]
        if not due and not self._stopped:
            times = [min(_due(watched), *watched.watchers.values()) for watched in self._watched.values()]
            self._changed.wait(min(times) - now if times else None)
        return due

    def _end_watches(self, now: float) -> None:
        for session_id, watched in list(self._watched.items()):
            watched.watchers = {name: until for name, until in watched.watchers.items() if until > now}
            if not watched.watchers:
                del self._watched[session_id]

    def _look(self, session_id: str, watched: _WatchedSession, capture: Capture) -> None:
        watched.is_told, watched.due = False, time.monotonic() + EVERY
        try:
            watched.pane, screen = capture(session_id, LINES)
            if screen != watched.sent:
                self._emit(OutputFrame(self._computer, session_id, screen))
                watched.sent = screen
        except TeleclaudeError as error:
            log.debug("session %s cannot be shown: %s", session_id, error.message)
            watched.due += _UNTOLD


def _due(watched: _WatchedSession) -> float:
    return watched.due if watched.is_told else watched.due + _UNTOLD
