"""What happens to the node, as data: what the connection, Redis, this computer and its clients do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.records import Computer, Kind, Record
from teleclaude.core.requests import Outcome, Request
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.settings import Settings
from teleclaude.replication.change import Change
from teleclaude.replication.version import Version
from teleclaude.sync.fleet.node_effects import About, ToRedis


@dataclass(frozen=True)
class Refusal:
    """Redis refused one command; `reason` is in its words."""

    reason: str


Answer: TypeAlias = "bytes | int | list[bytes | None] | Refusal | None"


# The connection.


@dataclass(frozen=True)
class RedisReached:
    """Redis is reached; `heartbeat` is what lies there under this computer's name."""

    heartbeat: bytes | None


@dataclass(frozen=True)
class Joined:
    """This computer's keys are ready: what is written from now on is sent."""


@dataclass(frozen=True)
class ConnectionLost:
    """The connection is gone, or could not be made. `unsent`: commands whose answers did not come."""

    reason: str
    unsent: tuple[ToRedis, ...] = ()


@dataclass(frozen=True)
class ReaderFailed:
    """A blocked read failed, on a connection of its own; `reason` is for people."""

    reason: str


@dataclass(frozen=True)
class RedisAnswered:
    """The answer to a command."""

    about: About
    answer: Answer


@dataclass(frozen=True)
class RedisEmptied:
    """Somebody emptied Redis under the connection."""


@dataclass(frozen=True)
class InboxRemade:
    """The inbox in Redis is not the one that was read before."""


# What others say.


@dataclass(frozen=True)
class RequestsCame:
    """Entries of this computer's messages: (id, sealed message). `again`: they were handed over before."""

    entries: list[tuple[bytes, bytes]]
    again: bool = False


@dataclass(frozen=True)
class InboxCame:
    """Sealed messages from the inbox, in order."""

    blobs: list[bytes]


@dataclass(frozen=True)
class ScreensCame:
    """Sealed updates of a screen that clients here watch, in order."""

    owner: str
    session_id: str
    blobs: list[bytes]


# This computer and its clients.


@dataclass(frozen=True)
class OwnFound:
    """All records that this computer has of a kind, at a version."""

    kind: Kind
    version: Version
    records: list[Record]


@dataclass(frozen=True)
class OwnChanged:
    """This computer's records of a kind changed."""

    kind: Kind
    change: Change[str, Record]


@dataclass(frozen=True)
class SelfDescribed:
    """This computer's own record; `is_filled`: its first look at itself is done."""

    me: Computer | None
    is_filled: bool


@dataclass(frozen=True)
class InterestChanged:
    """All that clients here look at: computer, or "*", to kinds."""

    interest: Mapping[str, list[Kind]]


@dataclass(frozen=True)
class WatchChanged:
    """All sessions elsewhere whose screens clients here watch, as (computer, session id)."""

    watched: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class CommandGiven:
    """A client here gave a command for another computer, or a refresh; nobody waits for it after `until`."""

    request: Request
    until: float


@dataclass(frozen=True)
class RequestRan:
    """How a request of another computer ended here. `has_run`: now, and not before, or not at all."""

    outcome: Outcome
    has_run: bool


@dataclass(frozen=True)
class ScreenChanged:
    """The screen of a session here, which other computers watch; or why there is none any more."""

    session_id: str
    screen: LiveScreen | TeleclaudeError


@dataclass(frozen=True)
class KeyPressed:
    """This computer's user pressed a key at `at`, on this computer's clock; those that follow soon are not told."""

    at: float


@dataclass(frozen=True)
class NoticesGiven:
    """Sessions here have something to tell a person, wherever he is."""

    notices: list[SessionNotice]


@dataclass(frozen=True)
class SettingsChanged:
    """The settings are others."""

    settings: Settings


@dataclass(frozen=True)
class Woken:
    """The events of this turn are told: do what is due, and say when more will be."""


@dataclass(frozen=True)
class Stopping:
    """This computer's daemon stops; `left`: it leaves the fleet."""

    left: bool = False


Event: TypeAlias = (
    RedisReached
    | Joined
    | ConnectionLost
    | ReaderFailed
    | RedisAnswered
    | RedisEmptied
    | InboxRemade
    | RequestsCame
    | InboxCame
    | ScreensCame
    | OwnFound
    | OwnChanged
    | SelfDescribed
    | InterestChanged
    | WatchChanged
    | CommandGiven
    | RequestRan
    | ScreenChanged
    | KeyPressed
    | NoticesGiven
    | SettingsChanged
    | Woken
    | Stopping
)
