"""The verbs: all that a client can have a computer do, each said once.

From this table are made: the routes of REST with the checks of their bodies, the OpenAPI document, the rights that
another computer needs, the command line, and the client's calls. A new verb is one entry here, and one function of its
name in sync/commands/actions.py. What must live here: names, arguments with their limits, rights, routes, answers. What
this module must not know: who carries a verb, and how it is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, Union, get_args

import msgspec
from msgspec import Meta

from teleclaude.core.errors import InvalidField
from teleclaude.core.explanation import SessionExplanation
from teleclaude.core.records import Delivery, Session, StartedSession
from teleclaude.core.session_notice import SessionNotice

TEXT_LIMIT: Final = 256 * 1024  # bytes of UTF-8 that any text may have
_NO_NUL: Final = r"^[^\x00]*$"
_ID_PART: Final = r"^[A-Za-z0-9_-]{1,64}$"
_RULES: Final = {_NO_NUL: "must not hold NUL", _ID_PART: "must be an id or its beginning: letters, digits, `-` and `_`"}

SessionId = Annotated[str, Meta(pattern=_ID_PART, description="The session's id, or a unique beginning of it")]
Title = Annotated[str, Meta(max_length=128, pattern=_NO_NUL, description="The session's title")]
Text = Annotated[str, Meta(max_length=TEXT_LIMIT)]
Key = Annotated[str, Meta(min_length=1, max_length=32, pattern=_NO_NUL)]

Answer = Annotated[str, Meta(min_length=1, max_length=2000, pattern=_NO_NUL)]

Decision: TypeAlias = Literal["allow", "deny", "suggested"]
Right: TypeAlias = Literal["view", "message", "start", "end", "shell", "approve"]
Method: TypeAlias = Literal["GET", "POST", "PATCH", "DELETE"]


class VerbArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of a verb; its name is the tag. With a `session_id` it is done to a session."""


class Start(VerbArgs, frozen=True, kw_only=True, tag="start"):
    """Start an agent profile in a project, in a new, detached tmux session."""

    project: Annotated[str, Meta(min_length=1, max_length=4096, pattern=_NO_NUL, description="A folder: its path")]
    agent: Annotated[str, Meta(min_length=1, max_length=128, pattern=_NO_NUL, description="The agent's profile")]
    title: Title = ""
    message: Annotated[Text, Meta(description="The first message to the agent")] = ""
    thinking_mode: Annotated[str, Meta(max_length=128, description="One of the profile's thinking modes")] = ""


class Message(VerbArgs, frozen=True, kw_only=True, tag="message"):
    """Give text to a session, as one paste, then Enter."""

    session_id: SessionId
    text: Annotated[Text, Meta(min_length=1, description="What is pasted, before Enter")]


class Keys(VerbArgs, frozen=True, kw_only=True, tag="keys"):
    """Press keys, by tmux' names: `Enter`, `Escape`, `C-c`, `Up`, or single characters."""

    session_id: SessionId
    keys: Annotated[list[Key], Meta(min_length=1, max_length=64, description="Keys by tmux' names, or characters")]


class Approve(VerbArgs, frozen=True, kw_only=True, tag="approve"):
    """Answer what an agent asks, by its hook: allow it, also for its session as it suggests, or deny it.

    `answers`: one for each question, where it asks questions; `reason`: what the agent is told when it is denied.
    """

    session_id: SessionId
    ask: Annotated[str, Meta(min_length=1, max_length=64, pattern=_NO_NUL, description="The question's id")]
    decision: Annotated[Decision, Meta(description="allow, deny, or suggested: for its session, as it suggests")] = (
        "allow"
    )
    reason: Annotated[str, Meta(max_length=2000, pattern=_NO_NUL, description="What it is told when it is denied")] = ""
    answers: Annotated[list[Answer], Meta(max_length=16, description="An answer to each of its questions")] = []


class Rename(VerbArgs, frozen=True, kw_only=True, tag="rename"):
    """Give a session another title."""

    session_id: SessionId
    title: Annotated[Title, Meta(min_length=1)]


class End(VerbArgs, frozen=True, kw_only=True, tag="end"):
    """End a session: its pane, and the tmux session when it was the only one."""

    session_id: SessionId


class Restore(VerbArgs, frozen=True, kw_only=True, tag="restore"):
    """Bring back a session that was lost with its computer or its tmux server."""

    session_id: SessionId


class Forget(VerbArgs, frozen=True, kw_only=True, tag="forget"):
    """Forget a session that was lost."""

    session_id: SessionId


class Output(VerbArgs, frozen=True, kw_only=True, tag="output"):
    """Give the last `lines` lines of a session's screen and history, with colours, but the last `before` of all."""

    session_id: SessionId
    lines: Annotated[int, Meta(ge=1, le=10_000, description="How many lines")] = 200
    before: Annotated[int, Meta(ge=0, le=100_000, description="Leave out so many of the last lines")] = 0


class Explain(VerbArgs, frozen=True, kw_only=True, tag="explain"):
    """Say why a session is said to do what it does: all evidence, the rule that won, what would change it."""

    session_id: SessionId


class Refresh(VerbArgs, frozen=True, kw_only=True, tag="refresh"):
    """Look again at everything, now."""


class Notify(VerbArgs, frozen=True, kw_only=True, tag="notify"):
    """Tell who uses the computer of sessions of the asking one. Computers ask each other; it has no route."""

    notices: Annotated[list[SessionNotice], Meta(min_length=1, max_length=64)]


class CommandDone(msgspec.Struct, frozen=True, kw_only=True):
    """The command ended well."""

    status: Literal["ok"] = "ok"


class MessageDone(CommandDone, frozen=True, kw_only=True):
    """A text went in; `delivery` says how far it came."""

    delivery: Delivery = ""


class AnswerGiven(msgspec.Struct, frozen=True, kw_only=True):
    """An answer was given: the agent took it, or it was sent and nothing more is known yet."""

    outcome: Literal["taken", "sent"] = "sent"


class SessionOutput(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a session, with colours (SGR). `has_more`: there are more above them."""

    session_id: str
    text: str
    has_more: bool = False


class Verb(msgspec.Struct, frozen=True, eq=False):
    """One verb.

    `right`: what another computer must be allowed, to have it done here; `field_rights`: what it must be allowed
    besides, where that argument is not empty. `route` is empty for what is not in REST. `answer`: what REST answers.
    `is_read`: it changes nothing, so its answer is not kept to be given again. `is_for_all`: naming no computer means
    this one and all that are looked at.
    """

    args: type[VerbArgs]
    right: Right
    summary: str
    method: Method = "POST"
    route: str = ""
    answer: type[msgspec.Struct] = CommandDone
    status: int = 200
    is_read: bool = False
    is_for_all: bool = False
    field_rights: dict[str, Right] = {}

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.args.__struct_config__.tag)

    @property
    def is_for_session(self) -> bool:
        """Tell whether it is done to a session."""
        return "session_id" in self.args.__struct_fields__


def table(verbs: Iterable[Verb]) -> Mapping[str, Verb]:
    """Put verbs into a table by their names."""
    return MappingProxyType({verb.name: verb for verb in verbs})


_SESSION: Final = "/sessions/{session_id}"
VERBS: Final = table(
    (
        Verb(
            Start,
            "start",
            "Start an agent in a project",
            route="/sessions",
            answer=StartedSession,
            status=201,
            field_rights={"message": "message"},
        ),
        Verb(Message, "message", "Give text to a session", route=f"{_SESSION}/message", answer=MessageDone),
        Verb(Keys, "message", "Press keys in a session", route=f"{_SESSION}/keys"),
        Verb(
            Output, "view", "Show the last lines of a session", "GET", f"{_SESSION}/output", SessionOutput, is_read=True
        ),
        Verb(
            Explain,
            "view",
            "Say why a session is said to do what it does",
            "GET",
            f"{_SESSION}/explain",
            SessionExplanation,
            is_read=True,
        ),
        Verb(Approve, "approve", "Answer what an agent asks", route=f"{_SESSION}/approve", answer=AnswerGiven),
        Verb(Rename, "message", "Give a session another title", "PATCH", _SESSION, Session),
        Verb(End, "end", "End a session", "DELETE", _SESSION),
        Verb(Restore, "start", "Bring back a lost session", route=f"{_SESSION}/restore", answer=Session),
        Verb(Forget, "end", "Forget a lost session", route=f"{_SESSION}/forget"),
        Verb(Notify, "view", "Tell who uses a computer of sessions of another"),
        Verb(Refresh, "view", "Look again at everything, now", route="/refresh", is_read=True, is_for_all=True),
    )
)

if TYPE_CHECKING:
    Args: TypeAlias = VerbArgs
else:  # what is read from a wire is one of the verbs in the table
    Args = Union[tuple(verb.args for verb in VERBS.values())]  # noqa: UP007  (made from the table)


def verb_name(args: Args) -> str:
    """Name of a request's verb."""
    return str(args.__struct_config__.tag)


def right_of(verb: str, verbs: Mapping[str, Verb] = VERBS) -> Right:
    """Name the right that a verb needs, whatever its arguments. Raises KeyError for one that does not exist."""
    return verbs[verb].right


def rights_of(args: Args, verbs: Mapping[str, Verb] = VERBS) -> tuple[Right, ...]:
    """Name all rights that a request needs. Raises KeyError."""
    verb = verbs[verb_name(args)]
    more: list[Right] = [right for name, right in verb.field_rights.items() if getattr(args, name)]
    return (verb.right, *more)


def check(args: Args) -> Args:
    """Give back arguments that are within the limits. Raises InvalidField. Who runs it checks what needs tmux."""
    found = msgspec.structs.asdict(args)
    for name, value in found.items():
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str):
                _check_bytes(name, text)
    try:
        msgspec.convert(found, type(args))
    except msgspec.ValidationError as error:
        raise invalid_field(error) from error
    return args


def _check_bytes(name: str, text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidField(name, "holds a lone surrogate, which is no character") from error
    if size > TEXT_LIMIT:
        raise InvalidField(name, f"must be at most {TEXT_LIMIT} bytes, not {size}")


def invalid_field(error: msgspec.ValidationError) -> InvalidField:
    """Turn msgspec's "Expected `str`, got `int` - at `$.text`" into our own words."""
    reason, _, path = str(error).partition(" - at `")
    name = path.rstrip("`").removeprefix("$").lstrip(".").replace("[...]", "")
    for start in ("Object missing required field `", "Object contains unknown field `"):
        if reason.startswith(start):
            inner = reason.removeprefix(start).rstrip("`")
            name = f"{name}.{inner}" if name else inner
            reason = "is missing" if "missing" in start else "is not known here"
    return InvalidField(name or "body", _in_words(reason))


def _in_words(reason: str) -> str:
    pattern = re.search(r"matching regex '(.*)'", reason)
    if pattern:
        return _RULES.get(pattern[1].encode().decode("unicode_escape"), reason)
    length = re.search(r"`(str|array)` of length (<=|>=) (\d+)", reason)
    if length:
        what = "characters" if length[1] == "str" else "entries"
        return "must not be empty" if length[2] == ">=" else f"must be at most {length[3]} {what}"
    return reason.replace("Expected", "must be").replace("`", "").replace(", got", ", not")


def description_of(annotation: Any) -> str:
    """Give what an argument's type says of itself, or nothing."""
    notes = [part.description for part in get_args(annotation)[1:] if isinstance(part, Meta) and part.description]
    inner = get_args(annotation)[0] if get_args(annotation) and not notes else None
    return notes[-1] if notes else description_of(inner) if inner is not None else ""
