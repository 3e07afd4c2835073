"""The exception tree of teleclaude, drawn once.

    TeleclaudeError
    ├── UserError                what the user or a caller asked for cannot be done as asked
    │   ├── InvalidField         a value that was given is wrong; names the field
    │   ├── SettingsError        the settings file is wrong; names key, reason and what is allowed
    │   ├── NotFound             nothing has that id or name
    │   ├── Ambiguous            several things have that prefix
    │   ├── Conflict             it exists already, or its state forbids the command
    │   │   ├── WaitingForApproval   text would answer an agent's question
    │   │   └── NotReady             what runs there takes no prompt yet
    │   ├── Refused              not allowed here
    │   └── TooLarge             over a documented limit
    ├── Unavailable              a part of the system that is needed does not answer
    │   └── OutcomeUnknown       a command was sent, and nobody said how it ended
    └── PeerError                the other side of a connection broke the rules

Exceptions carry fields; the text is made from them. `code` is what goes over the wire (REST error bodies,
command outcomes), `status` is the HTTP status it maps to.
"""

from __future__ import annotations


class TeleclaudeError(Exception):
    """Root of all errors raised on purpose."""

    code = "internal"
    status = 500

    def __init__(self, message: str, *, field: str | None = None) -> None:
        """Keep the message and, where one input is to blame, the name of that input."""
        super().__init__(message)
        self.message = message
        self.field = field


class UserError(TeleclaudeError):
    """What was asked for cannot be done as asked."""

    code = "invalid"
    status = 400


class InvalidField(UserError):
    """A value is wrong; `field` names it."""

    def __init__(self, field: str, reason: str) -> None:
        """Say which field and why."""
        super().__init__(f"{field}: {reason}", field=field)


class SettingsError(UserError):
    """The settings file is wrong."""

    code = "settings"


class NotFound(UserError):
    """Nothing has that id, name or path."""

    code = "not_found"
    status = 404


class Ambiguous(UserError):
    """A prefix fits several things."""

    code = "ambiguous"
    status = 409


class Conflict(UserError):
    """It exists already, or its present state forbids the command."""

    code = "conflict"
    status = 409


class WaitingForApproval(Conflict):
    """Text sent now would answer the agent's approval prompt."""

    code = "waiting_for_approval"


class NotReady(Conflict):
    """What runs there does not take a prompt yet, or is not known to."""

    code = "not_ready"


class Refused(UserError):
    """Not allowed here."""

    code = "refused"
    status = 403


class TooLarge(UserError):
    """Over a documented limit."""

    code = "too_large"
    status = 413


class Unavailable(TeleclaudeError):
    """A part of the system that is needed does not answer. The command was not run."""

    code = "unavailable"
    status = 503


class OutcomeUnknown(TeleclaudeError):
    """A command was handed over, and nobody said in time how it ended. It may have run."""

    code = "unknown"
    status = 504


class PeerError(TeleclaudeError):
    """The other side of a connection broke the rules."""

    code = "peer"
    status = 502


def explained(error: OSError) -> str:
    """One sentence for a person: what could not be had, and why (a disk that is full, or may only be read)."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


def _tree(root: type[TeleclaudeError]) -> list[type[TeleclaudeError]]:
    found = [root]
    for child in root.__subclasses__():
        found += _tree(child)
    return found


def from_code(code: str, message: str, field: str | None = None) -> TeleclaudeError:
    """Build again the error that came over a wire as (code, message, field)."""
    for kind in _tree(TeleclaudeError):
        if kind.__dict__.get("code") == code:
            error = kind.__new__(kind)
            TeleclaudeError.__init__(error, message, field=field)
            return error
    return TeleclaudeError(message, field=field)
