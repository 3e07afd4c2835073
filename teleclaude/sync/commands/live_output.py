"""Live output: the screens of watched sessions, sent on when they change.

Contract: at most `AT_ONCE` sessions are watched; a screen is sent when it differs from the last one sent, at most every
`EVERY` seconds, best effort. A watch ends by itself, so that one who forgot to end it costs nothing for long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from teleclaude.cache.wire import OutputFrame
from teleclaude.core.errors import InvalidField, TeleclaudeError, TooLarge

log = logging.getLogger(__name__)

EVERY = 0.100  # seconds
AT_ONCE = 64
LONGEST = 300.0  # seconds
LINES = 200
_UNTOLD = 1.0  # seconds after which a screen is looked at although nothing told of it


@dataclass(slots=True)
class _Watch:
    until: float
    pane: str = ""
    due: float = 0.0
    is_told: bool = True
    sent: str | None = None


Capture = Callable[[str, int], tuple[str, str]]


class Watches:
    """Sends screens from a thread of its own. `capture` gives (pane, screen), `emit` sends a frame on."""

    def __init__(self, computer: str, emit: Callable[[OutputFrame], None]) -> None:
        self._computer, self._emit = computer, emit
        self._changed = threading.Condition()
        self._watches: dict[str, _Watch] = {}
        self._stopped = False
        self.capture: Capture = lambda *_: ("", "")
        self.on_panes: Callable[[frozenset[str]], None] = lambda _: None

    def watch(self, session_id: str, seconds: float) -> None:
        """Watch a session for `seconds`, 0 to stop. Raises InvalidField, TooLarge."""
        if not 0 <= seconds <= LONGEST:
            raise InvalidField("seconds", f"must be from 0 to {LONGEST:.0f}")
        with self._changed:
            known = self._watches.get(session_id)
            if not seconds:
                self._watches.pop(session_id, None)
            elif known:
                known.until = time.monotonic() + seconds
            elif len(self._watches) >= AT_ONCE:
                raise TooLarge(f"{AT_ONCE} sessions are watched already")
            else:
                self._watches[session_id] = _Watch(time.monotonic() + seconds)
            self._changed.notify_all()

    def wrote(self, panes: list[str]) -> None:
        """Note that panes wrote."""
        if not self._watches:
            return
        with self._changed:
            for watch in self._watches.values():
                watch.is_told = watch.is_told or watch.pane in panes
            self._changed.notify_all()

    def stop(self) -> None:
        """End `run`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self) -> None:
        """Send screens until stopped; for a thread of its own."""
        while True:
            with self._changed:
                due = self._take_due()
                if self._stopped:
                    return
            for session_id, watch in due:
                self._look(session_id, watch)
            if due:
                self.on_panes(frozenset(watch.pane for watch in list(self._watches.values())))

    def _take_due(self) -> list[tuple[str, _Watch]]:
        """Wait for screens that are due, and for watches that are over."""
        now = time.monotonic()
        for session_id in [key for key, watch in self._watches.items() if watch.until <= now]:
            del self._watches[session_id]
        due = [(key, watch) for key, watch in self._watches.items() if _due(watch) <= now]
        if not due and not self._stopped:
            times = [min(_due(watch), watch.until) for watch in self._watches.values()]
            self._changed.wait(min(times) - now if times else None)
        return due

    def _look(self, session_id: str, watch: _Watch) -> None:
        watch.is_told, watch.due = False, time.monotonic() + EVERY
        try:
            watch.pane, screen = self.capture(session_id, LINES)
            if screen != watch.sent:
                self._emit(OutputFrame(self._computer, session_id, screen))
                watch.sent = screen
        except TeleclaudeError as error:
            log.debug("session %s cannot be shown: %s", session_id, error.message)
            watch.due += _UNTOLD


def _due(watch: _Watch) -> float:
    return watch.due if watch.is_told else watch.due + _UNTOLD
