"""Requests of this computer's clients, until the sync process has taken them and said how they ended.

Rules: a request is sent to the newest asker only, and to one at a time; what was sent and not taken when that asker is
lost has not run, and waits for the next; what was taken runs nowhere else. How much waits is bounded, in number and in
bytes. It knows no sockets and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from teleclaude.core.errors import OutcomeUnknown, TeleclaudeError, Unavailable
from teleclaude.core.request_wire import RunFrame, to_bytes
from teleclaude.core.requests import Request

REQUESTS_LIMIT = 1000
BYTES_LIMIT = 32 * 1024 * 1024  # of all requests that are not taken


@dataclass(slots=True)
class _Pending:
    """A request under way. `asker`: to whom it was sent, 0 while it waits. `frame` is empty once it is taken."""

    frame: bytes
    deadline: float
    asker: int = 0
    is_taken: bool = False


class RequestQueue:
    """Requests under way, by id. Askers are numbers, each larger than those before."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._bytes = 0
        self._newest = 0

    def __len__(self) -> int:
        """Give the number of requests under way."""
        return len(self._pending)

    def submit(self, request: Request) -> None:
        """Take a request. Raises Unavailable when too many wait."""
        frame = to_bytes(RunFrame(request))
        if len(self._pending) >= REQUESTS_LIMIT or self._bytes + len(frame) > BYTES_LIMIT:
            raise Unavailable("too many commands are waiting: the sync process does not keep up; it did not run")
        self._pending[request.id] = _Pending(frame, request.deadline)
        self._bytes += len(frame)

    def new_asker(self) -> int:
        """Give the number of an asker that came. Older ones are sent nothing any more."""
        self._newest += 1
        return self._newest

    def to_send(self, asker: int, now: float) -> bytes:
        """Give the frames that this asker is to be sent now. `now`: seconds, monotonic, as in deadlines."""
        if asker != self._newest:
            return b""
        due = [pending for pending in self._pending.values() if not pending.asker and pending.deadline > now]
        for pending in due:
            pending.asker = asker
        return b"".join(pending.frame for pending in due)

    def receive_taken(self, asker: int, request_id: str) -> None:
        """Note that an asker runs a request."""
        pending = self._pending.get(request_id)
        if pending and pending.asker == asker and not pending.is_taken:
            pending.is_taken = True
            self._bytes -= len(pending.frame)
            pending.frame = b""

    def lose_asker(self, asker: int) -> list[str]:
        """Take back what an asker that is gone did not take; give the ids of what it took and did not end."""
        mine = {key: pending for key, pending in self._pending.items() if pending.asker == asker}
        for pending in mine.values():
            pending.asker = 0 if not pending.is_taken else asker
        return [key for key, pending in mine.items() if pending.is_taken]

    def end(self, request_id: str) -> TeleclaudeError:
        """Forget a request; give the error that is right when nobody said how it ended."""
        pending = self._pending.pop(request_id, None)
        self._bytes -= len(pending.frame) if pending else 0
        if pending is None or pending.is_taken:
            return OutcomeUnknown("the sync process did not say how the command ended; it may have run")
        return Unavailable("the sync process did not take the command in time; it did not run")
