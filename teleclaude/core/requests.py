"""Commands on their way to the computer that runs them, and their outcomes on the way back.

One lane leads back against the flow of data: client, web, (another computer,) sync. What must live here: the shape
of a request and of an outcome. What this module must not know: who carries them. What can be asked is in verbs.py.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec.structs import force_setattr

from teleclaude.core.errors import OutcomeUnknown, TeleclaudeError, from_code
from teleclaude.core.verbs import Args

OutcomeStatus: TypeAlias = Literal["ok", "error", "unknown"]
_STATUSES: Final[tuple[str, ...]] = get_args(OutcomeStatus)
if not TYPE_CHECKING:  # as in records.py: what another version says does not cost the message
    OutcomeStatus = str


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
    status: OutcomeStatus
    data: dict[str, Any] = {}
    code: str = ""
    message: str = ""
    field: str | None = None

    def __post_init__(self) -> None:
        """Take a status of another version for an unknown one."""
        if self.status not in _STATUSES:
            force_setattr(self, "status", "unknown")


def new_id() -> str:
    """Make the id of a request."""
    return secrets.token_hex(16)


def failed(request_id: str, error: TeleclaudeError) -> Outcome:
    """Tell an error as an outcome."""
    status: OutcomeStatus = "unknown" if isinstance(error, OutcomeUnknown) else "error"
    return Outcome(id=request_id, status=status, code=error.code, message=error.message, field=error.field)


def error_of(outcome: Outcome) -> TeleclaudeError | None:
    """Give the error that an outcome tells, or None when it is ok."""
    return None if outcome.status == "ok" else from_code(outcome.code, outcome.message, outcome.field)
