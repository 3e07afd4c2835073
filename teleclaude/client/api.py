"""REST over the daemon's unix socket, typed.

Each call has a deadline, opens its own connection, and may be made from any thread. Errors that the daemon tells
come back as those of core/errors.py; a daemon that does not answer is Unavailable; a command that was sent and not
answered is OutcomeUnknown, for it may have run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from teleclaude.client.dial import dial, remaining
from teleclaude.client.http import Response, request_to_send
from teleclaude.core.errors import InvalidField, OutcomeUnknown, PeerError, Unavailable, from_code
from teleclaude.core.lifeline import WorkerState
from teleclaude.core.records import Computer, Project, Service, Session, StartedSession, Todo

if TYPE_CHECKING:
    from teleclaude.core.records import Delivery
    from teleclaude.core.verbs import AnswerGiven, Decision, MessageDone, SessionOutput, Verb

T = TypeVar("T")

READ_TIMEOUT = 5.0  # seconds; reads are answered from memory
COMMAND_TIMEOUT = 15.0  # seconds; the daemon gives up after 10
_CHUNK = 256 * 1024


class AgentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An agent profile that a session can be started with."""

    name: str
    colour: str = "white"
    command: str = ""
    thinking_modes: tuple[str, ...] = ()


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the daemon is; `status` is ok or degraded, `reason` says why data is stale."""

    status: str
    computer: str = ""
    version: str = ""
    workers: dict[str, WorkerState] = msgspec.field(default_factory=dict)
    services: tuple[Service, ...] = ()
    stale: bool = False
    reason: str = ""
    epoch: str = ""
    data_version: int = 0


class ProjectWithTodos(Project, frozen=True, kw_only=True):
    """A project, and the todos in it."""

    todos: tuple[Todo, ...] = ()


class Reply(msgspec.Struct, frozen=True):
    """A successful answer: its bytes, where they stand (from the ETag), and why they are stale, if they are."""

    body: bytes
    epoch: str = ""
    version: int = 0
    stale: str = ""


class Api:
    """The daemon behind `path`, its unix socket. Holds no connection and no state."""

    def __init__(self, path: Path, *, timeout: float = READ_TIMEOUT, command_timeout: float = COMMAND_TIMEOUT) -> None:
        """`timeout` and `command_timeout`: seconds for one read, and for one command."""
        self._path = path
        self._timeout = timeout
        self._command_timeout = command_timeout

    # Reads

    def health(self) -> Health:
        """How the daemon and its workers are."""
        return self._read("/health", Health)

    def computers(self) -> list[Computer]:
        """All computers of the fleet."""
        return self._read("/computers", list[Computer])

    def projects(self, *, computer: str = "") -> list[Project]:
        """Projects, of one computer if named."""
        return self._read("/projects", list[Project], computer=computer)

    def sessions(self, *, computer: str = "", project: str = "", status: str = "", q: str = "") -> list[Session]:
        """Sessions, filtered by what is not empty; `q` is a line of words (core/session_query.py)."""
        return self._read("/sessions", list[Session], computer=computer, project=project, status=status, q=q)

    def session(self, session_id: str, *, computer: str = "") -> Session:
        """One session, by its id or a unique prefix, on one computer if named. Raises NotFound or Ambiguous."""
        from teleclaude.core.verbs import End, check  # the first screen does not wait for it

        check(End(session_id=session_id))
        return self._read(f"/sessions/{quote(session_id, safe='')}", Session, computer=computer)

    def todos(self, *, computer: str = "", project: str = "", status: str = "") -> list[Todo]:
        """Todos, filtered by what is not empty."""
        return self._read("/todos", list[Todo], computer=computer, project=project, status=status)

    def projects_with_todos(self, *, computer: str = "") -> list[ProjectWithTodos]:
        """Projects with their todos."""
        return self._read("/projects-with-todos", list[ProjectWithTodos], computer=computer)

    def agents(self) -> list[AgentInfo]:
        """Agent profiles of this computer."""
        return self._read("/agents", list[AgentInfo])

    # Commands. Each is a verb of core/verbs.py; a session is named by its id and, where it is known, its computer.

    def run(self, verb: Verb, *, computer: str = "", **fields: Any) -> Any:
        """Have a verb done, by its route; `fields` are its arguments. Gives its answer, an instance of `verb.answer`.

        Raises InvalidField for arguments over a limit, before anything is sent, and the errors of `call`.
        """
        from teleclaude.core.verbs import check

        args = check(verb.args(**fields))
        given = {name: value for name, value in msgspec.structs.asdict(args).items() if value not in ("", None)}
        path = verb.route.replace("{session_id}", quote(given.pop("session_id", ""), safe=""))
        where = {"computer": computer} if computer else {}
        _query(where)  # it may be no text
        in_query, body = (where, given) if verb.is_for_session else ({}, given | where)
        if verb.method == "GET":
            in_query, body = in_query | body, {}
        target = f"{path}?{_query(in_query)}" if in_query else path
        has_body = verb.method != "GET" and (body or verb.method == "POST")
        return _decoded(self._command(verb.method, target, body if has_body else None).body, verb.answer)

    def _run(self, name: str, computer: str, **fields: Any) -> Any:
        from teleclaude.core.verbs import VERBS

        return self.run(VERBS[name], computer=computer, **fields)

    def start(
        self, computer: str, project: str, agent: str, *, title: str = "", message: str = "", thinking_mode: str = ""
    ) -> StartedSession:
        """Start an agent in a project (a path). Gives the new session, which may be there without its message."""
        more = {"title": title, "message": message, "thinking_mode": thinking_mode}
        started: StartedSession = self._run("start", computer, project=project, agent=agent, **more)
        return started

    def message(self, session_id: str, text: str, *, computer: str = "") -> Delivery:
        """Give text to a session, then Enter; tell how far it came. Raises WaitingForApproval where it would answer."""
        done: MessageDone = self._run("message", computer, session_id=session_id, text=text)
        return done.delivery

    def approve(
        self,
        session_id: str,
        ask: str,
        decision: Decision = "allow",
        *,
        reason: str = "",
        answers: Sequence[str] = (),
        computer: str = "",
    ) -> str:
        """Answer what a session asks by the id `ask`. Gives what became of it: `taken` or `sent`."""
        fields = {"ask": ask, "decision": decision, "reason": reason, "answers": list(answers)}
        done: AnswerGiven = self._run("approve", computer, session_id=session_id, **fields)
        return done.outcome

    def keys(self, session_id: str, keys: list[str], *, computer: str = "") -> None:
        """Press keys in a session, by tmux' names."""
        self._run("keys", computer, session_id=session_id, keys=keys)

    def output(self, session_id: str, *, lines: int = 200, computer: str = "") -> str:
        """Last lines of a session's screen and history, with colours."""
        found: SessionOutput = self._run("output", computer, session_id=session_id, lines=lines)
        return found.text

    def rename(self, session_id: str, title: str, *, computer: str = "") -> Session:
        """Give a session another title. Gives the session."""
        session: Session = self._run("rename", computer, session_id=session_id, title=title)
        return session

    def restore(self, session_id: str, *, computer: str = "") -> Session:
        """Bring back a lost session. Gives the session."""
        session: Session = self._run("restore", computer, session_id=session_id)
        return session

    def forget(self, session_id: str, *, computer: str = "") -> None:
        """Forget a lost session."""
        self._run("forget", computer, session_id=session_id)

    def end(self, session_id: str, *, computer: str = "") -> None:
        """End a session."""
        self._run("end", computer, session_id=session_id)

    def refresh(self, computer: str = "") -> None:
        """Have a computer look again at everything; this one and all that are looked at when none is named."""
        self._run("refresh", computer)

    # The exchange

    def call(self, method: str, target: str, payload: Any = None, *, timeout: float | None = None) -> Reply:
        """Make one request within `timeout` seconds. `payload` becomes the JSON body.

        Raises the error that the daemon tells, Unavailable, Refused or PeerError.
        """
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        body = None if payload is None else msgspec.json.encode(payload)
        with dial(self._path, deadline) as connection:
            response = _exchange(connection, request_to_send(method, target, body), deadline)
        if response.status >= 400:
            raise _error_of(response)
        epoch, _, version = response.headers.get("etag", "").strip('"').rpartition("-")
        stale = response.headers.get("x-teleclaude-stale", "")
        return Reply(response.body, epoch, int(version) if version.isdecimal() else 0, stale)

    def _read(self, path: str, kind: type[T], **filters: str) -> T:
        query = _query({key: value for key, value in filters.items() if value})
        return _decoded(self.call("GET", f"{path}?{query}" if query else path).body, kind)

    def _command(self, method: str, target: str, payload: Any) -> Reply:
        try:
            return self.call(method, target, payload, timeout=self._command_timeout)
        except _NotAnswered as error:
            raise OutcomeUnknown("the daemon did not say how it ended; it may have been done") from error


def _query(fields: dict[str, Any]) -> str:
    try:
        return urlencode(fields)
    except UnicodeEncodeError as error:
        name = next(name for name, value in fields.items() if error.object in str(value))
        raise InvalidField(name, "is not UTF-8") from error


class _NotAnswered(Unavailable):
    """The request was sent, and no answer came."""


def _exchange(connection: Any, request: bytes, deadline: float) -> Response:
    response = Response()
    try:
        connection.settimeout(remaining(deadline))
        connection.sendall(request)
    except OSError as error:
        # A server that refuses a large body answers before it has read it, and closes: its answer is still there.
        if not isinstance(error, BrokenPipeError):
            raise Unavailable("the daemon stopped listening") from error
    try:
        while not response.is_complete:
            connection.settimeout(remaining(deadline))
            response.receive_data(connection.recv(_CHUNK))
    except (OSError, Unavailable) as error:
        raise _NotAnswered("the daemon did not answer in time") from error
    except PeerError as error:
        if not response.status:
            raise _NotAnswered(error.message) from error
        raise
    return response


class _ErrorFields(msgspec.Struct):
    code: str
    message: str
    field: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _ErrorFields


def _error_of(response: Response) -> Exception:
    try:
        found = msgspec.json.decode(response.body, type=_ErrorBody).error
    except (msgspec.ValidationError, msgspec.DecodeError):
        return PeerError(f"the daemon answered {response.status}")
    return from_code(found.code, found.message, found.field)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise PeerError(f"the daemon's answer cannot be read: {error}") from error
