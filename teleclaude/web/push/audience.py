"""Those who look at the same: one event's bytes go to each of them, and nothing is in the way of that.

Telling many is most of what the web process does. So what is called for each client is what its box keeps in
`sending`: the socket's own `send` nearly always, with no call of ours around it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol


class Box(Protocol):
    """Where the frames of one client go.

    `sending` holds one function, which takes bytes and gives how many it took, as a socket's `send` does; the box puts
    another one there for as long as frames have to wait. What that raises or leaves over comes back to the box.
    """

    sending: list[Callable[[bytes], int]]

    def push(self, data: bytes) -> None:
        """Send an event."""
        ...

    def push_state(self, data: bytes) -> None:
        """Send a state."""
        ...

    def push_newest(self, place: Hashable, make: Callable[[], bytes]) -> None:
        """Send the newest of what is only good while it is that."""
        ...

    def forget_newest(self, place: Hashable) -> None:
        """Send nothing of a place that still waits."""
        ...

    def restart(self) -> None:
        """Drop what waits."""
        ...

    def not_sent(self, data: bytes, error: OSError) -> None:
        """Take what could not be sent now, or never."""
        ...

    def sent_partly(self, data: bytes, size: int) -> None:
        """Take what was not sent behind the first `size` bytes."""
        ...


class Audience:
    """Boxes by the name of their client."""

    def __init__(self) -> None:
        self._boxes: dict[str, tuple[list[Callable[[bytes], int]], Box]] = {}

    def __bool__(self) -> bool:
        """Tell whether anybody is there."""
        return bool(self._boxes)

    def join(self, name: str, box: Box) -> None:
        """Take a client's box."""
        self._boxes[name] = (box.sending, box)

    def leave(self, name: str) -> None:
        """Forget a client's box."""
        self._boxes.pop(name, None)

    def push(self, data: bytes) -> None:
        """Send an event to all."""
        size = len(data)
        for sending, box in self._boxes.values():
            try:
                sent = sending[0](data)
            except OSError as error:
                box.not_sent(data, error)
                continue
            if sent != size:
                box.sent_partly(data, sent)
