"""Errors that only HTTP knows, and how any error looks on the wire.

They hang below UserError in core/errors.py: what was asked for cannot be done as asked.
"""

from __future__ import annotations

from typing import Any

import msgspec

from teleclaude.core.errors import TeleclaudeError, UserError


class BadRequest(UserError):
    """Not HTTP as it should be, or not a document as it should be."""

    code = "bad_request"


class Unauthorised(UserError):
    """No token, or one that is not known, is revoked or has expired."""

    code = "unauthorized"
    status = 401


class NotAllowed(UserError):
    """That place does not know that method."""

    code = "method_not_allowed"
    status = 405


class HeadTooSlow(UserError):
    """The head of a request was begun, and did not come to its end in time."""

    code = "head_too_slow"
    status = 408


class LengthRequired(UserError):
    """A body must say its length; chunked bodies are not taken."""

    code = "length_required"
    status = 411


class WrongMedia(UserError):
    """A body must be JSON."""

    code = "unsupported_media_type"
    status = 415


class HeadTooLarge(UserError):
    """The head of a request is over the limit."""

    code = "head_too_large"
    status = 431


def error_fields(error: TeleclaudeError) -> dict[str, Any]:
    """What a client is told of an error: `code`, `message`, and `field` where one input is to blame."""
    found: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.field is not None:
        found["field"] = error.field
    return found


def body_of(error: TeleclaudeError) -> bytes:
    """The body of an error answer, JSON."""
    return msgspec.json.encode({"error": error_fields(error)})
