"""What the node asks of the world, as data. The loop carries it out, in order, and tells the node what came of it.

A command for Redis says what it is about; its answer comes back with the same words, in an event. So the node keeps
no list of what it asked, and an answer that never comes costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from teleclaude.cache import wire
from teleclaude.core.records import ServiceState
from teleclaude.core.request_wire import WatchedFrame
from teleclaude.core.requests import Outcome, Request
from teleclaude.core.session_notice import SessionNotice

Value: TypeAlias = bytes | str | int | float


# What a command for Redis is about.


@dataclass(frozen=True)
class BeatWritten:
    """This computer's heartbeat; `before`: the one that it should have replaced, empty for none."""

    before: bytes


@dataclass(frozen=True)
class NameEntered:
    """This computer's name, put into the set of names."""


@dataclass(frozen=True)
class NamesRead:
    """The set of names, with the times of their entries."""


@dataclass(frozen=True)
class BeatsRead:
    """The heartbeats of `names`. `entered`: seconds since 1970 when each name was entered, where that was read."""

    names: tuple[str, ...]
    entered: Mapping[str, float] | None = None


@dataclass(frozen=True)
class BeatAge:
    """The milliseconds that a heartbeat, the first that was read of a computer, has left."""

    name: str
    generation: int
    beat: int


@dataclass(frozen=True)
class PushWritten:
    """A message put into the inbox of a computer that looks here. `expire`: the inbox' expiry is to be set."""

    name: str
    expire: bool


@dataclass(frozen=True)
class NoteWritten:
    """The note, in its asker's inbox, that an answer lies ready; `until` then it may be written again."""

    name: str
    request_id: str
    until: float


@dataclass(frozen=True)
class CommandWritten:
    """A command put into another computer's messages."""

    request_id: str


@dataclass(frozen=True)
class ScreenWritten:
    """An update of a screen, for a computer that watches."""

    name: str
    session_id: str


@dataclass(frozen=True)
class MessageWritten:
    """Any other message for another computer."""


About: TypeAlias = (
    BeatWritten
    | NameEntered
    | NamesRead
    | BeatsRead
    | BeatAge
    | PushWritten
    | NoteWritten
    | CommandWritten
    | ScreenWritten
    | MessageWritten
)


# Effects.


@dataclass(frozen=True)
class ToRedis:
    """One command for Redis. `keep_until`: until then it is worth sending again when the connection broke."""

    command: tuple[Value, ...]
    about: About | None = None
    keep_until: float = 0.0


@dataclass(frozen=True)
class ToCache:
    """Writes for the cache."""

    ops: list[wire.Op]


@dataclass(frozen=True)
class TellOutcome:
    """Tell a client here how its command ended."""

    outcome: Outcome


@dataclass(frozen=True)
class ShowScreen:
    """Show the screen of a session elsewhere, which a client here watches, or that it ended."""

    screen: WatchedFrame


@dataclass(frozen=True)
class WatchHere:
    """Other computers watch the screens of these sessions here, and of no others."""

    session_ids: frozenset[str]


@dataclass(frozen=True)
class ReadScreens:
    """Read the screens of these sessions elsewhere, (computer, session id), and of no others."""

    watched: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class RunHere:
    """Run a request of another computer here, after those that were given for the same `lane`.

    It must not begin after `expires`. `journaled`: it runs at most once, ever; else a second time does no harm.
    """

    request: Request
    lane: str
    expires: float
    journaled: bool


@dataclass(frozen=True)
class TellPerson:
    """Tell who uses this computer."""

    notices: list[SessionNotice]


@dataclass(frozen=True)
class TakeName:
    """The name is this computer's to take: make its keys in Redis ready, and tell when that is done."""


@dataclass(frozen=True)
class KeepSilent:
    """The name is another's: close the connection, and look again at `until`. `reason` is for people."""

    reason: str
    until: float


@dataclass(frozen=True)
class ConnectAnew:
    """Something is wrong with this connection: close it, and look at Redis with another. `reason` is for people."""

    reason: str


@dataclass(frozen=True)
class ReadInbox:
    """Read the inbox, or rest, from now on."""

    wanted: bool


@dataclass(frozen=True)
class ReadInboxAnew:
    """Read the inbox on a new connection: the one there is may be dead without a sign."""


@dataclass(frozen=True)
class ShowService:
    """Show people how something of the fleet is; `state` None: show it no more."""

    name: str
    state: ServiceState | None
    reason: str = ""


@dataclass(frozen=True)
class WakeAt:
    """Wake the node at this time, if nothing else does before."""

    at: float


Effect: TypeAlias = (
    ToRedis
    | ToCache
    | TellOutcome
    | ShowScreen
    | WatchHere
    | ReadScreens
    | RunHere
    | TellPerson
    | TakeName
    | KeepSilent
    | ConnectAnew
    | ReadInbox
    | ReadInboxAnew
    | ShowService
    | WakeAt
)
