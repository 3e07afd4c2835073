"""Who watches which screens, and the newest screen of each: what a client gets that begins to watch, or fell behind.

Rules of this module:
- What is watched is a state, said whole to the sync process whenever it changes: all that clients watch together.
- A client's watch ends with it, with its `unwatch`, or with the screen; a client that comes back says it again.
- Of screens only the newest waits for a client that does not read (outbox.py), behind all events.

It knows no sockets and no gevent. Its callbacks `on_change` and `version` are given by who puts the parts together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from teleclaude.core.errors import TooLarge, from_code
from teleclaude.core.request_wire import OutputEndFrame, OutputFrame, WatchedFrame
from teleclaude.web.push import frames

WATCHES_LIMIT = 16  # sessions that one client watches
Place: TypeAlias = tuple[str, str]  # computer, session id


class NewestBox(Protocol):
    """Where the frames of one client go, as far as it is needed here."""

    def push(self, data: bytes) -> None:
        """Send an event."""
        ...

    def push_newest(self, place: Place, make: Callable[[], bytes]) -> None:
        """Send what `make` gives, or, when something waits already, what it gives then; once for a place."""
        ...

    def forget_newest(self, place: Place) -> None:
        """Send nothing of a place that still waits."""
        ...


class Watches:
    """See the module. `version` gives the number of what clients are shown; `on_change` is told of another set."""

    def __init__(self, version: Callable[[], int], on_change: Callable[[], None]) -> None:
        self._version, self._on_change = version, on_change
        self._watchers: dict[Place, dict[str, NewestBox]] = {}
        self._newest: dict[Place, OutputFrame] = {}
        self._encoded: dict[Place, tuple[int, OutputFrame, bytes]] = {}

    def total(self) -> list[Place]:
        """All that is watched."""
        return sorted(self._watchers)

    def of(self, name: str) -> list[Place]:
        """What one client watches."""
        return [place for place, watchers in self._watchers.items() if name in watchers]

    def start(self, name: str, box: NewestBox, place: Place) -> None:
        """Let a client watch. Raises TooLarge."""
        if place not in (mine := self.of(name)) and len(mine) >= WATCHES_LIMIT:
            raise TooLarge(f"a client watches at most {WATCHES_LIMIT} sessions", field="watch")
        is_first = place not in self._watchers
        self._watchers.setdefault(place, {})[name] = box
        if is_first:
            self._on_change()
        self._push(box, place)

    def stop(self, name: str, place: Place) -> None:
        """End a client's watch; what nobody watches any more is not sent any more."""
        watchers = self._watchers.get(place, {})
        box = watchers.pop(name, None)
        if box is None:
            return
        box.forget_newest(place)
        if not watchers:
            self._watchers.pop(place, None)
            self._newest.pop(place, None)
            self._encoded.pop(place, None)
            self._on_change()

    def leave(self, name: str) -> None:
        """End all that a client watches: it is gone."""
        for place in self.of(name):
            self.stop(name, place)

    def show_again(self, name: str, box: NewestBox) -> None:
        """Give a client that begins anew all that it watches."""
        for place in self.of(name):
            self._push(box, place)

    def receive(self, frame: WatchedFrame) -> None:
        """Tell a screen to whoever watches it; or that nothing more comes of it, and why."""
        place = (frame.computer, frame.session_id)
        watchers = dict(self._watchers.get(place, {}))
        if isinstance(frame, OutputEndFrame):
            error = from_code(frame.code, frame.message, "watch")
            data = {"code": error.code, "message": error.message, "field": "watch", "session_id": frame.session_id}
            for name, box in watchers.items():
                self.stop(name, place)
                box.push(frames.event_of("error", self._version(), data))
        elif watchers:
            self._newest[place] = frame
            for box in watchers.values():
                self._push(box, place)

    def _push(self, box: NewestBox, place: Place) -> None:
        if place in self._newest:
            box.push_newest(place, lambda: self._frame(place))

    def _frame(self, place: Place) -> bytes:
        """The newest screen of a session, with the version of now: encoded once for all who get it."""
        output, version = self._newest[place], self._version()
        known = self._encoded.get(place)
        if known is None or known[0] != version or known[1] is not output:
            data = frames.event_of("session_output", version, _fields(output))
            self._encoded[place] = known = (version, output, data)
        return known[2]


def _fields(output: OutputFrame) -> dict[str, object]:
    screen = output.screen
    cursor = None if screen.cursor is None else {"row": screen.cursor[0], "column": screen.cursor[1]}
    return {
        "computer": output.computer,
        "session_id": output.session_id,
        "text": screen.text,
        "rows": len(screen.rows),
        "columns": screen.columns,
        "cursor": cursor,
        "alternate": screen.alternate,
    }
