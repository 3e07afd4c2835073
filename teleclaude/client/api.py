"""REST over the daemon's unix socket, typed.

Each call has a deadline, opens its own connection, and may be made from any thread. Errors that the daemon tells
come back as those of core/errors.py; a daemon that does not answer is Unavailable; a command that was sent and not
answered is OutcomeUnknown, for it may have run.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from teleclaude.client.dial import dial, remaining
from teleclaude.client.http import Response, request_to_send
from teleclaude.core.errors import OutcomeUnknown, PeerError, Unavailable, from_code
from teleclaude.core.lifeline import WorkerState
from teleclaude.core.records import Computer, Project, Service, Session, StartedSession, Todo

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


class Answer(msgspec.Struct, frozen=True):
    """A successful answer: its bytes, where they stand (from the ETag), and why they are stale, if they are."""

    body: bytes
    epoch: str = ""
    version: int = 0
    stale: str = ""


class _Output(msgspec.Struct):
    text: str = ""


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

    def sessions(self, *, computer: str = "", project: str = "", status: str = "") -> list[Session]:
        """Sessions, filtered by what is not empty."""
        return self._read("/sessions", list[Session], computer=computer, project=project, status=status)

    def session(self, session_id: str) -> Session:
        """One session, by its id or a unique prefix. Raises NotFound or Ambiguous."""
        return self._read(f"/sessions/{quote(session_id, safe='')}", Session)

    def todos(self, *, computer: str = "", project: str = "", status: str = "") -> list[Todo]:
        """Todos, filtered by what is not empty."""
        return self._read("/todos", list[Todo], computer=computer, project=project, status=status)

    def projects_with_todos(self, *, computer: str = "") -> list[ProjectWithTodos]:
        """Projects with their todos."""
        return self._read("/projects-with-todos", list[ProjectWithTodos], computer=computer)

    def agents(self) -> list[AgentInfo]:
        """Agent profiles of this computer."""
        return self._read("/agents", list[AgentInfo])

    def output(self, session_id: str, *, lines: int = 200) -> str:
        """Last lines of a session's screen and history, with colours. Raises what a command raises."""
        target = f"/sessions/{quote(session_id, safe='')}/output?lines={lines}"
        return _decoded(self.call("GET", target, timeout=self._command_timeout).body, _Output).text

    # Commands

    def start(
        self, computer: str, project: str, agent: str, *, title: str = "", message: str = "", thinking_mode: str = ""
    ) -> StartedSession:
        """Start an agent in a project (a path). Gives the new session, which may be there without its message."""
        wanted = {
            "computer": computer,
            "project": project,
            "agent": agent,
            "title": title,
            "message": message,
            "thinking_mode": thinking_mode,
        }
        answer = self._command("POST", "/sessions", {key: value for key, value in wanted.items() if value})
        return _decoded(answer.body, StartedSession)

    def message(self, session_id: str, text: str) -> None:
        """Give text to a session, then Enter. Raises WaitingForApproval when it would answer a prompt."""
        self._command("POST", f"/sessions/{quote(session_id, safe='')}/message", {"text": text})

    def keys(self, session_id: str, keys: list[str]) -> None:
        """Press keys in a session, by tmux' names."""
        self._command("POST", f"/sessions/{quote(session_id, safe='')}/keys", {"keys": keys})

    def rename(self, session_id: str, title: str) -> Session:
        """Give a session another title. Gives the session."""
        answer = self._command("PATCH", f"/sessions/{quote(session_id, safe='')}", {"title": title})
        return _decoded(answer.body, Session)

    def end(self, session_id: str) -> None:
        """End a session."""
        self._command("DELETE", f"/sessions/{quote(session_id, safe='')}", None)

    def refresh(self, computer: str = "") -> None:
        """Have a computer look again at everything; every one when none is named."""
        self._command("POST", "/refresh", {"computer": computer} if computer else {})

    # The exchange

    def call(self, method: str, target: str, payload: Any = None, *, timeout: float | None = None) -> Answer:
        """Make one request within `timeout` seconds. `payload` becomes the JSON body.

        Raises the error that the daemon tells, Unavailable, Refused or PeerError.
        """
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        body = None if payload is None else msgspec.json.encode(payload)
        with dial(self._path, deadline) as connection:
            response = _exchange(connection, request_to_send(method, target, body), deadline)
        if response.status >= 400:
            raise _told(response)
        epoch, _, version = response.headers.get("etag", "").strip('"').rpartition("-")
        stale = response.headers.get("x-teleclaude-stale", "")
        return Answer(response.body, epoch, int(version) if version.isdecimal() else 0, stale)

    def _read(self, path: str, kind: type[T], **filters: str) -> T:
        query = urlencode({key: value for key, value in filters.items() if value})
        return _decoded(self.call("GET", f"{path}?{query}" if query else path).body, kind)

    def _command(self, method: str, target: str, payload: Any) -> Answer:
        try:
            return self.call(method, target, payload, timeout=self._command_timeout)
        except _NotAnswered as error:
            raise OutcomeUnknown("the daemon did not say how it ended; it may have been done") from error


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


class _Told(msgspec.Struct):
    code: str
    message: str
    field: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Told


def _told(response: Response) -> Exception:
    try:
        told = msgspec.json.decode(response.body, type=_ErrorBody).error
    except (msgspec.ValidationError, msgspec.DecodeError):
        return PeerError(f"the daemon answered {response.status}")
    return from_code(told.code, told.message, told.field)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise PeerError(f"the daemon's answer cannot be read: {error}") from error
