"""Live output: a session's output is sent to the feed for a while after somebody asked, and again while they watch."""

from __future__ import annotations

import logging

import gevent
from gevent.event import Event

from teleclaude.core.errors import TeleclaudeError, TooLarge
from teleclaude.core.verbs import Watch
from teleclaude.web.api.pending_commands import PendingCommands
from teleclaude.web.api.queries import Queries
from teleclaude.web.push.hub import Client, Hub
from teleclaude.web.push.subscriptions import WATCHES_LIMIT

log = logging.getLogger(__name__)

LEASE = 30.0  # seconds for which output is sent after a request
RENEW_EVERY = 12.0  # seconds


class Watches:
    """Who watches is in the hub; this keeps the sync process at it."""

    def __init__(self, hub: Hub, commands: PendingCommands, queries: Queries) -> None:
        self._hub, self._commands, self._queries = hub, commands, queries
        self._somebody = Event()

    def start(self, client: Client, prefix: str) -> None:
        """Let a client watch. Raises NotFound, Ambiguous, TooLarge, or the error of the command."""
        row, _ = self._queries.session(prefix)
        if len(client.watched) >= WATCHES_LIMIT:
            raise TooLarge(f"a client watches at most {WATCHES_LIMIT} sessions", field="watch")
        client.watched.add(row.session_id)  # before the command: its first output must find somebody
        try:
            self._commands.run(row.computer, Watch(session_id=row.session_id, seconds=LEASE))
        except TeleclaudeError:
            client.watched.discard(row.session_id)
            raise
        self._somebody.set()

    def stop(self, client: Client, prefix: str) -> None:
        """End a client's watching; what nobody watches any more is not sent any more."""
        for session_id in [found for found in client.watched if found.startswith(prefix)]:
            client.watched.discard(session_id)
            if session_id not in self._hub.watched():
                gevent.spawn(self._say, session_id, 0.0)

    def run(self) -> None:
        """Renew what is watched, for ever; asleep while nobody watches."""
        while True:
            self._somebody.wait()
            gevent.sleep(RENEW_EVERY)
            watched = self._hub.watched()
            if not watched:
                self._somebody.clear()
            for session_id in watched:
                gevent.spawn(self._say, session_id, LEASE)

    def _say(self, session_id: str, seconds: float) -> None:
        try:
            row, _ = self._queries.session(session_id)
            self._commands.run(row.computer, Watch(session_id=session_id, seconds=seconds))
        except (TeleclaudeError, OSError) as error:
            log.info("cannot watch a session: %s", error)
