"""When a key came last in a client of tmux, from looks and peeks: tmux notes the time of it with the session. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from teleclaude.sync.tmux.panes import Look, Peek


class LastKey:
    """`at`: seconds since 1970; 0 while none was seen. Only sessions that somebody is attached to count."""

    def __init__(self) -> None:
        self.at = 0
        self._attached: frozenset[str] = frozenset()  # panes

    def looked(self, look: Look) -> None:
        """Take a look."""
        attached = [pane for pane in look.panes if pane.attached]
        self._attached = frozenset(pane.id for pane in attached)
        self.at = max([self.at, *(pane.session_activity for pane in attached)])

    def peeked(self, peeks: Iterable[Peek]) -> None:
        """Take peeks."""
        self.at = max([self.at, *(peek.session_activity for peek in peeks if peek.id in self._attached)])
