"""Where a reader stands in the daemon's changes, and what it therefore asks for after a reconnect.

Rules of this module:
- Each scope (a kind of a computer's records) stands at the version of its last snapshot or change.
- A change that comes in order moves every scope: what changed in the others would have come before it.
- Not so between the hello of a known epoch and its `resumed`: what was missed is still to come, and what comes of it
  carries the present version. Until then a snapshot moves its own scope, and nothing else moves: a connection that
  breaks in the midst must be able to ask for all of it again.
- Only scopes that have had a snapshot in this epoch may be resumed; the others are subscribed to afresh.
- A scope that was given up on a connection stays unknown on it: what still comes of it is of an earlier subscription.

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
        self._given_up: set[Scope] = set()  # on this connection
        self._is_catching_up = False

    def receive(self, message: Message) -> None:
        """Move by what was received."""
        match message:
            case Connected():
                self._greet(message.epoch)
            case Replaced():
                scope = _COMPUTERS if message.kind == "computers" else (message.computer, message.kind)
                if scope not in self._given_up:
                    self._versions[scope] = message.version
            case Changed() if not self._is_catching_up:
                self._all_at(message.version)
            case Resumed():
                self._is_catching_up = False
                self._all_at(message.version)
            case _:
                pass

    def opening_to_send(self, wanted: Iterable[Scope]) -> list[dict[str, Any]]:
        """Give what to send after the hello of a new connection, to have `wanted` from now on."""
        scopes = set(wanted)
        for scope in [scope for scope in self._versions if scope not in scopes and scope != _COMPUTERS]:
            del self._versions[scope]
        known = {scope for scope in scopes if scope in self._versions}
        self._given_up.clear()
        if not known or _COMPUTERS not in self._versions:
            self._versions = {scope: at for scope, at in self._versions.items() if scope not in known}
            self._is_catching_up = False
            return subscriptions("subscribe", scopes)
        resume = {"epoch": self.epoch, "version": min(self._versions.values())}
        first = {"resume": resume, "subscribe": _grouped(known)}
        return [first, *subscriptions("subscribe", scopes - known)]

    def forget(self, scopes: Iterable[Scope]) -> None:
        """Drop scopes that nobody wants any more."""
        for scope in scopes:
            self._versions.pop(scope, None)
            self._given_up.add(scope)

    def _greet(self, epoch: str) -> None:
        self._is_catching_up = epoch == self.epoch
        if epoch != self.epoch:
            self.epoch = epoch
            self._versions.clear()

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
