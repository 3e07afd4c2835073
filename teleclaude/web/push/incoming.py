"""JSON that a client sent, read strictly into a struct. Pure.

Beyond what msgspec refuses (NaN, bad UTF-8, lone surrogates, unknown and missing fields, wrong types, and with them
any depth), a key may not be there twice: two readers could take one each.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from teleclaude.core.errors import InvalidField
from teleclaude.web.api.error_responses import BadRequest

T = TypeVar("T")


def read(decoder: msgspec.json.Decoder[T], data: bytes | str) -> T:
    """Decode `data`. Raises InvalidField, which names the field, or BadRequest where it is no JSON."""
    try:
        found = decoder.decode(data)
        json.loads(data, object_pairs_hook=_once)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError, json.JSONDecodeError) as error:
        raise BadRequest(f"not valid JSON: {error}", field="body") from error
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidField(twice, "is there twice")
    return found


def _explained(message: str) -> InvalidField:
    """Turn msgspec's "Expected `str`, got `int` - at `$.text`" into our own words."""
    reason, _, path = message.partition(" - at `")
    field = path.rstrip("`").removeprefix("$").lstrip(".").replace("[...]", "")
    for start in ("Object missing required field `", "Object contains unknown field `"):
        if reason.startswith(start):
            name = reason.removeprefix(start).rstrip("`")
            field = f"{field}.{name}" if field else name
            reason = "is missing" if "missing" in start else "is not known here"
    reason = reason.replace("Expected", "must be").replace("`", "").replace(", got", ", not")
    return InvalidField(field or "body", reason)
