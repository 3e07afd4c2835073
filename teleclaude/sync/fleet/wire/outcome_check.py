"""What another computer said of a command: bounded, and with the fields that its verb has. Pure.

Who asked reads an answer by its verb's fields; one that lacks them, or says anything else, is told as an error here
and fails nobody further on.
"""

from __future__ import annotations

from typing import Any

import msgspec

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.explanation import SessionExplanation
from teleclaude.core.records import DELIVERIES, Session
from teleclaude.core.requests import Outcome, failed
from teleclaude.core.text import one_line
from teleclaude.core.verbs import Args, Explain, Message, Output, Rename, Start, verb_name
from teleclaude.sync.fleet.wire import limits

WORDS = 64  # characters of a code or a field's name
EXTRA = 16  # fields that a verb may have besides


def checked(args: Args, outcome: Outcome, sender: str, wall: float) -> Outcome:
    """Give the outcome of a command as it may be told. `wall`: seconds since 1970 here."""
    if outcome.status != "ok":
        return msgspec.structs.replace(
            outcome,
            data={},
            code=outcome.code[:WORDS],
            message=one_line(outcome.message, limits.TEXT),
            field=None if outcome.field is None else one_line(outcome.field, WORDS),
        )
    try:
        data = {**_small(outcome.data), **_wanted(args, outcome.data, sender, wall)}
    except (ValueError, KeyError, TypeError):
        wrong = f"{sender} says that it did {verb_name(args)}, but its answer is not what it should be: upgrade it"
        return failed(outcome.id, TeleclaudeError(wrong))
    return Outcome(id=outcome.id, status="ok", data=data)


def _small(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of small values."""
    kept: dict[str, Any] = {}
    for name, value in list(data.items())[:EXTRA]:
        if isinstance(value, bool) or (isinstance(value, int | float) and limits.is_number(value)):
            kept[name[:WORDS]] = value
        elif isinstance(value, str):
            kept[name[:WORDS]] = one_line(value, limits.TITLE)
    return kept


def _wanted(args: Args, data: dict[str, Any], sender: str, wall: float) -> dict[str, Any]:
    """The fields of the verb. Raises ValueError, KeyError or TypeError when they are not there, or not right."""
    match args:
        case Output():
            if not isinstance(data["text"], str):
                raise TypeError("text")
            return {"text": limits.bounded_screen(data["text"])}
        case Start() | Rename():
            session = msgspec.convert(data["session"], Session)
            found = limits.bounded([session], wall)
            if found.trouble or session.computer != sender:
                raise ValueError("session")
            return {"session": msgspec.to_builtins(found.rows[0]), **_delivery(data)}
        case Message():
            return _delivery(data)
        case Explain():
            return _explanation(msgspec.convert(data, SessionExplanation))
        case _:
            return {}


def _explanation(told: SessionExplanation) -> dict[str, Any]:
    """An explanation, as long as one is."""
    pieces = [
        {
            "source": one_line(piece.source, WORDS),
            "says": one_line(piece.says, limits.TITLE),
            "age": _seconds(piece.age),
        }
        | {"won": piece.won, "why": one_line(piece.why, limits.TITLE)}
        for piece in told.evidence[:EXTRA]
    ]
    changes = [one_line(change, limits.TITLE) for change in told.would_change[:EXTRA]]
    return {"evidence": pieces, "would_change": changes, "expires_in": _seconds(told.expires_in)}


def _seconds(value: float | None) -> float | None:
    return value if value is not None and limits.is_number(value) else None


def _delivery(data: dict[str, Any]) -> dict[str, Any]:
    """How far a text came; a word that is not known here says nothing."""
    told = data.get("delivery", "")
    return {"delivery": told if isinstance(told, str) and told in DELIVERIES else ""}
