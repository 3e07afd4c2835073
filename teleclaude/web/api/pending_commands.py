"""Commands on their way to the sync process: taken once, answered with one outcome or *unknown*."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import AsyncResult, Event

from teleclaude.core.errors import NotFound, OutcomeUnknown, Unavailable
from teleclaude.core.requests import Outcome, Request, error_of, new_id
from teleclaude.core.verbs import Args, check
from teleclaude.web.api.request_queue import RequestQueue

DEADLINE = 10.0  # seconds in which a command may begin
GRACE = 0.5  # seconds more, in which its outcome may arrive
FLEET_WITHIN = 5.0  # seconds for a sync process that has just started to know the computers that are shown
FLEET_AGAIN = 0.1


class PendingCommands:
    """Requests under way. `news` is set when there is one to send; `is_shown` tells what computers the view has."""

    def __init__(self, queue: RequestQueue, news: Event, is_shown: Callable[[str], bool] = lambda _: False) -> None:
        self._queue, self._news, self._is_shown = queue, news, is_shown
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
        until = time.monotonic() + FLEET_WITHIN
        while True:
            try:
                return self._run_once(computer, args)
            except NotFound as error:
                # The view has that computer: the sync process has just started, and has not heard of the others yet.
                if error.field != "computer" or not self._is_shown(computer):
                    raise
            if time.monotonic() >= until:
                raise Unavailable(f"the sync process does not reach {computer} yet; the command did not run")
            gevent.sleep(FLEET_AGAIN)

    def _run_once(self, computer: str, args: Args) -> dict[str, Any]:
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
