"""Events that wait for the loop's thread. Any thread may put them, and none of them waits, but a reader that is ahead.

Each kind is bounded in its own way, for Redis may be away for long: of screens, interest and what is watched only the
newest waits, commands are refused when too many wait, and readers wait for room. Changes of this computer's records do
not wait here: the loop asks for what came since it asked last.
"""

from __future__ import annotations

import threading
from collections import deque

from teleclaude.sync.fleet.node_events import CommandGiven, Event, InterestChanged, ScreenChanged, WatchChanged

COMMANDS_LIMIT = 1000
ROOM = 200  # events that wait; readers wait when there are more


class Mailbox:
    """See the module."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: deque[Event] = deque()
        self._interest: InterestChanged | None = None
        self._watch: WatchChanged | None = None
        self._screens: dict[str, ScreenChanged] = {}
        self._commands = 0
        self._nudged = False
        self._closed = False

    def put(self, event: Event) -> None:
        """Have an event told, soon."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def put_when_room(self, event: Event) -> None:
        """Have an event told, once not too many wait. For readers."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) < ROOM or self._closed)
            self._events.append(event)
            self._changed.notify_all()

    def put_command(self, event: CommandGiven) -> bool:
        """Have a command told. False when too many wait already."""
        with self._changed:
            if self._commands >= COMMANDS_LIMIT or self._closed:
                return False
            self._commands += 1
        self.put(event)
        return True

    def screen_changed(self, event: ScreenChanged) -> None:
        """Have a screen told, in place of an older one of that session."""
        with self._changed:
            self._screens[event.session_id] = event
            self._changed.notify_all()

    def watch_changed(self, event: WatchChanged) -> None:
        """Have told what is watched, in place of what was told before."""
        with self._changed:
            self._watch = event
            self._changed.notify_all()

    def interest_changed(self, event: InterestChanged) -> None:
        """Have the interest told, in place of an older one."""
        with self._changed:
            self._interest = event
            self._changed.notify_all()

    def nudge(self) -> None:
        """Wake the loop, with nothing to tell."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def close(self) -> None:
        """Wake the loop, and whoever waits for room: nothing more is read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def take(self, timeout: float) -> list[Event]:
        """Wait for something to tell, at most `timeout` seconds, and give it all."""
        with self._changed:
            self._changed.wait_for(self._has_something, timeout)
            events: list[Event] = [event for event in (self._interest, self._watch) if event]
            events += self._events
            events += self._screens.values()
            self._events.clear()
            self._screens.clear()
            self._interest = self._watch = None
            self._nudged, self._commands = False, 0
            self._changed.notify_all()  # readers that wait for room
            return events

    def _has_something(self) -> bool:
        return bool(self._events or self._interest or self._watch or self._screens or self._nudged or self._closed)
