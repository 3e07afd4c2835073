"""JSON that a client sent, read strictly into a struct, and arrays of records that are JSON already. Pure.

Beyond what msgspec refuses (NaN, bad UTF-8, lone surrogates, unknown and missing fields, wrong types, and with them
any depth), a key may not be there twice: two readers could take one each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from teleclaude.core.errors import InvalidField
from teleclaude.core.verbs import invalid_field
from teleclaude.web.http.error_responses import BadRequest

T = TypeVar("T")


def read_json(decoder: msgspec.json.Decoder[T], data: bytes | str) -> T:
    """Decode `data`. Raises InvalidField, which names the field, or BadRequest where it is no JSON."""
    try:
        found = decoder.decode(data)
        json.loads(data, object_pairs_hook=_once)
    except msgspec.ValidationError as error:
        raise invalid_field(error) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError, json.JSONDecodeError) as error:
        raise BadRequest(f"not valid JSON: {error}", field="body") from error
    return found


def json_array(bodies: Iterable[bytes]) -> bytes:
    """Join encoded records to a JSON array."""
    return b"[%b]" % b",".join(bodies)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidField(twice, "is there twice")
    return found
