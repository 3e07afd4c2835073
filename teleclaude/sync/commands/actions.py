"""What each verb does here: one method of its name in `Actions`.

Text goes in through a buffer (pane_input.py), never as an argument; nothing is ever put into a shell string.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import msgspec

from teleclaude.core.errors import (
    InvalidField,
    NotFound,
    TeleclaudeError,
    Unavailable,
    WaitingForApproval,
)
from teleclaude.core.requests import Request
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.settings import Settings
from teleclaude.core.verbs import (
    Approve,
    End,
    Explain,
    Forget,
    Keys,
    Message,
    Notify,
    Output,
    Refresh,
    Rename,
    Restore,
    Start,
)
from teleclaude.sync.commands import start as new_session
from teleclaude.sync.commands.agent_prompt import AgentPrompt, program_of
from teleclaude.sync.commands.delivery import Addressee, TextDelivery
from teleclaude.sync.commands.pane_input import PaneInput
from teleclaude.sync.commands.pane_now import PaneNow, Target
from teleclaude.sync.commands.pane_screens import PaneScreens
from teleclaude.sync.commands.restore import LostSessions
from teleclaude.sync.commands.session_panes import STEP_TIMEOUT, SessionPanes, left
from teleclaude.sync.commands.session_start import Begun, SessionOrder, SessionStart
from teleclaude.sync.tmux.client import CommandFailed, NoServer, OtherServer

log = logging.getLogger(__name__)

READY_WITHIN = 8.0  # seconds for a new session to take its first message

_KEY_NAMES = (
    "Enter|Escape|Tab|BTab|Space|BSpace|Up|Down|Left|Right|Home|End|PageUp|PageDown|PgUp|PgDn|PPage|NPage|IC|DC|"
    "Insert|Delete|F[1-9]|F1[0-2]"
)
_KEY = re.compile(rf"(?:[CMS]-){{0,3}}(?:{_KEY_NAMES}|[\x21-\x7e])|[\S ]")

Sent: TypeAlias = dict[str, Any]  # message_sent, and where it was not, message_error


class Actions:
    """The verbs. Each method gives the data of an outcome, or raises a TeleclaudeError; from any thread."""

    def __init__(
        self, panes: SessionPanes, settings: Settings, tell_here: Callable[[list[SessionNotice]], None]
    ) -> None:
        self._panes, self._screens = panes, PaneScreens(panes)
        self.settings = settings
        self._tell_here = tell_here
        self._input = PaneInput(panes.tmux)
        self._prompt = AgentPrompt(self._input.look, panes.screen)
        self._delivery = TextDelivery(self._input, self._prompt, partial(panes.own.get, "sessions"))
        self._start = SessionStart(panes)
        self._lost = LostSessions(panes, self._start)

    def await_first_look(self, request: Request) -> None:
        """Wait until it is known which sessions there are, where a request is about them. Raises Unavailable."""
        if not isinstance(request.args, Refresh):
            self._panes.await_first_look(request.deadline)

    def start(self, args: Start, request: Request) -> dict[str, Any]:
        """Start a session, and give it its first message."""
        argv = new_session.command_of(self.settings, args.agent, args.thinking_mode)
        new = SessionOrder(
            agent=args.agent,
            argv=argv,
            folder=args.project,
            title=args.title,
            mode=args.thinking_mode,
            origin=request.origin,
        )
        begun = self._start.begin(new, self.settings, request.deadline)
        told = self._first_message(begun, args, request.deadline) if args.message else {}
        return {"session": msgspec.to_builtins(self._start.still_there(begun, args.agent)), **told}

    def _first_message(self, begun: Begun, args: Start, deadline: float) -> Sent:
        """Send the first message once the agent takes it; tell when that did not come about."""
        tmux, folder = begun.tmux, begun.folder
        target = Target(begun.session_id, tmux.session, tmux.session, tmux.pane, tmux.server, is_marked=False)
        program = program_of(self.settings.agents.get(args.agent), args.agent)
        try:
            until = min(deadline - 1.0, time.monotonic() + READY_WITHIN)
            now = self._prompt.wait_ready(program, target, folder, until, deadline)
            told = self._deliver(Addressee(begun.session_id, program, target, folder), args.message, now, deadline)
        except TeleclaudeError as error:
            return {"message_sent": False, "message_error": error.message}
        self._panes.show(deadline)
        return {"message_sent": True, **told}

    def message(self, args: Message, request: Request) -> dict[str, Any]:
        """Paste a text and press Enter."""
        session, target = self._panes.alive(args.session_id)
        if (session.status, session.status_reason) == ("waiting", "approval"):
            raise WaitingForApproval("the agent waits for an approval, and text would answer it: use keys, or attach")
        program = program_of(self.settings.agents.get(session.agent), session.agent)
        now = self._prompt.check(program, target, session.cwd, request.deadline)
        to = Addressee(session.session_id, program, target, session.cwd)
        return self._deliver(to, args.text, now, request.deadline)

    def _deliver(self, to: Addressee, text: str, now: PaneNow, deadline: float) -> dict[str, Any]:
        delivery = self._delivery.deliver(to, text, now, deadline)
        self._panes.local.note_input(to.target.pane)
        return {"delivery": delivery}

    def keys(self, args: Keys, request: Request) -> dict[str, Any]:
        """Press keys."""
        for key in args.keys:
            if not _KEY.fullmatch(key) or not key.isprintable():
                raise InvalidField("keys", f"{key!r} is no key: use names as Enter, C-c, Up, F5, or one character")
        _, target = self._panes.alive(args.session_id)
        keys = ["Space" if key == " " else key for key in args.keys]
        self._input.press(target, keys, self._input.look(target, request.deadline), request.deadline)
        self._panes.local.note_input(target.pane)
        return {}

    def notify(self, args: Notify, request: Request) -> dict[str, Any]:
        """Tell who uses this computer. Whose sessions they are is not the sender's to say."""
        self._tell_here([msgspec.structs.replace(notice, computer=request.origin) for notice in args.notices])
        return {}

    def approve(self, args: Approve, request: Request) -> dict[str, Any]:
        """Answer what an agent asks."""
        session, _ = self._panes.alive(args.session_id)
        return {"outcome": self._panes.local.answers.give(session, args, request.origin, request.deadline)}

    def rename(self, args: Rename, request: Request) -> dict[str, Any]:
        """Give a session another title."""
        session, target = self._panes.find(args.session_id)
        named = self._panes.local.identities.rename(target.server, session.session_id, args.title)
        if named is None:
            raise NotFound("the session has ended")
        if named.ours:  # the tmux session is ours to name; other people's names are theirs
            name = new_session.session_name(args.title, session.cwd, session.agent)
            try:
                self._panes.act(target, ["rename-session", "-t", session.tmux.session, name], deadline=request.deadline)
            except CommandFailed as error:
                log.info("the tmux session keeps its name: %s", error.message)
        self._panes.show(request.deadline)
        record = self._panes.own.get("sessions", session.session_id)
        if record is None:
            raise NotFound("the session has ended")
        return {"session": msgspec.to_builtins(record)}

    def end(self, args: End, request: Request) -> dict[str, Any]:
        """End a session; one that has ended already is as it was asked to be."""
        try:
            if self._panes.record(args.session_id).status == "lost":
                self._lost.forget(args.session_id, request.deadline)
                return {}
            session, target = self._panes.find(args.session_id)
        except NotFound:
            if self._panes.has_ended(args.session_id):
                return {}  # it is as it was asked to be
            raise
        self._panes.local.journal.forget(session.session_id)
        end = ["kill-session" if target.row == target.tmux else "kill-pane", "-t", target.row]
        try:
            self._panes.act(target, end, deadline=request.deadline)
        except (NotFound, NoServer, OtherServer):
            log.info("session %s had ended already", session.session_id)
        self._panes.show(request.deadline)
        return {}

    def restore(self, args: Restore, request: Request) -> dict[str, Any]:
        """Bring back a lost session."""
        return {"session": msgspec.to_builtins(self._lost.restore(args.session_id, self.settings, request.deadline))}

    def forget(self, args: Forget, request: Request) -> dict[str, Any]:
        """Forget a lost session."""
        self._lost.forget(args.session_id, request.deadline)
        return {}

    def output(self, args: Output, request: Request) -> dict[str, Any]:
        """Give the last lines of a session, or those before them."""
        return self._screens.page(args, request.deadline)

    def explain(self, args: Explain, request: Request) -> dict[str, Any]:
        """Say why a session is said to do what it does."""
        session, _ = self._panes.find(args.session_id)
        with_title = not request.origin or self.settings.privacy.share != "state"
        found = self._panes.local.explain(
            session.session_id, min(STEP_TIMEOUT, left(request.deadline)), with_title=with_title
        )
        if found is None:
            raise NotFound("the session has ended", field="session_id")
        return dict(msgspec.to_builtins(found))

    def refresh(self, _args: Refresh, request: Request) -> dict[str, Any]:
        """Look at everything again."""
        self._panes.refuse_if_hung()
        self._panes.local.look_at_projects(min(STEP_TIMEOUT, left(request.deadline)))
        if not self._panes.show(request.deadline) and self._panes.local.state[0] in {"hung", "down"}:
            raise Unavailable(f"tmux could not be looked at: {self._panes.local.state[1]}")
        return {}
