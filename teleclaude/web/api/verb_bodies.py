"""What a request for a verb may hold, made from the table of verbs: a JSON body, or parameters of a GET."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from teleclaude.core.verbs import TEXT_LIMIT, Verb
from teleclaude.web.http.head import BODY_LIMIT, TEXT_BODY_LIMIT


@cache
def body_type(verb: Verb) -> type[msgspec.Struct] | None:
    """Make the struct of a verb's body; None for a verb without one.

    It holds the arguments but the session's id, which is in the path, and the computer where the path names no session.
    """
    fields = _fields(verb)
    if not verb.is_for_session:
        fields.append(("computer", str | None, None))
    if verb.method == "GET" or not fields:
        return None
    return _struct(f"{verb.name.title()}Body", verb, fields)


@cache
def query_type(verb: Verb) -> type[msgspec.Struct]:
    """Make the struct of the parameters that a GET for a verb has besides `computer`."""
    return _struct(f"{verb.name.title()}Query", verb, _fields(verb) if verb.method == "GET" else [])


@cache
def body_limit(verb: Verb) -> int:
    """Bytes that the body of a request for a verb may have."""
    longest = max((_max_length(field.type) for field in msgspec.structs.fields(verb.args)), default=0)
    return TEXT_BODY_LIMIT if longest >= TEXT_LIMIT else BODY_LIMIT


def _fields(verb: Verb) -> list[Any]:
    return [_field(field) for field in msgspec.structs.fields(verb.args) if field.name != "session_id"]


def _field(field: Any) -> Any:
    if field.required:
        return field.name, field.type
    if field.default is not msgspec.NODEFAULT:
        return field.name, field.type, field.default
    return field.name, field.type, msgspec.field(default_factory=field.default_factory)


def _struct(name: str, verb: Verb, fields: list[Any]) -> type[msgspec.Struct]:
    made = msgspec.defstruct(name, fields, kw_only=True, frozen=True, forbid_unknown_fields=True)
    made.__doc__ = f"{verb.method} {verb.route}."
    return made


def _max_length(annotation: Any) -> int:
    found: Any = msgspec.inspect.type_info(annotation)
    while isinstance(found, msgspec.inspect.Metadata):
        found = found.type
    return getattr(found, "max_length", None) or 0
