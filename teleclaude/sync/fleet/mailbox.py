"""Events that wait for the loop's thread. Any thread may put them, and none of them waits, but a reader that is ahead.

Each kind is bounded in its own way, for Redis may be away for long: of screens and interest only the newest waits,
commands are refused when too many wait, and readers wait for room. Changes of this computer's records do not wait here:
the loop asks for what came since it asked last.
"""

from __future__ import annotations

import threading
from collections import deque

from teleclaude.core.request_wire import OutputFrame
from teleclaude.sync.fleet.node_events import CommandGiven, Event, InterestChanged, ScreenChanged

COMMANDS_LIMIT = 1000
ROOM = 200  # events that wait; readers wait when there are more


class Mailbox:
    """See the module."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: deque[Event] = deque()
        self._interest: InterestChanged | None = None
        self._screens: dict[str, OutputFrame] = {}
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

    def screen_changed(self, screen: OutputFrame) -> None:
        """Have a screen told, in place of an older one of that session."""
        with self._changed:
            self._screens[screen.session_id] = screen
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
            events: list[Event] = []
            if self._interest:
                events.append(self._interest)
            events += self._events
            events += [ScreenChanged(screen) for screen in self._screens.values()]
            self._events.clear()
            self._screens.clear()
            self._interest, self._nudged, self._commands = None, False, 0
            self._changed.notify_all()  # readers that wait for room
            return events

    def _has_something(self) -> bool:
        return bool(self._events or self._interest or self._screens or self._nudged or self._closed)
