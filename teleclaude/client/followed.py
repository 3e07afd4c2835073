"""What a reader follows and where it stands in it, and what it therefore asks for after a reconnect.

Rules of this module, beyond those of replication/scopes.py:
- Between the hello of a known epoch and its `resumed` no change moves anything: what was missed is still to come, and
  what comes of it carries the present version. A connection that breaks in the midst must be able to ask for all of
  it again. A snapshot moves its own scope as ever.
- Only scopes that have had a snapshot in this epoch may be resumed; the others are subscribed to afresh.
- A scope that was given up on a connection stays unknown on it: what still comes of it is of an earlier subscription.

It knows no socket and no thread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from teleclaude.client.events import Changed, Connected, Message, Replaced, Resumed
from teleclaude.core.records import EVERYWHERE, Scope
from teleclaude.replication.scopes import Scopes
from teleclaude.replication.version import Version

_COMPUTERS: Scope = (EVERYWHERE, "computers")


class Followed:
    """The scopes that are followed over one connection after the other."""

    def __init__(self) -> None:
        self._scopes: Scopes[Scope] = Scopes()
        self._given_up: set[Scope] = set()  # on this connection
        self._is_catching_up = False

    @property
    def epoch(self) -> str:
        """The epoch of the last hello; empty before the first."""
        return self._scopes.epoch

    def receive(self, message: Message) -> None:
        """Move by what was received."""
        match message:
            case Connected():
                self._is_catching_up = not self._scopes.enter(message.epoch)
            case Replaced():
                scope = _COMPUTERS if message.kind == "computers" else (message.computer, message.kind)
                if scope not in self._given_up:
                    self._scopes.replace(scope, Version(message.epoch, message.version))
            case Changed() if not self._is_catching_up:
                self._scopes.reach(message.version)
            case Resumed():
                self._is_catching_up = False
                self._scopes.reach(message.version)
            case _:
                pass

    def opening_to_send(self, wanted: Iterable[Scope]) -> list[dict[str, Any]]:
        """Give what to send after the hello of a new connection, to have `wanted` from now on."""
        scopes = set(wanted)
        self._given_up.clear()
        self._scopes.keep({*scopes, _COMPUTERS})
        known = scopes & self._scopes.numbers.keys()
        if not known or _COMPUTERS not in self._scopes.numbers:
            self._scopes.keep({_COMPUTERS})
            self._is_catching_up = False
            return subscriptions("subscribe", scopes)
        epoch, number = self._scopes.oldest
        first = {"resume": {"epoch": epoch, "version": number}, "subscribe": _grouped(known)}
        return [first, *subscriptions("subscribe", scopes - known)]

    def forget(self, scopes: Iterable[Scope]) -> None:
        """Drop scopes that nobody wants any more."""
        self._given_up.update(scopes)
        self._scopes.keep(self._scopes.numbers.keys() - self._given_up)


def subscriptions(verb: str, scopes: Iterable[Scope]) -> list[dict[str, Any]]:
    """Give the message that subscribes to, or unsubscribes from, `scopes`; none for no scopes."""
    grouped = _grouped(scopes)
    return [{verb: grouped}] if grouped else []


def _grouped(scopes: Iterable[Scope]) -> list[dict[str, Any]]:
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for computer, kind in sorted(scopes):
        kinds[computer].append(kind)
    return [{"computer": computer, "types": types} for computer, types in kinds.items()]
