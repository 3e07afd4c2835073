"""Commands for other computers that are under way. Pure: times are time.monotonic() of this computer.

Each ends in one outcome: what the other computer said; *unavailable* when it was certainly never handed over; else
*unknown*. A command may be handed over again under the same id: it runs at most once there.
"""

from __future__ import annotations

from dataclasses import dataclass

from teleclaude.core.errors import OutcomeUnknown, Unavailable
from teleclaude.core.requests import Outcome, Request, failed

LIMIT = 1000


@dataclass
class Sent:
    """One command. `epoch`: the run of the other computer that it was sealed for; empty: not sent yet."""

    request: Request
    epoch: str = ""
    handed: bool = False  # it may have arrived


class Outstanding:
    """All of them, by id."""

    def __init__(self) -> None:
        self._sent: dict[str, Sent] = {}

    def add(self, request: Request) -> Sent:
        """Take a command. Raises Unavailable when too many are under way."""
        if len(self._sent) >= LIMIT:
            raise Unavailable(f"{LIMIT} commands for other computers are under way already")
        self._sent[request.id] = sent = Sent(request)
        return sent

    def waiting_for(self, computer: str) -> list[Sent]:
        """Commands for a computer that nobody answered yet."""
        return [sent for sent in self._sent.values() if sent.request.computer == computer]

    def all(self) -> list[Sent]:
        """All commands."""
        return list(self._sent.values())

    def answered(self, outcome: Outcome, sender: str) -> Sent | None:
        """Take the outcome that `sender` told, and give its command. None when it was not asked, or told it before."""
        sent = self._sent.get(outcome.id)
        if sent is None or sent.request.computer != sender:
            return None
        return self._sent.pop(outcome.id)

    def given_up(self, sent: Sent, reason: str) -> Outcome:
        """Make the outcome of a command that nobody waits for any more."""
        if sent.handed:
            return failed(sent.request.id, OutcomeUnknown(f"{reason}; the command may have run"))
        return failed(sent.request.id, Unavailable(f"{reason}; the command did not run"))

    def fail(self, request_id: str) -> None:
        """Drop a command whose outcome was told otherwise."""
        self._sent.pop(request_id, None)

    def expire(self, now: float) -> list[Outcome]:
        """Give the outcomes of those whose deadline is past."""
        late = [sent for sent in self._sent.values() if sent.request.deadline <= now]
        for sent in late:
            del self._sent[sent.request.id]
        return [_too_late(sent) for sent in late]

    def next_deadline(self) -> float | None:
        """Time of the first deadline."""
        return min((sent.request.deadline for sent in self._sent.values()), default=None)

    def __bool__(self) -> bool:
        """Tell whether anything is under way."""
        return bool(self._sent)


def _too_late(sent: Sent) -> Outcome:
    name = sent.request.computer
    if not sent.handed:
        return failed(sent.request.id, Unavailable(f"{name} could not be reached in time; the command did not run"))
    return failed(sent.request.id, OutcomeUnknown(f"{name} did not say in time how it ended; it may have run"))
