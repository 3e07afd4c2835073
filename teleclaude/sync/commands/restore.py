"""Brings back a session that was lost: its agent is resumed by its own means, in its folder, under its id and title.

What is resumed and ends at once is lost again, and started afresh the next time; so is what never told its own id.
"""

from __future__ import annotations

import shlex
import time

from teleclaude.core.errors import Conflict, NotFound
from teleclaude.core.records import Session
from teleclaude.core.settings import Settings
from teleclaude.sync.commands import start as new_session
from teleclaude.sync.commands.session_panes import SessionPanes, left
from teleclaude.sync.commands.session_start import SessionOrder, SessionStart
from teleclaude.sync.sessions.agents.agent_tables import table_of
from teleclaude.sync.sessions.identities import Identity
from teleclaude.sync.sessions.program_names import signature
from teleclaude.sync.sessions.session_journal import JournalEntry

STANDS_FOR = 1.0  # seconds that it must last before the command says that it is there
SEEN_EVERY = 0.1


class LostSessions:
    """The lost sessions as commands reach them; from any thread."""

    def __init__(self, panes: SessionPanes, begin: SessionStart) -> None:
        self._panes, self._begin = panes, begin

    def restore(self, wanted: str, settings: Settings, deadline: float) -> Session:
        """Bring one back. Raises Conflict for one that is not lost, or ends at once, and what a start raises."""
        entry = self._entry(wanted)
        argv, is_resumed = resumed_argv(entry, settings)
        new = SessionOrder(
            agent=entry.agent,
            argv=argv,
            folder=entry.cwd,
            title=entry.own_title,
            mode=entry.mode,
            identity=Identity(id=entry.session_id, title=entry.own_title, mode=entry.mode, parent=entry.parent),
            name=entry.name,
        )
        journal = self._panes.local.journal
        if is_resumed:
            journal.resumed(entry.session_id)
        begun = self._begin.begin(new, settings, deadline)
        record = self._standing(begun.session_id, deadline)
        if record is None:
            if is_resumed:
                journal.fail(entry.session_id)
                self._panes.show(deadline)
            again = "restored again, it starts afresh" if is_resumed else "it is not known why"
            raise Conflict(f"{entry.agent} ended as soon as it was started; {again}")
        return record

    def _standing(self, session_id: str, deadline: float) -> Session | None:
        """See that it lasts for a moment; None when it does not."""
        until = min(deadline - 0.5, time.monotonic() + STANDS_FOR)
        while True:
            record = self._panes.own.get("sessions", session_id)
            if not isinstance(record, Session) or record.status in {"lost", "ended"}:
                return None
            if not left(until):
                return record
            time.sleep(SEEN_EVERY)
            self._panes.show(deadline)

    def forget(self, wanted: str, deadline: float) -> None:
        """Forget a lost one. Raises Conflict for one that is not lost."""
        self._panes.local.journal.forget(self._entry(wanted).session_id)
        self._panes.show(deadline)

    def _entry(self, wanted: str) -> JournalEntry:
        session = self._panes.record(wanted)
        entry = self._panes.local.journal.lost(session.session_id)
        if entry is None:
            raise Conflict("the session is not lost: there is nothing to bring back")
        return entry


def resumed_argv(entry: JournalEntry, settings: Settings) -> tuple[list[str], bool]:
    """Give what to run, and whether that resumes what the agent did before. Raises NotFound, InvalidField."""
    profile = settings.agents.get(entry.agent)
    if profile is None:
        raise NotFound(f"there is no agent {entry.agent!r} in the settings any more")
    mode = entry.mode if entry.mode in profile.thinking_modes else ""
    argv = new_session.command_of(settings, entry.agent, mode)
    table = table_of(signature(shlex.split(profile.command)))
    if not (table.resume and entry.agent_session) or entry.failed:
        return argv, False
    return [*argv, *table.resume, entry.agent_session], True
