"""The records of the shared view, and their keys.

What must live here: the shape of what is cached and sent, as frozen structs. What this module must not know:
where a record comes from, how it is stored, who reads it.

None of them can be part of a cycle, so those of which there are many are not told to the garbage collector (gc=False).
Times are UTC, ISO 8601 with milliseconds and `Z`, as text; `utc_text` makes them. Each computer owns its own
records (`computer` names the owner) and nobody else writes them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec.structs import force_setattr

Kind: TypeAlias = Literal["computers", "projects", "sessions", "todos"]
Scope: TypeAlias = tuple[str, Kind]  # a computer's name, or EVERYWHERE, and a kind: a part of all that there is
EVERYWHERE = "*"  # in place of a computer's name: all of them
KINDS: tuple[Kind, ...] = ("computers", "projects", "sessions", "todos")


Agent: TypeAlias = str  # a profile's name (claude, codex, gemini, shell, or one from the settings), or "other"
SessionStatus: TypeAlias = Literal[
    "starting", "running", "working", "waiting", "idle", "error", "ended", "lost", "unknown"
]
AskKind: TypeAlias = Literal["approval", "question", "plan", "setup", "unknown"]
TodoStatus: TypeAlias = Literal["pending", "ready", "in_progress", "done", "unknown"]
ComputerStatus: TypeAlias = Literal["online", "offline"]
ServiceState: TypeAlias = Literal["ok", "off", "absent", "down", "hung", "unknown"]
AwaitedKind: TypeAlias = Kind
# How far a text came: `submitted`, its agent showed that it took it; `typed`, it went in with Enter, and nothing shows
# there what is taken (a shell, an unknown program); `not_proven`, an agent that shows it did not within a second;
# empty, a computer with an older version did not tell.
Delivery: TypeAlias = Literal["", "typed", "submitted", "not_proven"]
SESSION_STATUSES: Final[tuple[str, ...]] = get_args(SessionStatus)
ASK_KINDS: Final[tuple[str, ...]] = get_args(AskKind)
DELIVERIES: Final[tuple[str, ...]] = get_args(Delivery)
TODO_STATUSES: Final[tuple[str, ...]] = get_args(TodoStatus)
COMPUTER_STATUSES: Final[tuple[str, ...]] = get_args(ComputerStatus)
SERVICE_STATES: Final[tuple[str, ...]] = get_args(ServiceState)

# One value that a newer version knows must not cost the message that it is in. So a decoder takes any text here, and
# the record makes *unknown* what it does not know; for who checks types and for the schema the choice is closed.
if not TYPE_CHECKING:

    def _open(choice: Any) -> Any:
        return Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(get_args(choice))})]

    SessionStatus, TodoStatus, ComputerStatus = _open(SessionStatus), _open(TodoStatus), _open(ComputerStatus)
    ServiceState, AwaitedKind, AskKind = _open(ServiceState), _open(Kind), _open(AskKind)


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a computer depends on, and how it is: `tmux`, `redis`, `projects`.

    `reason` is a sentence for a person; `since` is the time of the last change of `state`.
    """

    name: str
    state: ServiceState
    reason: str = ""
    since: str = ""

    def __post_init__(self) -> None:
        """Take a state of another version for an unknown one."""
        if self.state not in SERVICE_STATES:
            force_setattr(self, "state", "unknown")


class Computer(msgspec.Struct, frozen=True, kw_only=True):
    """A computer of the fleet. `counts` maps a session status to a number of sessions.

    `tmux_socket`: name of the socket of the tmux that it watches, as in `tmux -L`; empty when it did not say.
    `awaited`: kinds that were asked of it and have not come yet; the reader's note, as `status` is.
    """

    name: str
    status: ComputerStatus = "online"
    last_seen: str = ""
    is_local: bool = False
    user: str = ""
    host: str = ""
    tmux_socket: str = ""
    role: str = ""
    platform: str = ""
    version: str = ""
    epoch: str = ""
    awaited: tuple[AwaitedKind, ...] = ()
    counts: dict[str, int] = {}
    services: tuple[Service, ...] = ()

    def __post_init__(self) -> None:
        """Know nothing of kinds of another version, nor take for live what has a status of one."""
        if self.status not in COMPUTER_STATUSES:
            force_setattr(self, "status", "offline")
        if self.awaited:
            force_setattr(self, "awaited", tuple(kind for kind in self.awaited if kind in KINDS))


class Project(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A folder people work in. `configured` is false for one that is shown only because a session is in it."""

    computer: str
    path: str
    name: str
    description: str = ""
    branch: str = ""
    configured: bool = True


class Tmux(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a session lives in tmux: the session's name for people, the `$`, `@` and `%` ids for programs.

    `panes`: how many panes the tmux session has; `place`: number of the window and of the pane in it, as tmux counts
    ("1.0"), when the tmux session has several rows.
    """

    name: str
    session: str
    window: str
    pane: str
    panes: int = 1
    place: str = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an agent waits for an answer to.

    `tool`: its name with the agent (`Bash`); `text`: what it would do with it, or its question, short and safe to show;
    `choices`: the answers that a question offers. `id` names it to who answers from afar; empty when it is answered at
    its own terminal only. `answered`: what became of such an answer, a word for a person; empty before one.
    """

    kind: AskKind
    tool: str = ""
    text: str = ""
    choices: tuple[str, ...] = ()
    id: str = ""
    answered: str = ""

    def __post_init__(self) -> None:
        """Take a kind of another version for an unknown one."""
        if self.kind not in ASK_KINDS:
            force_setattr(self, "kind", "unknown")


class Session(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One pane in which an agent runs, or one tmux session without an agent, with its active pane.

    `project` is a path (the longest project path that holds `cwd`); `attached` counts tmux clients;
    `last_activity`, `last_input` and `last_output` are times. `session_id` is stable across restarts of the daemon.
    `asks`: what an agent waits for; `background`: what runs behind it, in words ("2 shells, 1 subagent");
    `last_prompt`, `last_answer`: the first lines of them. A session that is *lost* ended with its computer or its tmux
    server, and may be brought back.
    """

    session_id: str
    computer: str
    project: str = ""
    cwd: str = ""
    title: str = ""
    agent: Agent = "shell"
    thinking_mode: str = ""
    status: SessionStatus = "unknown"
    status_reason: str = ""
    status_since: str = ""
    command: str = ""
    created_at: str = ""
    last_activity: str = ""
    last_input: str = ""
    last_output: str = ""
    attached: int = 0
    parent: str = ""
    asks: Ask | None = None
    background: str = ""
    last_prompt: str = ""
    last_answer: str = ""
    tmux: Tmux

    def __post_init__(self) -> None:
        """Take a status of another version for an unknown one."""
        if self.status not in SESSION_STATUSES:
            force_setattr(self, "status", "unknown")


class StartedSession(Session, frozen=True, kw_only=True):
    """A session that was just started, and what became of its first message.

    `message_sent` is None when there was none; when it is false the text went nowhere, `message_error` says why, and
    the session is there all the same. When it is true, `delivery` says how far it came.
    """

    message_sent: bool | None = None
    message_error: str = ""
    delivery: Delivery = ""


class Todo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One piece of planned work. `project` is the project's path; `order` is its place in its file."""

    computer: str
    project: str
    slug: str
    title: str
    description: str = ""
    status: TodoStatus = "pending"
    order: int = 0
    has_requirements: bool = False
    has_plan: bool = False
    build_status: str = ""
    review_status: str = ""

    def __post_init__(self) -> None:
        """Take a status of another version for an unknown one."""
        if self.status not in TODO_STATUSES:
            force_setattr(self, "status", "unknown")


Record: TypeAlias = Computer | Project | Session | Todo

TYPES: dict[Kind, type[Record]] = {
    "computers": Computer,
    "projects": Project,
    "sessions": Session,
    "todos": Todo,
}
_KINDS: dict[type[Record], Kind] = {cls: kind for kind, cls in TYPES.items()}


def kind_of(record: Record) -> Kind:
    """Kind of a record."""
    return _KINDS[type(record)]


def owner_of(record: Record) -> str:
    """Name of the computer that owns a record."""
    return record.name if isinstance(record, Computer) else record.computer


def key_of(record: Record) -> str:
    """Key of a record, unique among the records of its kind and owner.

    A todo's key is its project's path, a NUL (no path holds one), and its slug.
    """
    match record:
        case Computer():
            return record.name
        case Project():
            return record.path
        case Session():
            return record.session_id
        case Todo():
            return f"{record.project}\0{record.slug}"


def utc_text(seconds: float) -> str:
    """Seconds since 1970 as UTC text with milliseconds: `2026-11-23T18:00:00.000Z`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def utc_seconds(text: str) -> float | None:
    """Read the inverse of `utc_text`; None for an empty or malformed text, or a time that no clock can show."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
