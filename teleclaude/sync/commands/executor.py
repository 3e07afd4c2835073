"""Commands: the one place that acts on tmux.

Rules:
- A request whose deadline has passed never runs; a request id runs at most once, and is answered the same again.
- Sessions are named by their id or a unique prefix of it, and reached by tmux' own ids in the server that the records
  come from, while tmux shows the session's mark there (pane_now.py): a restarted server refuses them.
- Text goes in through a buffer (pane_input.py), never as an argument; nothing is ever put into a shell string.
- Nothing is said not to be there before the first look at tmux told what is: commands wait for it.
- A command is answered when what it did can be read: the own records are up to date and flushed into the cache.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import msgspec

from teleclaude.core.errors import (
    Ambiguous,
    Conflict,
    InvalidField,
    NotFound,
    OutcomeUnknown,
    TeleclaudeError,
    Unavailable,
    WaitingForApproval,
)
from teleclaude.core.records import Project, Session
from teleclaude.core.requests import (
    Args,
    End,
    Keys,
    Message,
    Outcome,
    Output,
    Refresh,
    Rename,
    Request,
    Start,
    Watch,
    check,
    failed,
)
from teleclaude.core.screen_text import only_colours
from teleclaude.core.settings import Settings
from teleclaude.sync.commands import start
from teleclaude.sync.commands.agent_prompt import AgentPrompt, Program, program_of
from teleclaude.sync.commands.live_output import Watches
from teleclaude.sync.commands.pane_input import PaneInput
from teleclaude.sync.commands.pane_now import PaneNow, Target, refuse_other
from teleclaude.sync.commands.terminal_text import last_lines
from teleclaude.sync.local_loop import LocalHalf
from teleclaude.sync.own_records import OwnChange, OwnRecords
from teleclaude.sync.tmux.client import CommandFailed, NoServer, OtherServer

log = logging.getLogger(__name__)

REMEMBERED = 4096  # request ids
STEP_TIMEOUT = 5.0  # seconds that one answer of tmux may take
READY_WITHIN = 8.0  # seconds for a new session to take its first message
READY_EVERY = 0.1
FIRST_LOOK_EVERY = 0.2  # seconds between looks at how tmux is, while its first answer is awaited
ANSWER_IN = 0.5  # seconds before a deadline at which a command that waits gives up, so that its outcome is heard
OUTPUT_LIMIT = 200_000  # characters

_KEY_NAMES = (
    "Enter|Escape|Tab|BTab|Space|BSpace|Up|Down|Left|Right|Home|End|PageUp|PageDown|PgUp|PgDn|PPage|NPage|IC|DC|"
    "Insert|Delete|F[1-9]|F1[0-2]"
)
_KEY = re.compile(rf"(?:[CMS]-){{0,3}}(?:{_KEY_NAMES}|[\x21-\x7e])|[\S ]")

Sent: TypeAlias = dict[str, Any]  # message_sent, and where it was not, message_error


class Writer(Protocol):
    """What commands need of the cache's writer."""

    def flush(self, timeout: float) -> bool:
        """Wait until all that was submitted can be read."""
        ...


class Commands:
    """Runs requests for this computer. `run` may be called from any thread."""

    def __init__(self, local: LocalHalf, own: OwnRecords, writer: Writer, watches: Watches, settings: Settings) -> None:
        self._local, self._own, self._writer, self._watches = local, own, writer, watches
        self.settings = settings
        self._lock = threading.Lock()
        self._outcomes: OrderedDict[str, Outcome | None] = OrderedDict()  # by request id; None: under way
        self._gone: OrderedDict[str, None] = OrderedDict()  # ids of sessions that have ended
        self._input = PaneInput(self._tmux)
        self._prompt = AgentPrompt(self._input.look, self._screen)
        own.listen(self._note_gone)

    def _note_gone(self, change: OwnChange) -> None:
        if change.kind == "sessions":
            self._gone.update(dict.fromkeys(change.removed))
            while len(self._gone) > REMEMBERED:
                self._gone.popitem(last=False)

    def run(self, request: Request) -> Outcome:
        """Run a request and say how it ended. Raises nothing."""
        with self._lock:
            if request.id in self._outcomes:
                known = self._outcomes[request.id]
                return known or failed(request.id, Conflict("this request is under way already"))
            self._outcomes[request.id] = None
            if len(self._outcomes) > REMEMBERED:
                self._outcomes.popitem(last=False)
        outcome = self._outcome(request)
        with self._lock:
            self._outcomes[request.id] = outcome
        return outcome

    def _outcome(self, request: Request) -> Outcome:
        try:
            if request.deadline <= time.monotonic():
                raise Unavailable("the command came too late; it did not run")
            args = check(request.args)
            if not isinstance(args, Refresh):
                self._await_first_look(request.deadline)
            data = self._run(args, request)
        except TeleclaudeError as error:
            return failed(request.id, error)
        except Exception:  # one command's fault must not end the thread that runs commands
            log.exception("a command failed")
            return failed(request.id, OutcomeUnknown("the command failed in an unforeseen way; the log tells more"))
        return Outcome(id=request.id, status="ok", data=data)

    def _run(self, args: Args, request: Request) -> dict[str, Any]:
        match args:
            case Start():
                return self._start(args, request)
            case Message():
                return self._message(args, request.deadline)
            case Keys():
                return self._keys(args, request.deadline)
            case Rename():
                return self._rename(args, request.deadline)
            case End():
                return self._end(args, request.deadline)
            case Output():
                return self._output(args, request.deadline)
            case Watch():
                session, _ = self._session(args.session_id)
                self._watches.watch(session.session_id, args.seconds)
                return {}
            case Refresh():
                return self._refresh(request.deadline)

    def _await_first_look(self, deadline: float) -> None:
        """Wait until it is known which sessions there are. Raises Unavailable when tmux does not say so in time."""
        until = deadline - ANSWER_IN
        while not self._own.wait_found("sessions", min(FIRST_LOOK_EVERY, _left(until))):
            state, reason = self._local.state
            if state in {"hung", "down", "absent"} or not _left(until):
                raise Unavailable(f"the command did not run: {reason or 'tmux was not looked at yet'}")

    # Verbs.

    def _start(self, args: Start, request: Request) -> dict[str, Any]:
        self._refuse_if_hung()
        argv = start.command_of(self.settings, args.agent, args.thinking_mode)
        projects = [record for record in self._own.snapshot("projects")[1] if isinstance(record, Project)]
        folder = start.folder_of(args.project, projects, self.settings, request.origin)
        argv = start.found_program(argv, args.agent, self._server_path())
        name = start.session_name(args.title, folder, args.agent)
        identities = self._local.identities
        with identities.held():
            new = start.new_session(self._local.tmux, name, folder, argv, _left(request.deadline))
            own = identities.change(new.server, new.session, title=args.title, mode=args.thinking_mode, ours=True)
            identities.change(new.server, new.pane, like=new.session, agent=args.agent)
        self._show_pane(new.pane, own.id, request.deadline)
        told = self._first_message(own.id, new, folder, args, request.deadline) if args.message else {}
        record = self._own.get("sessions", own.id)
        if record is None:
            because = ": tmux' option exit-unattached is on" if new.ends_unattached else ""
            raise Conflict(f"{args.agent} ended as soon as it was started{because}")
        return {"session": msgspec.to_builtins(record), **told}

    def _show_pane(self, pane: str, session_id: str, deadline: float) -> None:
        """See a new pane, which may take a moment to become what it is to be, or its end."""
        until = min(deadline, time.monotonic() + STEP_TIMEOUT)
        self._show(deadline)
        while not self._own.get("sessions", session_id) and self._local.has_pane(pane) and _left(until):
            time.sleep(READY_EVERY)
            self._show(deadline)

    def _server_path(self) -> str:
        """PATH of what runs in tmux: that of the server, not ours."""
        try:
            answer = self._local.tmux.run("show-environment", "-g", "PATH", timeout=STEP_TIMEOUT)
        except Unavailable:
            return ""
        return answer.decode("utf-8", "surrogateescape").strip().partition("=")[2]

    def _first_message(self, session_id: str, new: start.Started, folder: str, args: Start, deadline: float) -> Sent:
        """Send the first message once the agent takes it; tell when that did not come about."""
        target = Target(session_id, new.session, new.session, new.pane, new.server, is_marked=False)
        program = program_of(self.settings.agents.get(args.agent))
        try:
            until = min(deadline - 1.0, time.monotonic() + READY_WITHIN)
            now = self._prompt.wait_ready(program, target, folder, until)
            self._paste(program, target, args.message, now, folder, deadline)
        except TeleclaudeError as error:
            return {"message_sent": False, "message_error": error.message}
        self._show(deadline)
        return {"message_sent": True}

    def _message(self, args: Message, deadline: float) -> dict[str, Any]:
        session, target = self._alive(args.session_id)
        if (session.status, session.status_reason) == ("waiting", "approval"):
            raise WaitingForApproval("the agent waits for an approval, and text would answer it: use keys, or attach")
        program = program_of(self.settings.agents.get(session.agent))
        now = self._prompt.check(program, target, session.cwd, deadline)
        self._paste(program, target, args.text, now, session.cwd, deadline)
        return {}

    def _paste(self, program: Program, target: Target, text: str, now: PaneNow, folder: str, deadline: float) -> None:
        self._input.paste(
            target,
            text,
            now,
            deadline,
            enter_pause=program.enter_pause,
            before_enter=lambda: self._prompt.check(program, target, folder, deadline),
        )
        self._local.note_input(target.pane)

    def _keys(self, args: Keys, deadline: float) -> dict[str, Any]:
        for key in args.keys:
            if not _KEY.fullmatch(key) or not key.isprintable():
                raise InvalidField("keys", f"{key!r} is no key: use names as Enter, C-c, Up, F5, or one character")
        _, target = self._alive(args.session_id)
        keys = ["Space" if key == " " else key for key in args.keys]
        self._input.press(target, keys, self._input.look(target, deadline), deadline)
        self._local.note_input(target.pane)
        return {}

    def _rename(self, args: Rename, deadline: float) -> dict[str, Any]:
        session, target = self._session(args.session_id)
        named = self._local.identities.rename(target.server, session.session_id, args.title)
        if named is None:
            raise NotFound("the session has ended")
        if named.ours:  # the tmux session is ours to name; other people's names are theirs
            name = start.session_name(args.title, session.cwd, session.agent)
            try:
                self._act(target, ["rename-session", "-t", session.tmux.session, name], deadline=deadline)
            except CommandFailed as error:
                log.info("the tmux session keeps its name: %s", error.message)
        self._show(deadline)
        record = self._own.get("sessions", session.session_id)
        if record is None:
            raise NotFound("the session has ended")
        return {"session": msgspec.to_builtins(record)}

    def _end(self, args: End, deadline: float) -> dict[str, Any]:
        try:
            session, target = self._session(args.session_id)
        except NotFound:
            if args.session_id in self._gone:
                return {}  # it is as it was asked to be
            raise
        end = ["kill-session" if target.row == target.tmux else "kill-pane", "-t", target.row]
        try:
            self._act(target, end, deadline=deadline)
        except (NotFound, NoServer, OtherServer):
            log.info("session %s had ended already", session.session_id)
        self._show(deadline)
        return {}

    def _output(self, args: Output, deadline: float) -> dict[str, Any]:
        _, target = self._session(args.session_id)
        return {"text": self._captured(target, args.lines, deadline)}

    def _captured(self, target: Target, lines: int, deadline: float) -> str:
        capture = ["capture-pane", "-p", "-e", "-J", "-S", f"-{lines}", "-t", target.pane]
        screen = self._act(target, capture, deadline=deadline).decode("utf-8", "replace")
        return last_lines(only_colours(screen), lines, OUTPUT_LIMIT)

    def _screen(self, target: Target, deadline: float) -> str:
        """What stands on a pane's screen, as plain text."""
        return self._act(target, ["capture-pane", "-p", "-t", target.pane], deadline=deadline).decode(
            "utf-8", "replace"
        )

    def capture(self, session_id: str, lines: int) -> tuple[str, str]:
        """Give (pane, screen) of a session that is watched. Raises what commands raise."""
        _, target = self._session(session_id)
        return target.pane, self._captured(target, lines, time.monotonic() + STEP_TIMEOUT)

    def _refresh(self, deadline: float) -> dict[str, Any]:
        self._local.look_at_plans()
        self._refuse_if_hung()
        if not self._show(deadline) and self._local.state[0] in {"hung", "down"}:
            raise Unavailable(f"tmux could not be looked at: {self._local.state[1]}")
        return {}

    # Parts.

    def _session(self, wanted: str) -> tuple[Session, Target]:
        """Find a session by id or unique prefix, and what its ids in tmux mean.

        The server is read first: read after a restart that came between, it would vouch for an old pane's number.
        """
        server = self._local.server
        unmarked = {key for key, _ in self._local.identities.unwritten()}
        session = self._found(wanted)
        row, tmux = self._local.identities.row(session.session_id), session.tmux
        if not row:  # the record of what the last look did not show any more is just being taken away
            raise NotFound("the session has ended", field="session_id")
        return session, Target(session.session_id, row, tmux.session, tmux.pane, server, row not in unmarked)

    def _found(self, wanted: str) -> Session:
        exact = self._own.get("sessions", wanted)
        if isinstance(exact, Session):
            return exact
        found = [r for r in self._own.snapshot("sessions")[1] if isinstance(r, Session)]
        found = [record for record in found if record.session_id.startswith(wanted)]
        if not found:
            raise NotFound(f"no session here has the id {wanted!r}", field="session_id")
        if len(found) > 1:
            raise Ambiguous(f"{len(found)} sessions have an id that begins with {wanted!r}", field="session_id")
        return found[0]

    def _alive(self, wanted: str) -> tuple[Session, Target]:
        session, target = self._session(wanted)
        if session.status == "ended":
            raise Conflict("the session has ended")
        return session, target

    def _act(self, target: Target, *commands: list[str], deadline: float) -> bytes:
        """Run tmux commands on a session's pane, and on no other. Raises NotFound when it is gone."""
        return refuse_other(self._tmux(*target.guarded(*commands), server=target.server, deadline=deadline))

    def _tmux(self, *args: str, server: int, deadline: float, data: bytes = b"") -> bytes:
        self._refuse_if_hung()
        try:
            return self._local.tmux.run(*args, timeout=min(STEP_TIMEOUT, _left(deadline)), data=data, server=server)
        except CommandFailed as error:
            if "can't find" in error.message:
                raise NotFound("the session has ended", field="session_id") from error
            raise

    def _refuse_if_hung(self) -> None:
        state, reason = self._local.state
        if state == "hung":
            raise Unavailable(f"the command did not run: {reason}")

    def _show(self, deadline: float) -> bool:
        """See what was done, and put it where clients read. False when that could not be done in time."""
        return self._local.look_now(min(STEP_TIMEOUT, _left(deadline))) and self._writer.flush(_left(deadline))


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


RunLocal = Callable[[Request], Outcome]
