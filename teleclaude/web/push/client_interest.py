"""Tells the cache what the clients look at: the present state of each, in order, again after every new link."""

from __future__ import annotations

import logging
from collections.abc import Callable

import gevent
from gevent.event import Event

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.records import Scope
from teleclaude.web.api.calls import Calls
from teleclaude.web.push.hub import Client, Hub

log = logging.getLogger(__name__)

RETRY_AFTER = 0.5  # seconds


class InterestReporter:
    """One greenlet that says what changed, so that two words about one client never overtake each other.

    `say` is the door's set_interest(subscriber, client, wants); `subscriber` gives the name on the feed, or empty.
    """

    def __init__(
        self,
        hub: Hub,
        calls: Calls,
        say: Callable[[str, str, list[Scope]], None],
        subscriber: Callable[[], str],
    ) -> None:
        self._hub, self._calls, self._say, self._subscriber = hub, calls, say, subscriber
        self._unsaid: dict[str, None] = {}
        self._news = Event()

    def note(self, client: Client) -> None:
        """Remember that a client's wants changed, or that it left."""
        self._unsaid[client.name] = None
        self._news.set()

    def begin_anew(self) -> None:
        """Say everything again: the cache forgets with the link."""
        self._unsaid = {name: None for name, client in self._hub.clients.items() if client.wants}
        self._news.set()

    def run(self) -> None:
        """Say what is unsaid, for ever."""
        while True:
            self._news.wait()
            self._news.clear()
            while self._unsaid and (subscriber := self._subscriber()):
                self._say_one(subscriber)

    def _say_one(self, subscriber: str) -> None:
        name = next(iter(self._unsaid))
        del self._unsaid[name]
        client = self._hub.clients.get(name)
        wants = sorted(client.wants) if client else []
        try:
            self._calls.run(self._say, subscriber, name, wants)
        except TeleclaudeError as error:
            log.info("cannot tell the cache what a client looks at; trying again: %s", error)
            self._unsaid.setdefault(name)
            gevent.sleep(RETRY_AFTER)
