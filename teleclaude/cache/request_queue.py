"""The lane back: requests from the web process to the sync process, and outcomes to whoever asked.

Rules: a request is handed over once; one whose deadline has passed is never handed over, and its asker is told
that it did not run. It knows no sockets and takes no lock: its caller has one.
"""

from __future__ import annotations

from collections import deque

from teleclaude.core.errors import Unavailable
from teleclaude.core.requests import Outcome, Request, failed

QUEUE_LIMIT = 1000


class Lane:
    """Requests that wait for the sync process, and who asked for those that are under way."""

    def __init__(self) -> None:
        self._waiting: deque[Request] = deque()
        self._askers: dict[str, tuple[str, float]] = {}  # request id to (subscriber, deadline)

    def submit(self, subscriber: str, request: Request) -> None:
        """Take a request. Raises Unavailable when too many wait."""
        if len(self._waiting) >= QUEUE_LIMIT:
            raise Unavailable("too many commands are waiting: the sync process does not keep up")
        self._waiting.append(request)
        self._askers[request.id] = (subscriber, request.deadline)

    def take(self, now: float) -> list[Request]:
        """Hand over all requests that wait and may still run."""
        taken = [request for request in self._waiting if request.deadline > now]
        self._waiting.clear()
        return taken

    def finish(self, outcome: Outcome) -> str | None:
        """Give the subscriber that waits for this outcome; None when nobody does any more."""
        asker = self._askers.pop(outcome.id, None)
        return asker[0] if asker else None

    def expire(self, now: float) -> list[tuple[str, Outcome]]:
        """Drop what is too late; give (subscriber, outcome) for requests that were never handed over."""
        late = [request for request in self._waiting if request.deadline <= now]
        self._waiting = deque(request for request in self._waiting if request.deadline > now)
        told: list[tuple[str, Outcome]] = []
        for request in late:
            outcome = failed(
                request.id, Unavailable("the sync process did not take the command in time; it did not run")
            )
            asker = self.finish(outcome)
            if asker:
                told.append((asker, outcome))
        for request_id in [rid for rid, (_, deadline) in self._askers.items() if deadline + 60 <= now]:
            del self._askers[request_id]
        return told

    def next_deadline(self) -> float | None:
        """Monotonic time of the first deadline among the waiting."""
        return min((request.deadline for request in self._waiting), default=None)

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return len(self._waiting)
