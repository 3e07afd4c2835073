"""Where a reader stands in the daemon's changes, and what it therefore asks for after a reconnect.

Rules of this module:
- Each scope (a kind of a computer's records) stands at the version of its last snapshot or change.
- A change that comes in order moves every scope: what changed in the others would have come before it.
- Between a resume and its `resumed` nothing moves: those events all carry the present version, and a connection
  that breaks in their midst must be able to ask for the rest.
- Only scopes that have had a snapshot in this epoch may be resumed; the others are subscribed to afresh.

It knows no socket and no thread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeAlias

from teleclaude.client.events import EVERY, Changed, Connected, Message, Replaced, Resumed
from teleclaude.core.records import Kind

Scope: TypeAlias = tuple[str, Kind]  # computer (or "*") and kind
_COMPUTERS: Scope = (EVERY, "computers")


class Position:
    """Epoch, and the version of each scope."""

    def __init__(self) -> None:
        self.epoch = ""
        self._versions: dict[Scope, int] = {}
        self._is_resuming = False

    def receive(self, message: Message) -> None:
        """Move by what was received."""
        match message:
            case Connected():
                if message.epoch != self.epoch:
                    self.epoch = message.epoch
                    self._versions.clear()
                    self._is_resuming = False
            case Replaced():
                scope = _COMPUTERS if message.kind == "computers" else (message.computer, message.kind)
                if not self._is_resuming:
                    self._versions[scope] = message.version
            case Changed() if not self._is_resuming:
                self._all_at(message.version)
            case Resumed():
                self._is_resuming = False
                self._all_at(message.version)
            case _:
                pass

    def opening_to_send(self, wanted: Iterable[Scope]) -> list[dict[str, Any]]:
        """Give what to send after the hello of a new connection, to have `wanted` from now on."""
        scopes = set(wanted)
        self.forget({scope for scope in self._versions if scope not in scopes and scope != _COMPUTERS})
        known = {scope for scope in scopes if scope in self._versions}
        if not known or _COMPUTERS not in self._versions:
            self._is_resuming = False
            return subscriptions("subscribe", scopes)
        self._is_resuming = True
        resume = {"epoch": self.epoch, "version": min(self._versions.values())}
        first = {"resume": resume, "subscribe": _grouped(known)}
        return [first, *subscriptions("subscribe", scopes - known)]

    def forget(self, scopes: Iterable[Scope]) -> None:
        """Drop scopes that nobody wants any more."""
        for scope in scopes:
            self._versions.pop(scope, None)

    def _all_at(self, version: int) -> None:
        for scope, here in self._versions.items():
            self._versions[scope] = max(here, version)


def subscriptions(verb: str, scopes: Iterable[Scope]) -> list[dict[str, Any]]:
    """Give the message that subscribes to, or unsubscribes from, `scopes`; none for no scopes."""
    grouped = _grouped(scopes)
    return [{verb: grouped}] if grouped else []


def _grouped(scopes: Iterable[Scope]) -> list[dict[str, Any]]:
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for computer, kind in sorted(scopes):
        kinds[computer].append(kind)
    return [{"computer": computer, "types": types} for computer, types in kinds.items()]
