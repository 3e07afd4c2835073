"""What computers say to each other: the bodies, and the envelope around each. msgpack, sealed by sealing.py.

Shapes only; receipt.py and limits.py judge what is in them. Rows travel as raw msgpack and are read by their kind, so
an event is encoded once for all who get it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from teleclaude.core.records import Computer, Kind, Project, Record, Session, Todo, owner_of
from teleclaude.core.requests import Outcome
from teleclaude.core.verbs import Args
from teleclaude.sync.fleet.wire.limits import Received, bounded, check_size

VERSION = 2  # 1 was not signed
REQUEST_LIFE = 60.0  # seconds, at most

# Another version may know more kinds: they are read as any text, and receipt.py leaves out those that are unknown here.
if TYPE_CHECKING:
    WireKind: TypeAlias = Kind
else:
    WireKind = str


class _MessageBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """One message."""


class Fresh(msgspec.Struct, frozen=True, array_like=True):
    """For whom a request is: the recipient's epoch, and from when to when on the recipient's own clock."""

    epoch: str
    issued: float
    expires: float


class Heartbeat(_MessageBody, frozen=True, kw_only=True, tag="heartbeat"):
    """A computer lives. `heads`: its last change of each kind. `home` tells machines and folders apart.

    `last_key`: when its user last pressed a key there, on the sender's own clock, coarse; 0 for never.
    """

    beat: int
    home: str
    heads: dict[WireKind, int]
    interested_in: dict[str, list[WireKind]] = {}
    info: Computer
    last_key: float = 0.0


class Hello(_MessageBody, frozen=True, kw_only=True, tag="hello"):
    """A computer is new here, or back: its heartbeat, at once."""

    heartbeat: Heartbeat


class Goodbye(_MessageBody, frozen=True, kw_only=True, tag="goodbye"):
    """A computer ends in order. `left`: it is of this fleet no more."""

    left: bool = False


class Clash(_MessageBody, frozen=True, kw_only=True, tag="clash"):
    """Another computer has the recipient's name too; it keeps silent, and says so."""

    fresh: Fresh
    host: str


class InterestChange(_MessageBody, frozen=True, kw_only=True, tag="interest"):
    """The kinds that the sender looks at here, from its beat `beat` on; none ends its interest."""

    fresh: Fresh
    kinds: list[WireKind]
    beat: int


class Pull(_MessageBody, frozen=True, kw_only=True, tag="pull"):
    """A request for snapshots of `kinds`; `have` tells the (epoch, seq) the sender has of a kind.

    It carries the sender's interest, so that no change falls between the snapshot and the first push. Without
    kinds it asks only for the time. `look`: look again at the sources first.
    """

    fresh: Fresh
    kinds: list[WireKind]
    have: dict[WireKind, tuple[str, int]] = {}
    interest: list[WireKind] = []
    beat: int = 0
    look: bool = False


class Command(_MessageBody, frozen=True, kw_only=True, tag="command"):
    """A command for the recipient."""

    fresh: Fresh
    args: Args


class PullPart(msgspec.Struct, frozen=True, array_like=True):
    """All rows of a kind at `seq`; `is_same`: what the asker has is that, and no rows are sent."""

    kind: WireKind
    seq: int
    is_same: bool
    rows: msgspec.Raw


class PullAnswer(_MessageBody, frozen=True, kw_only=True, tag="snapshot"):
    """The answer to a pull. `refused`: why there is none."""

    request: str
    parts: list[PullPart] = []
    refused: str = ""


class CommandAnswer(_MessageBody, frozen=True, kw_only=True, tag="answer"):
    """The answer to a command."""

    outcome: Outcome


class ChangeEvent(_MessageBody, frozen=True, kw_only=True, tag="event"):
    """Changes `after` + 1 to `seq` of a kind, as whole rows, and the keys that are gone."""

    kind: WireKind
    seq: int
    after: int
    rows: msgspec.Raw
    removed: list[str] = []


class Heads(_MessageBody, frozen=True, kw_only=True, tag="heads"):
    """The sender's last changes; behind its events, so who has less has lost something."""

    heads: dict[WireKind, int]


class WatchScreens(_MessageBody, frozen=True, kw_only=True, tag="watch"):
    """All sessions here that the sender watches, with the number of the last screen that it has of each; 0 for none.

    It replaces what was said before, and is to be said again in time: what it says lasts for a lease. None ends all.
    """

    fresh: Fresh
    sessions: dict[str, int]


class ScreenUpdate(_MessageBody, frozen=True, kw_only=True, tag="update"):
    """What changed on a watched screen between `after` and `number`: whole rows by their place, of `height` rows.

    Without `after` all rows are there: a keyframe. Numbers grow over all sessions of one run of the sender.
    """

    session_id: str
    number: int
    after: int | None = None
    rows: dict[int, str]
    height: int
    columns: int = 0
    cursor: tuple[int, int] | None = None
    alternate: bool = False


class ScreenEnd(_MessageBody, frozen=True, kw_only=True, tag="screen_end"):
    """Nothing more comes of a watched screen, for a reason: an error's `code` and `message`."""

    session_id: str
    code: str
    message: str


Body: TypeAlias = (
    Heartbeat
    | Hello
    | Goodbye
    | Clash
    | InterestChange
    | Pull
    | Command
    | PullAnswer
    | CommandAnswer
    | ChangeEvent
    | Heads
    | WatchScreens
    | ScreenUpdate
    | ScreenEnd
)


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """Around each body. `generation` counts a computer's starts, `clock` is the sender's own (clocks.py)."""

    version: int
    sender: str
    recipient: str  # "*" in a heartbeat
    id: str
    epoch: str
    generation: int
    clock: float
    body: msgspec.Raw


class Signed(msgspec.Struct, frozen=True, array_like=True):
    """Around each envelope: who signed its bytes, by the public key. See identity.py."""

    version: int
    key: bytes
    signature: bytes
    message: bytes


_encoder = msgspec.msgpack.Encoder()
_body: msgspec.msgpack.Decoder[Body] = msgspec.msgpack.Decoder(Body)
_envelope = msgspec.msgpack.Decoder(Envelope)
_signed = msgspec.msgpack.Decoder(Signed)
_ROWS: dict[Kind, msgspec.msgpack.Decoder[Any]] = {
    "projects": msgspec.msgpack.Decoder(list[Project]),
    "sessions": msgspec.msgpack.Decoder(list[Session]),
    "todos": msgspec.msgpack.Decoder(list[Todo]),
}


def encode(value: Body | Envelope | Signed) -> bytes:
    """Encode a body, an envelope or what is around it."""
    return _encoder.encode(value)


def raw(value: Body) -> msgspec.Raw:
    """Encode a body for any number of envelopes."""
    return msgspec.Raw(_encoder.encode(value))


def read_signed(data: bytes) -> Signed:
    """Read what is around an envelope. Raises msgspec.DecodeError."""
    return _signed.decode(data)


def read_envelope(data: bytes) -> Envelope:
    """Read an envelope. Raises msgspec.DecodeError."""
    return _envelope.decode(data)


def read_body(envelope: Envelope) -> Body:
    """Read what is in an envelope. Raises msgspec.DecodeError."""
    return _body.decode(envelope.body)


def rows_of(records: Iterable[Record]) -> msgspec.Raw:
    """Encode rows of one kind."""
    return msgspec.Raw(_encoder.encode(list(records)))


def read_rows(kind: Kind, owner: str, data: msgspec.Raw, wall: float) -> Received:
    """Read rows of a kind, and bound them; `wall`: seconds since 1970 here.

    Raises ValueError (msgspec's included) when they are not `owner`'s rows of that kind, and OverLimit when they are
    too many to be read.
    """
    if kind not in _ROWS:
        raise ValueError(f"{kind} do not travel as rows")
    check_size(kind, data)
    records: list[Record] = _ROWS[kind].decode(data)
    for record in records:
        if owner_of(record) != owner:
            raise ValueError(f"a row of {owner_of(record)!r} from {owner!r}")
    return bounded(records, wall)
