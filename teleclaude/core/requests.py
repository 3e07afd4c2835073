"""Commands on their way to the computer that runs them, and their outcomes on the way back.

One lane leads back against the flow of data: client, web, (another computer,) sync. What must live here: the shape
of a request, of each verb's arguments, and of an outcome. What this module must not know: who carries them.
"""

from __future__ import annotations

import secrets
from typing import Any, Literal, TypeAlias

import msgspec

from teleclaude.core.errors import InvalidField, OutcomeUnknown, TeleclaudeError, from_code

MESSAGE_LIMIT = 256 * 1024  # bytes of UTF-8
TITLE_LIMIT = 128
KEYS_LIMIT = 64
OUTPUT_LINES_LIMIT = 10_000


class _Args(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of a verb."""


class Start(_Args, frozen=True, kw_only=True, tag="start"):
    """Start an agent profile in a project (a path); in a new, detached tmux session."""

    project: str
    agent: str
    title: str = ""
    message: str = ""
    thinking_mode: str = ""


class Message(_Args, frozen=True, kw_only=True, tag="message"):
    """Give text to a session, as one paste, then Enter."""

    session_id: str
    text: str


class Keys(_Args, frozen=True, kw_only=True, tag="keys"):
    """Press keys, by tmux' names: `Enter`, `Escape`, `C-c`, `Up`, or single characters."""

    session_id: str
    keys: list[str]


class Rename(_Args, frozen=True, kw_only=True, tag="rename"):
    """Give a session another title."""

    session_id: str
    title: str


class End(_Args, frozen=True, kw_only=True, tag="end"):
    """End an agent's pane, and its tmux session when it was the only one; of a session without an agent, all of it."""

    session_id: str


class Output(_Args, frozen=True, kw_only=True, tag="output"):
    """Give the last `lines` lines of a session's screen and history, with colours."""

    session_id: str
    lines: int = 200


class Watch(_Args, frozen=True, kw_only=True, tag="watch"):
    """Send a session's output to the feed whenever it changes, for `seconds`; again to go on, 0 to stop."""

    session_id: str
    seconds: float = 30.0


class Refresh(_Args, frozen=True, kw_only=True, tag="refresh"):
    """Look again at everything, now."""


Args: TypeAlias = Start | Message | Keys | Rename | End | Output | Watch | Refresh
Verb: TypeAlias = Literal["start", "message", "keys", "rename", "end", "output", "watch", "refresh"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A command for `computer`. `deadline`: time.monotonic() of this computer, after which it must not run.

    `origin` is empty for this computer's own clients, else the name of the computer it came from.
    """

    id: str
    computer: str
    args: Args
    deadline: float
    origin: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended. `status`: ok (`data` is the verb's answer), error (it did not run, or failed), or
    unknown (nobody said). `code`, `message` and `field` are those of an error of core/errors.py.
    """

    id: str
    status: Literal["ok", "error", "unknown"]
    data: dict[str, Any] = {}
    code: str = ""
    message: str = ""
    field: str | None = None


def verb_of(args: Args) -> Verb:
    """Name of a request's verb."""
    return args.__struct_config__.tag  # type: ignore[return-value]  # msgspec types it as str | int


def new_id() -> str:
    """Make the id of a request."""
    return secrets.token_hex(16)


def failed(request_id: str, error: TeleclaudeError) -> Outcome:
    """Tell an error as an outcome."""
    status: Literal["error", "unknown"] = "unknown" if isinstance(error, OutcomeUnknown) else "error"
    return Outcome(id=request_id, status=status, code=error.code, message=error.message, field=error.field)


def error_of(outcome: Outcome) -> TeleclaudeError | None:
    """Give the error that an outcome tells, or None when it is ok."""
    return None if outcome.status == "ok" else from_code(outcome.code, outcome.message, outcome.field)


def check(args: Args) -> Args:
    """Give back arguments that are within the limits. Raises InvalidField. The runner checks what needs tmux."""
    match args:
        case Start():
            _text("title", args.title, TITLE_LIMIT, may_be_empty=True)
            _bytes("message", args.message)
            _text("project", args.project, 4096)
            _text("agent", args.agent, TITLE_LIMIT)
        case Message():
            _bytes("text", args.text)
            if not args.text:
                raise InvalidField("text", "must not be empty")
        case Rename():
            _text("title", args.title, TITLE_LIMIT)
        case Keys():
            _keys(args.keys)
        case Output():
            if not 1 <= args.lines <= OUTPUT_LINES_LIMIT:
                raise InvalidField("lines", f"must be from 1 to {OUTPUT_LINES_LIMIT}")
        case _:
            pass
    if not isinstance(args, Start | Refresh):
        _text("session_id", args.session_id, TITLE_LIMIT)
    return args


def _keys(keys: list[str]) -> None:
    if not 1 <= len(keys) <= KEYS_LIMIT:
        raise InvalidField("keys", f"must be a list of 1 to {KEYS_LIMIT} keys")
    for key in keys:
        _text("keys", key, 32)


def _text(field: str, value: str, limit: int, *, may_be_empty: bool = False) -> None:
    if not value and not may_be_empty:
        raise InvalidField(field, "must not be empty")
    if len(value) > limit:
        raise InvalidField(field, f"must be at most {limit} characters, not {len(value)}")
    if "\0" in value:
        raise InvalidField(field, "must not hold NUL")
    _bytes(field, value)


def _bytes(field: str, value: str) -> None:
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidField(field, "holds a lone surrogate, which is no character") from error
    if size > MESSAGE_LIMIT:
        raise InvalidField(field, f"must be at most {MESSAGE_LIMIT} bytes, not {size}")
