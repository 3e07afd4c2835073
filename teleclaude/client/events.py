"""What the /ws connection tells, as typed messages; and the frames they are read from.

Rules of this module: bytes in, messages out, nothing else. One bad record never takes the good ones of its frame
with it: it becomes a Malformed of its own. Events with unknown names are left out: a newer daemon may send them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import msgspec

from teleclaude.core.errors import PeerError
from teleclaude.core.records import EVERYWHERE, Computer, Kind, Project, Record, Session, Todo, key_of

R = TypeVar("R", Computer, Project, Session, Todo)


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the reader tells its consumer."""


class Connected(_Message, frozen=True, kw_only=True):
    """The daemon said hello. `computer` is this computer's name, `server` the daemon's version."""

    epoch: str
    version: int
    computer: str
    server: str = ""


class Disconnected(_Message, frozen=True, kw_only=True):
    """There is no connection, for `reason`; the next try is at `retry_at` (time.monotonic())."""

    reason: str
    retry_at: float


class Stopped(_Message, frozen=True, kw_only=True):
    """The reader was stopped; nothing comes after this until it is started again."""


class Replaced(_Message, frozen=True, kw_only=True):
    """All records of `kind` that `computer` (or every computer, "*") has at `version`, by computer and key."""

    epoch: str
    version: int
    kind: Kind
    computer: str
    records: list[Record]


class Changed(_Message, frozen=True, kw_only=True):
    """Records put and keys removed at `version`. With `project`, its todos are those in `puts` and no others."""

    epoch: str
    version: int
    kind: Kind
    computer: str
    puts: list[Record] = []
    removes: list[str] = []
    project: str | None = None


class Resumed(_Message, frozen=True, kw_only=True):
    """The answer to a resume is complete."""

    epoch: str
    version: int


class HealthEvent(_Message, frozen=True, kw_only=True):
    """Whether what the daemon shows is stale and why; the state of each of its workers by name."""

    stale: bool = False
    reason: str = ""
    workers: dict[str, str] = {}


class Cursor(msgspec.Struct, frozen=True):
    """Where a cursor is, from 0."""

    row: int
    column: int


class LiveOutput(_Message, frozen=True, kw_only=True):
    """The screen of a watched session: `rows` lines of text, each with its own colours (SGR); its size and cursor."""

    computer: str
    session_id: str
    text: str
    rows: int = 0
    columns: int = 0
    cursor: Cursor | None = None
    alternate: bool = False


class Refreshed(_Message, frozen=True, kw_only=True):
    """How a refresh ended: ok, error or unknown."""

    computer: str | None = None
    status: str = "ok"
    message: str = ""


class ServerError(_Message, frozen=True, kw_only=True):
    """The daemon refused something that was sent to it, or can show a watched session (`session_id`) no more."""

    code: str
    message: str
    field: str | None = None
    session_id: str = ""


class Malformed(_Message, frozen=True, kw_only=True):
    """Something came that cannot be read; it was left out."""

    reason: str


Message: TypeAlias = (
    Connected
    | Disconnected
    | Stopped
    | Replaced
    | Changed
    | Resumed
    | HealthEvent
    | LiveOutput
    | Refreshed
    | ServerError
    | Malformed
)


class _Envelope(msgspec.Struct):
    event: str
    version: int
    data: msgspec.Raw


class _Hello(msgspec.Struct):
    epoch: str
    computer: str
    server: str = ""


_NOTHING = msgspec.Raw()


class _Whole(msgspec.Struct):
    computer: str = EVERYWHERE
    computers: list[Computer] | msgspec.UnsetType = msgspec.UNSET
    sessions: list[Session] | msgspec.UnsetType = msgspec.UNSET
    projects: list[Project] | msgspec.UnsetType = msgspec.UNSET
    todos: list[Todo] | msgspec.UnsetType = msgspec.UNSET


class _Scope(msgspec.Struct):
    computer: str = EVERYWHERE
    computers: msgspec.Raw = _NOTHING
    sessions: msgspec.Raw = _NOTHING
    projects: msgspec.Raw = _NOTHING
    todos: msgspec.Raw = _NOTHING
    project: str = ""


class _Gone(msgspec.Struct):
    name: str = ""
    computer: str = ""
    session_id: str = ""


_envelope = msgspec.json.Decoder(_Envelope)
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_whole = msgspec.json.Decoder(_Whole)
_ONE: dict[Kind, msgspec.json.Decoder[Any]] = {
    "computers": msgspec.json.Decoder(Computer),
    "projects": msgspec.json.Decoder(Project),
    "sessions": msgspec.json.Decoder(Session),
    "todos": msgspec.json.Decoder(Todo),
}
_MANY: dict[Kind, msgspec.json.Decoder[Any]] = {
    "computers": msgspec.json.Decoder(list[Computer]),
    "projects": msgspec.json.Decoder(list[Project]),
    "sessions": msgspec.json.Decoder(list[Session]),
    "todos": msgspec.json.Decoder(list[Todo]),
}
_UNREADABLE = (msgspec.ValidationError, msgspec.DecodeError)


def read_frame(frame: bytes, epoch: str) -> list[Message]:
    """Read one frame of a connection whose last hello had `epoch`. Raises PeerError for what is no event."""
    try:
        envelope = _envelope.decode(frame)
    except _UNREADABLE as error:
        raise PeerError(f"not an event: {error}") from error
    read = _EVENTS.get(envelope.event)
    if read is None:
        return []
    try:
        return read(envelope.data, envelope.version, epoch)
    except _UNREADABLE as error:
        return [Malformed(reason=f"event {envelope.event[:40]}: {error}")]


def read_records(kind: Kind, data: bytes | msgspec.Raw) -> tuple[list[Record], list[Malformed]]:
    """Read a JSON array of records: the good ones, and a note for each bad one. Raises msgspec.DecodeError."""
    try:
        return _MANY[kind].decode(data), []
    except msgspec.ValidationError:
        pass
    records: list[Record] = []
    bad: list[Malformed] = []
    for raw in _raws.decode(data):
        try:
            records.append(_ONE[kind].decode(raw))
        except _UNREADABLE as error:
            bad.append(Malformed(reason=f"one of the {kind}: {error}"))
    return records, bad


def _hello(data: msgspec.Raw, version: int, _epoch: str) -> list[Message]:
    found = msgspec.json.decode(data, type=_Hello)
    return [Connected(epoch=found.epoch, version=version, computer=found.computer, server=found.server)]


def _initial(data: msgspec.Raw, version: int, epoch: str) -> list[Message]:
    try:
        whole = _whole.decode(data)
    except msgspec.ValidationError:
        return _initial_one_by_one(data, version, epoch)
    parts: list[tuple[Kind, Any]] = [
        ("computers", whole.computers),
        ("sessions", whole.sessions),
        ("projects", whole.projects),
        ("todos", whole.todos),
    ]
    return [
        Replaced(epoch=epoch, version=version, kind=kind, computer=whole.computer, records=records)
        for kind, records in parts
        if records is not msgspec.UNSET
    ]


def _initial_one_by_one(data: msgspec.Raw, version: int, epoch: str) -> list[Message]:
    scope = msgspec.json.decode(data, type=_Scope)
    parts: list[tuple[Kind, msgspec.Raw]] = [
        ("computers", scope.computers),
        ("sessions", scope.sessions),
        ("projects", scope.projects),
        ("todos", scope.todos),
    ]
    messages: list[Message] = []
    for kind, raw in parts:
        if bytes(raw):
            records, bad = read_records(kind, raw)
            messages.append(Replaced(epoch=epoch, version=version, kind=kind, computer=scope.computer, records=records))
            messages += bad
    return messages


def _put(kind: Kind) -> Callable[[msgspec.Raw, int, str], list[Message]]:
    def read(data: msgspec.Raw, version: int, epoch: str) -> list[Message]:
        record: Record = _ONE[kind].decode(data)
        owner = record.name if isinstance(record, Computer) else record.computer
        return [Changed(epoch=epoch, version=version, kind=kind, computer=owner, puts=[record])]

    return read


def _computer_removed(data: msgspec.Raw, version: int, epoch: str) -> list[Message]:
    name = msgspec.json.decode(data, type=_Gone).name
    return [Changed(epoch=epoch, version=version, kind="computers", computer=name, removes=[name])]


def _session_removed(data: msgspec.Raw, version: int, epoch: str) -> list[Message]:
    gone = msgspec.json.decode(data, type=_Gone)
    return [Changed(epoch=epoch, version=version, kind="sessions", computer=gone.computer, removes=[gone.session_id])]


def _todos_updated(data: msgspec.Raw, version: int, epoch: str) -> list[Message]:
    scope = msgspec.json.decode(data, type=_Scope)
    puts, bad = read_records("todos", bytes(scope.todos) or b"[]")
    changed = Changed(
        epoch=epoch, version=version, kind="todos", computer=scope.computer, puts=puts, project=scope.project
    )
    return [changed, *bad]


def _resumed(_data: msgspec.Raw, version: int, epoch: str) -> list[Message]:
    return [Resumed(epoch=epoch, version=version)]


def _plain(
    kind: type[HealthEvent | LiveOutput | Refreshed | ServerError],
) -> Callable[[msgspec.Raw, int, str], list[Message]]:
    def read(data: msgspec.Raw, _version: int, _epoch: str) -> list[Message]:
        return [msgspec.json.decode(data, type=kind)]

    return read


_EVENTS: dict[str, Callable[[msgspec.Raw, int, str], list[Message]]] = {
    "hello": _hello,
    "computers_initial": _initial,
    "sessions_initial": _initial,
    "preparation_initial": _initial,
    "computer_updated": _put("computers"),
    "computer_removed": _computer_removed,
    "session_started": _put("sessions"),
    "session_updated": _put("sessions"),
    "session_removed": _session_removed,
    "projects_updated": _initial,
    "todos_updated": _todos_updated,
    "resumed": _resumed,
    "health": _plain(HealthEvent),
    "session_output": _plain(LiveOutput),
    "refreshed": _plain(Refreshed),
    "error": _plain(ServerError),
}


def keyed(records: list[Record]) -> dict[str, Record]:
    """Records of one kind and owner by their key."""
    return {key_of(record): record for record in records}
