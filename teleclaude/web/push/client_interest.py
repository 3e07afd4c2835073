"""What all clients of this computer look at together: each one's interest goes with it.

It is what drives everything between computers: no interest, no pull, no push (DESIGN.md, section 6). It knows no
sockets.
"""

from __future__ import annotations

from collections import Counter

from teleclaude.core.records import Kind, Scope
from teleclaude.web.push.hub import Client


class ClientInterest:
    """The sum of what clients look at."""

    def __init__(self) -> None:
        self._noted: dict[str, frozenset[Scope]] = {}  # by client
        self._lookers: Counter[Scope] = Counter()

    def note(self, client: Client) -> bool:
        """Take what a client looks at now; nothing when it left. True when the sum changed."""
        before = self._noted.pop(client.name, frozenset[Scope]())
        if client.interest:
            self._noted[client.name] = client.interest
        old = {scope for scope in before | client.interest if self._lookers[scope]}
        self._lookers.update(client.interest)
        self._lookers.subtract(before)
        self._lookers = +self._lookers
        return old != {scope for scope in before | client.interest if self._lookers[scope]}

    def total(self) -> dict[str, list[Kind]]:
        """Give the sum: computer, or "*" for every one, to the kinds that somebody looks at, sorted."""
        found: dict[str, list[Kind]] = {}
        for computer, kind in sorted(self._lookers):
            found.setdefault(computer, []).append(kind)
        return found
