"""Who looks at what: by client, computer and kind. Interest goes with the client that had it.

It is what drives everything between computers: no interest, no pull, no push (DESIGN.md, section 6).
"""

from __future__ import annotations

from collections.abc import Iterable

from teleclaude.core.records import EVERYWHERE, Kind, Scope


class InterestTable:
    """The interest of all clients of this computer. `version` counts the changes of the sum."""

    def __init__(self) -> None:
        self.version = 0
        self._wants: dict[tuple[str, str], frozenset[Scope]] = {}
        self._sum: dict[str, frozenset[Kind]] = {}

    def set(self, subscriber: str, client: str, wants: Iterable[Scope]) -> bool:
        """Say all that one client looks at; nothing ends it. True when the sum changed."""
        found = frozenset(wants)
        if found:
            self._wants[subscriber, client] = found
        else:
            self._wants.pop((subscriber, client), None)
        return self._recount()

    def drop(self, subscriber: str) -> bool:
        """Drop all clients of a web process that is gone. True when the sum changed."""
        for owner in [owner for owner in self._wants if owner[0] == subscriber]:
            del self._wants[owner]
        return self._recount()

    def computers(self) -> dict[str, list[Kind]]:
        """The sum: computer, or "*" for every one, to the kinds that somebody looks at, sorted."""
        return {computer: sorted(kinds) for computer, kinds in sorted(self._sum.items())}

    def wants(self, computer: str, kind: Kind) -> bool:
        """Tell whether anybody looks at that."""
        return any(kind in self._sum.get(name, ()) for name in (computer, EVERYWHERE))

    def _recount(self) -> bool:
        total: dict[str, set[Kind]] = {}
        for wants in self._wants.values():
            for computer, kind in wants:
                total.setdefault(computer, set()).add(kind)
        found = {computer: frozenset(kinds) for computer, kinds in total.items()}
        if found == self._sum:
            return False
        self._sum = found
        self.version += 1
        return True
