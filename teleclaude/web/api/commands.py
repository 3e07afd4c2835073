"""Commands on their way to the sync process: handed over once, answered with one outcome or *unknown*."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import AsyncResult

from teleclaude.core.errors import OutcomeUnknown, Unavailable
from teleclaude.core.requests import Args, Outcome, Request, check, error_of, new_id
from teleclaude.web.api.calls import Calls

DEADLINE = 10.0  # seconds in which a command may begin
GRACE = 0.5  # seconds more, in which its outcome may arrive


class Commands:
    """Requests under way. `submit` is the door's; `subscriber` gives the name on the feed, or empty."""

    def __init__(
        self,
        calls: Calls,
        submit: Callable[[str, Request], None],
        subscriber: Callable[[], str],
    ) -> None:
        self._calls, self._submit, self._subscriber = calls, submit, subscriber
        self._waiting: dict[str, AsyncResult] = {}

    @property
    def under_way(self) -> int:
        """Number of requests without an outcome."""
        return len(self._waiting)

    def run(self, computer: str, args: Args) -> dict[str, Any]:
        """Run a command on a computer; gives its data.

        Raises InvalidField for arguments over a limit, Unavailable when it was not handed over, OutcomeUnknown when
        nobody said how it ended, and whatever error its outcome tells.
        """
        check(args)
        subscriber = self._subscriber()
        if not subscriber:
            raise Unavailable("the cache does not answer; the command was not run")
        request = Request(id=new_id(), computer=computer, args=args, deadline=time.monotonic() + DEADLINE)
        result = self._waiting[request.id] = AsyncResult()
        try:
            self._calls.run(self._submit, subscriber, request)
            got: Any = result.get(timeout=request.deadline - time.monotonic() + GRACE)
            outcome: Outcome = got
        except gevent.Timeout:
            raise OutcomeUnknown(f"{computer} did not say in time how the command ended") from None
        finally:
            del self._waiting[request.id]
        error = error_of(outcome)
        if error is not None:
            raise error
        return outcome.data

    def receive_outcome(self, outcome: Outcome) -> None:
        """Give an outcome to whoever waits for it."""
        result = self._waiting.get(outcome.id)
        if result is not None:
            result.set(outcome)

    def lose_link(self) -> None:
        """The feed is lost, and with it all outcomes that were to come on it."""
        for result in self._waiting.values():
            result.set_exception(OutcomeUnknown("the cache went away before it could tell how the command ended"))
