"""What a client may say on /ws, and what it then looks at. Pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from teleclaude.core.errors import InvalidField, TooLarge
from teleclaude.core.records import EVERYWHERE, Kind, Scope
from teleclaude.replication.version import Version
from teleclaude.web.http.json_body import read_json

MESSAGE_LIMIT: Final = 256 * 1024
SCOPES_LIMIT: Final = 256  # pairs of computer and kind for one client

Name = Annotated[str, Meta(min_length=1, max_length=128)]
ShortForm: TypeAlias = Literal["sessions", "preparation"]
_SHORT_FORMS: Final[dict[str, list[Kind]]] = {"sessions": ["sessions"], "preparation": ["projects", "todos"]}


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a message."""


class Selection(_Part, frozen=True):
    """Kinds of records of one computer, or of all ("*")."""

    computer: Name
    types: Annotated[list[Literal["sessions", "projects", "todos"]], Meta(min_length=1, max_length=3)]

    @property
    def scopes(self) -> list[Scope]:
        """The same as pairs."""
        return [(self.computer, kind) for kind in self.types]


class Resume(_Part, frozen=True):
    """Where a client that comes back stands."""

    epoch: Annotated[str, Meta(max_length=64)]
    version: Annotated[int, Meta(ge=0, le=2**63 - 1)]

    @property
    def at(self) -> Version:
        """The same as a version."""
        return Version(self.epoch, self.version)


class OneComputer(_Part, frozen=True):
    """A computer to look at again."""

    computer: Name


class OneSession(_Part, frozen=True):
    """A session to watch, by its id or a unique beginning of it; on one computer, if it is named."""

    session_id: Name
    computer: Annotated[str, Meta(max_length=128)] = ""


Selections: TypeAlias = ShortForm | Selection | Annotated[list[ShortForm | Selection], Meta(max_length=SCOPES_LIMIT)]


class ClientMessage(_Part, frozen=True):
    """One message of a client: any of these, done in this order."""

    unsubscribe: Selections | UnsetType = UNSET
    resume: Resume | UnsetType = UNSET
    subscribe: Selections | UnsetType = UNSET
    refresh: bool | OneComputer | UnsetType = UNSET
    watch: OneSession | UnsetType = UNSET
    unwatch: OneSession | UnsetType = UNSET


_decoder = msgspec.json.Decoder(ClientMessage)


def parse(data: bytes | str) -> ClientMessage:
    """Read a message. Raises InvalidField or BadRequest."""
    found = read_json(_decoder, data)
    if found == ClientMessage():
        raise InvalidField("body", "says nothing: subscribe, unsubscribe, resume, refresh, watch or unwatch")
    if found.refresh is False:
        raise InvalidField("refresh", "must be true or name a computer")
    return found


def selections(said: Selections | UnsetType) -> list[Selection]:
    """Give what was said in the long form."""
    if isinstance(said, UnsetType):
        return []
    parts = said if isinstance(said, list) else [said]
    return [Selection(EVERYWHERE, _SHORT_FORMS[part]) if isinstance(part, str) else part for part in parts]  # type: ignore[arg-type]  # Kind is wider


def added(interest: frozenset[Scope], chosen: list[Selection]) -> frozenset[Scope]:
    """Add what was chosen. Raises TooLarge over `SCOPES_LIMIT`."""
    found = interest.union(*(selection.scopes for selection in chosen))
    if len(found) > SCOPES_LIMIT:
        raise TooLarge(f"a client has at most {SCOPES_LIMIT} subscriptions", field="subscribe")
    return found


def removed(interest: frozenset[Scope], chosen: list[Selection]) -> frozenset[Scope]:
    """Take away what was chosen."""
    return interest.difference(*(selection.scopes for selection in chosen))


def selections_of(interest: frozenset[Scope]) -> list[Selection]:
    """Give interest by computer, in a fixed order."""
    kinds: dict[str, list[Kind]] = {}
    for computer, kind in sorted(interest):
        kinds.setdefault(computer, []).append(kind)
    return [Selection(computer, found) for computer, found in kinds.items()]  # type: ignore[arg-type]  # Kind is wider
