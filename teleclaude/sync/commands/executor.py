"""Requests for this computer, run once each.

Rules:
- A request whose deadline has passed never runs; a request id runs at most once.
- A request that comes again is given the outcome that it had: those of what acts are kept, bounded in number and
  bytes; what only reads may run again, and its answers, which may be large, are not kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from teleclaude.core.errors import Conflict, OutcomeUnknown, TeleclaudeError, Unavailable
from teleclaude.core.requests import Outcome, Request, failed
from teleclaude.core.verbs import VERBS, Verb, check, verb_name
from teleclaude.sync.commands.actions import Actions

log = logging.getLogger(__name__)

KEPT, KEPT_BYTES = 4096, 4 * 1024 * 1024  # outcomes


class Executor:
    """Runs requests by the method of `actions` that bears the verb's name. `run` may be called from any thread."""

    def __init__(self, actions: Actions, verbs: Mapping[str, Verb] = VERBS) -> None:
        self._actions, self._verbs = actions, verbs
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._outcomes: OrderedDict[str, bytes] = OrderedDict()  # encoded, by request id, oldest first
        self._bytes = 0

    def run(self, request: Request) -> Outcome:
        """Run a request and say how it ended. Raises nothing."""
        with self._lock:
            known = self._outcomes.get(request.id)
            if known:
                return msgspec.msgpack.decode(known, type=Outcome)
            if request.id in self._running:
                return failed(request.id, Conflict("this request is under way already"))
            self._running.add(request.id)
        outcome = self._outcome(request)
        with self._lock:
            self._running.discard(request.id)
            if not self._verbs[verb_name(request.args)].is_read:
                self._keep(outcome)
        return outcome

    def _keep(self, outcome: Outcome) -> None:
        encoded = self._outcomes[outcome.id] = msgspec.msgpack.encode(outcome)
        self._bytes += len(encoded)
        while len(self._outcomes) > KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._outcomes.popitem(last=False)[1])

    def _outcome(self, request: Request) -> Outcome:
        try:
            if request.deadline <= time.monotonic():
                raise Unavailable("the command came too late; it did not run")
            act = getattr(self._actions, verb_name(request.args))
            args = check(request.args)
            self._actions.await_first_look(request)
            data = act(args, request)
        except TeleclaudeError as error:
            return failed(request.id, error)
        except Exception:  # one command's fault must not end the thread that runs commands
            log.exception("a command failed")
            return failed(request.id, OutcomeUnknown("the command failed in an unforeseen way; the log tells more"))
        return Outcome(id=request.id, status="ok", data=data)
