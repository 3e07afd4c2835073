"""Commands on their way to the sync process: taken once, answered with one outcome or *unknown*."""

from __future__ import annotations

import time
from typing import Any

import gevent
from gevent.event import AsyncResult, Event

from teleclaude.core.errors import OutcomeUnknown
from teleclaude.core.requests import Args, Outcome, Request, check, error_of, new_id
from teleclaude.web.api.request_queue import RequestQueue

DEADLINE = 10.0  # seconds in which a command may begin
GRACE = 0.5  # seconds more, in which its outcome may arrive


class Commands:
    """Requests under way. `news` is set when there is one to send."""

    def __init__(self, queue: RequestQueue, news: Event) -> None:
        self._queue, self._news = queue, news
        self._waiting: dict[str, AsyncResult] = {}

    @property
    def under_way(self) -> int:
        """Number of requests without an outcome."""
        return len(self._waiting)

    def run(self, computer: str, args: Args) -> dict[str, Any]:
        """Run a command on a computer; gives its data.

        Raises InvalidField for arguments over a limit, Unavailable when it did not run, OutcomeUnknown when nobody
        said how it ended, and whatever error its outcome tells.
        """
        check(args)
        request = Request(id=new_id(), computer=computer, args=args, deadline=time.monotonic() + DEADLINE)
        self._queue.submit(request)
        result = self._waiting[request.id] = AsyncResult()
        self._news.set()
        try:
            got: Any = result.get(timeout=request.deadline - time.monotonic() + GRACE)
            outcome: Outcome = got
        except gevent.Timeout:
            raise self._queue.end(request.id) from None
        finally:
            del self._waiting[request.id]
            self._queue.end(request.id)
        error = error_of(outcome)
        if error is not None:
            raise error
        return outcome.data

    def receive_outcome(self, outcome: Outcome) -> None:
        """Give an outcome to whoever waits for it."""
        result = self._waiting.get(outcome.id)
        if result is not None:
            result.set(outcome)

    def lose_outcomes(self, request_ids: list[str]) -> None:
        """End requests that were taken by a sync process that is gone."""
        for request_id in request_ids:
            result = self._waiting.get(request_id)
            if result is not None:
                result.set_exception(
                    OutcomeUnknown("the sync process ended before it could tell how the command ended; it may have run")
                )
