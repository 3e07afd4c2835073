"""Starts a session in tmux, gives it its identity, and sees it there, or its end."""

from __future__ import annotations

import time
from dataclasses import dataclass

from teleclaude.core.agent_environment import inside_agent
from teleclaude.core.errors import Conflict, OutcomeUnknown, Unavailable
from teleclaude.core.records import Project, Session
from teleclaude.core.settings import Settings
from teleclaude.sync.commands import start as new_session
from teleclaude.sync.commands.hanging_calls import HangingCalls
from teleclaude.sync.commands.session_panes import STEP_TIMEOUT, SessionPanes, left
from teleclaude.sync.sessions.identities import Identity

SEEN_EVERY = 0.1  # seconds
END_WITHIN = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOrder:
    """What to start. `origin`: the computer that asks, empty for this one; `identity`: whose place it takes, if any.

    `name`: of the tmux session, made of the title and the folder when empty.
    """

    agent: str
    argv: list[str]
    folder: str
    title: str = ""
    mode: str = ""
    origin: str = ""
    identity: Identity | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that was started, in a real folder."""

    session_id: str
    tmux: new_session.CreatedSession
    folder: str


class SessionStart:
    """Starts sessions; from any thread."""

    def __init__(self, panes: SessionPanes) -> None:
        self._panes = panes
        self._folders = HangingCalls()

    def begin(self, new: SessionOrder, settings: Settings, deadline: float) -> Begun:
        """Start one. Raises InvalidField, Refused, CommandFailed, OutcomeUnknown, Unavailable."""
        self._panes.refuse_if_hung()
        self._panes.refuse_second_server()
        projects = [record for record in self._panes.own.snapshot("projects")[1] if isinstance(record, Project)]
        path, unset = self._server_environment()

        def checked() -> tuple[str, list[str]]:
            folder = new_session.folder_of(new.folder, projects, settings, new.origin)
            return folder, new_session.found_program(new.argv, new.agent, path)

        folder, argv = self._folders.run(new.folder, min(deadline, time.monotonic() + STEP_TIMEOUT), checked)
        name = new_session.session_name(new.name or new.title, folder, new.agent)
        identities = self._panes.local.identities
        with identities.held():
            made = new_session.new_session(self._panes.local.tmux, name, folder, argv, left(deadline), unset)
            if new.identity:
                identities.place(made.server, made.session, new.identity)
            own = identities.change(made.server, made.session, title=new.title, mode=new.mode, ours=True)
            identities.change(made.server, made.pane, like=made.session, agent=new.agent)
        self._show_pane(made.pane, own.id, deadline)
        if made.ends_unattached:
            self._see_end(own.id, min(deadline, time.monotonic() + END_WITHIN))
        return Begun(own.id, made, folder)

    def still_there(self, begun: Begun, agent: str) -> Session:
        """Give the record of what was started. Raises Conflict when it has ended."""
        record = self._record(begun.session_id)
        if record is None:
            because = ": tmux' option exit-unattached is on" if begun.tmux.ends_unattached else ""
            raise Conflict(f"{agent} ended as soon as it was started{because}")
        return record

    def _record(self, session_id: str) -> Session | None:
        found = self._panes.own.get("sessions", session_id)
        return found if isinstance(found, Session) and found.status != "lost" else None

    def _show_pane(self, pane: str, session_id: str, deadline: float) -> None:
        """See a new pane, which may take a moment to become what it is to be, or its end."""
        until = min(deadline, time.monotonic() + STEP_TIMEOUT)
        self._panes.show(deadline)
        while not self._record(session_id) and self._panes.local.has_pane(pane) and left(until):
            time.sleep(SEEN_EVERY)
            self._panes.show(deadline)

    def _see_end(self, session_id: str, until: float) -> None:
        """Give a server that ends when nobody is attached the time to do so, once it was looked at."""
        while self._record(session_id) and left(until):
            time.sleep(SEEN_EVERY)
            self._panes.show(until)

    def _server_environment(self) -> tuple[str, list[str]]:
        """PATH of what runs in tmux, that of the server and not ours; and what only an agent around it left there."""
        tmux = self._panes.local.tmux
        try:
            path = tmux.run("show-environment", "-g", "PATH", timeout=STEP_TIMEOUT)
            whole = tmux.run("show-environment", "-g", timeout=STEP_TIMEOUT)
        except (Unavailable, OutcomeUnknown):  # it may be about to end: then a new one is started
            return "", []
        names = [line.partition("=")[0] for line in whole.decode("utf-8", "replace").split("\n") if "=" in line]
        return path.decode("utf-8", "surrogateescape").strip().partition("=")[2], inside_agent(names)
