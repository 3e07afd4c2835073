"""What the journal of sessions is told of each change of this computer's records."""

from __future__ import annotations

from collections.abc import Callable

from teleclaude.core.records import Kind, Session
from teleclaude.sync.own_records import Listener, OwnChange
from teleclaude.sync.sessions.identities import Identities
from teleclaude.sync.sessions.session_journal import SessionJournal


def notes_of(journal: SessionJournal, agent_session: Callable[[str], str], identities: Identities) -> Listener:
    """Make the listener. `agent_session` gives the agent's own id of its session, by pane."""

    def note(kind: Kind, change: OwnChange) -> None:
        for key, row in change.rows.items() if kind == "sessions" else ():
            if isinstance(row, Session):
                identity = identities.get(row.tmux.pane)
                journal.saw(row, agent_session(row.tmux.pane), identity.title if identity else "")
            else:
                journal.gone(key)

    return note
