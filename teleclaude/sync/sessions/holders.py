"""What of tmux has an identity, and what tmux shows of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from teleclaude.sync.sessions.identities import Holder
from teleclaude.sync.tmux.panes import Pane


def holders_of(panes: Iterable[Pane], home: Mapping[str, Pane], agents: Iterable[str]) -> list[Holder]:
    """What has an identity: all sessions, and panes with an agent."""
    sessions: dict[str, Holder] = {}
    for pane in panes:
        if pane.session not in sessions or (pane.is_active and pane.is_current):
            sessions[pane.session] = Holder(pane.session, pane.session_mark, pane.session, pane.mark)
    return [*sessions.values(), *(Holder(pane, home[pane].mark, home[pane].session) for pane in agents)]


def options_of(panes: Iterable[Pane]) -> dict[str, str]:
    """The options of all sessions and panes, as they are in tmux."""
    found: dict[str, str] = {}
    for pane in panes:
        found[pane.session] = pane.session_mark
        found[pane.id] = pane.mark
    return found
