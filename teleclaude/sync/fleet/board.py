"""How the connection to the fleet is, for people: one state, its reason, and since when."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from teleclaude.core.records import Service, ServiceState, utc_text

log = logging.getLogger(__name__)


class Board:
    """Services by name. `on_change` is called after a change, from whichever thread made it; it must be quick."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._services: dict[str, Service] = {}
        self._on_change = on_change

    def show(self, name: str, state: ServiceState, reason: str = "") -> None:
        """Show how a service is."""
        with self._lock:
            known = self._services.get(name)
            if known and (known.state, known.reason) == (state, reason):
                return
            since = known.since if known and known.state == state else utc_text(time.time())
            self._services[name] = Service(name=name, state=state, reason=reason, since=since)
        log.info("%s: %s%s", name, state, f", {reason}" if reason else "")
        self._on_change()

    def hide(self, name: str) -> None:
        """Show a service no more."""
        with self._lock:
            found = self._services.pop(name, None)
        if found:
            self._on_change()

    def clear(self) -> None:
        """Show none."""
        with self._lock:
            self._services.clear()

    def all(self) -> list[Service]:
        """All that is shown, by name."""
        with self._lock:
            return [self._services[name] for name in sorted(self._services)]
