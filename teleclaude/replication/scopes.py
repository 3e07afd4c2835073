"""What a reader has that is told only parts of a source, its scopes, over a connection that keeps order.

Rules of this module:
- A scope is known from its snapshot on, at that number; what is told of one that is not known is left out.
- Nothing is missing between two things told on one connection, so a change of a known scope follows, and all known
  scopes stand where the last change does (`reach`): what changed in the others would have come before it.
- Numbers of another epoch mean nothing: with a new epoch no scope is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Generic, TypeVar

from teleclaude.replication.version import Version

S = TypeVar("S")


class Scopes(Generic[S]):
    """The number at which each known scope stands, in `epoch`."""

    def __init__(self, epoch: str = "", numbers: Mapping[S, int] | None = None) -> None:
        self.epoch = epoch
        self._numbers: dict[S, int] = dict(numbers or {})

    @property
    def numbers(self) -> Mapping[S, int]:
        """The numbers of the known scopes. A view, not a copy."""
        return self._numbers

    @property
    def oldest(self) -> Version:
        """The version after which all that is known lacks something; there must be a known scope."""
        return Version(self.epoch, min(self._numbers.values()))

    def enter(self, epoch: str) -> bool:
        """Be told of `epoch` from now on. True when it is another one."""
        is_other = epoch != self.epoch
        if is_other:
            self.epoch, self._numbers = epoch, {}
        return is_other

    def replace(self, scope: S, version: Version) -> bool:
        """Take a snapshot of a scope. False when it is older than what is here, or of another epoch."""
        if version.epoch != self.epoch or version.number < self._numbers.get(scope, 0):
            return False
        self._numbers[scope] = version.number
        return True

    def apply(self, scope: S, version: Version) -> bool:
        """Take a change of a scope. False when it is to be left out.

        One with the number that is here is taken: those that answer a resume all carry the same.
        """
        here = self._numbers.get(scope)
        if here is None or version.epoch != self.epoch or version.number < here:
            return False
        self._numbers[scope] = version.number
        return True

    def reach(self, number: int) -> None:
        """Take note that all known scopes have all that there is up to `number`."""
        for scope, here in self._numbers.items():
            self._numbers[scope] = max(here, number)

    def keep(self, scopes: Collection[S]) -> None:
        """Know these only."""
        self._numbers = {scope: number for scope, number in self._numbers.items() if scope in scopes}
