"""What goes into the cache and out of it: writes, and frames of the feed. msgpack, length-prefixed on the feed.

Record bodies are JSON bytes, encoded once by the cache and never again on the way to a client.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from teleclaude.core.records import Computer, Kind, Project, Record, Session, Todo
from teleclaude.replication.version import Version


class _Op(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """One write."""


class PutComputers(_Op, frozen=True, tag="pc"):
    """Put computers, each by its name."""

    records: list[Computer]


class PutProjects(_Op, frozen=True, tag="pp"):
    """Put projects, each by computer and path."""

    records: list[Project]


class PutSessions(_Op, frozen=True, tag="ps"):
    """Put sessions, each by computer and id."""

    records: list[Session]


class PutTodos(_Op, frozen=True, tag="pt"):
    """Put todos, each by computer, project and slug."""

    records: list[Todo]


class ReplaceProjects(_Op, frozen=True, tag="rp"):
    """All projects that `computer` has."""

    computer: str
    records: list[Project]


class ReplaceSessions(_Op, frozen=True, tag="rs"):
    """All sessions that `computer` has."""

    computer: str
    records: list[Session]


class ReplaceTodos(_Op, frozen=True, tag="rt"):
    """All todos that `computer` has."""

    computer: str
    records: list[Todo]


class Remove(_Op, frozen=True, tag="rm"):
    """Remove records by key."""

    kind: Kind
    computer: str
    keys: list[str]


class Touch(_Op, frozen=True, tag="to"):
    """What is here of (kind, computer) is as its owner has it: its TTL begins anew."""

    kind: Kind
    computer: str


class LastHeard(_Op, frozen=True, tag="lh"):
    """A computer was heard of `age` seconds ago, and not when its record was put."""

    computer: str
    age: float


class ForgetComputer(_Op, frozen=True, tag="fo"):
    """Remove a computer and all that it owned."""

    computer: str


class Filled(_Op, frozen=True, tag="fi"):
    """The first look at this computer is done: the cache may show itself."""


Op: TypeAlias = (
    PutComputers
    | PutProjects
    | PutSessions
    | PutTodos
    | ReplaceProjects
    | ReplaceSessions
    | ReplaceTodos
    | Remove
    | Touch
    | LastHeard
    | ForgetComputer
    | Filled
)


def put(records: list[Record]) -> list[Op]:
    """Make the writes that put records of any kinds."""
    computers = [r for r in records if isinstance(r, Computer)]
    projects = [r for r in records if isinstance(r, Project)]
    sessions = [r for r in records if isinstance(r, Session)]
    todos = [r for r in records if isinstance(r, Todo)]
    ops: list[Op] = []
    if computers:
        ops.append(PutComputers(computers))
    if projects:
        ops.append(PutProjects(projects))
    if sessions:
        ops.append(PutSessions(sessions))
    if todos:
        ops.append(PutTodos(todos))
    return ops


def replace(kind: Kind, computer: str, records: list[Record]) -> Op:
    """Make the write that replaces all that `computer` has of `kind` ("computers" cannot be replaced)."""
    match kind:
        case "projects":
            return ReplaceProjects(computer, [r for r in records if isinstance(r, Project)])
        case "sessions":
            return ReplaceSessions(computer, [r for r in records if isinstance(r, Session)])
        case "todos":
            return ReplaceTodos(computer, [r for r in records if isinstance(r, Todo)])
        case "computers":
            raise ValueError("computers are put one by one")


class RowChange(msgspec.Struct, frozen=True, array_like=True):
    """Change `number` of the cache, of one record. `body` is its JSON; None means removed."""

    number: int
    kind: Kind
    computer: str
    key: str
    body: bytes | None


class Section(msgspec.Struct, frozen=True, array_like=True):
    """All records of one kind of one computer, as (key, body)."""

    kind: Kind
    computer: str
    items: list[tuple[str, bytes]]


class _Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A frame of the feed."""


class SnapshotFrame(_Frame, frozen=True, tag="S"):
    """Everything, at a version. Replaces all that the reader had."""

    version: Version
    sections: list[Section]


class ChangesFrame(_Frame, frozen=True, tag="C"):
    """The next changes in an epoch, at least one: in order, without a hole among them or behind the last frame."""

    epoch: str
    changes: list[RowChange]


class WelcomeFrame(_Frame, frozen=True, tag="W"):
    """First frame to each subscriber: the name of this computer."""

    computer: str


Frame: TypeAlias = SnapshotFrame | ChangesFrame | WelcomeFrame


_encoder = msgspec.msgpack.Encoder()
_ops = msgspec.msgpack.Decoder(list[Op])
_frame: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)

encode = _encoder.encode


def decode_ops(data: bytes) -> list[Op]:
    """Read a batch of writes. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return _ops.decode(data)


def decode_frame(data: bytes) -> Frame:
    """Read a frame's payload. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return _frame.decode(data)
