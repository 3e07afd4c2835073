"""A message that was opened, as the rest of the fleet's code may have it: every number finite, every text bounded.

Rows stay as they came; replicas read them (`messages.read_rows`), with their limits. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from teleclaude.core import live_screen
from teleclaude.core.live_screen import COLUMNS, ROWS
from teleclaude.core.records import KINDS, Kind
from teleclaude.core.settings import is_name
from teleclaude.core.text import one_line
from teleclaude.sync.fleet.wire import limits
from teleclaude.sync.fleet.wire.limits import OverLimit
from teleclaude.sync.fleet.wire.messages import (
    Body,
    ChangeEvent,
    Clash,
    Command,
    Envelope,
    Heads,
    Heartbeat,
    Hello,
    InterestChange,
    Pull,
    PullAnswer,
    ScreenEnd,
    ScreenUpdate,
    WatchScreens,
)

ID = 64  # characters
GENERATION = 2**40  # a generation begins as seconds since 1970


def check_envelope(envelope: Envelope) -> None:
    """Raise ValueError for an envelope that no computer of the fleet makes."""
    texts = (envelope.id, envelope.epoch)
    if not is_name(envelope.sender) or not all(0 < len(text) <= ID for text in texts):
        raise ValueError("a sender, an id or an epoch that is none")
    if not (0 <= envelope.generation < GENERATION and limits.is_number(envelope.clock)):
        raise ValueError("a generation or a clock that is none")


def bounded(body: Body, wall: float) -> Body:  # noqa: C901, PLR0912  (one case for each kind of message)
    """Bound a body. `wall`: seconds since 1970 here. Raises ValueError for what cannot be meant, OverLimit among it."""
    if isinstance(body, Clash | InterestChange | Pull | Command | WatchScreens):
        _numbers(body.fresh.issued, body.fresh.expires)
    match body:
        case Heartbeat():
            return _heartbeat(body, wall)
        case Hello():
            return Hello(heartbeat=_heartbeat(body.heartbeat, wall))
        case Clash():
            return msgspec.structs.replace(body, host=one_line(body.host, limits.WORD))
        case InterestChange() | Pull():
            return _interest(body)
        case PullAnswer():
            return _pull_answer(body)
        case ChangeEvent():
            return _event(body)
        case Heads():
            return Heads(heads=_heads(body.heads))
        case WatchScreens():
            return _watch(body)
        case ScreenUpdate():
            return _screen(body)
        case ScreenEnd():
            _session_ids(body.session_id)
            return msgspec.structs.replace(
                body, code=one_line(body.code, limits.WORD), message=one_line(body.message, limits.TEXT)
            )
        case _:
            return body  # a goodbye; commands and their outcomes are judged by their verb, see outcome_check.py


def _heartbeat(body: Heartbeat, wall: float) -> Heartbeat:
    _numbers(body.beat, body.last_key)
    _text(body.home)
    return msgspec.structs.replace(
        body,
        heads=_heads(body.heads),
        info=limits.bounded_computer(body.info, wall),
        interested_in={
            name: _known(kinds)
            for name, kinds in list(body.interested_in.items())[: limits.LOOKED_AT]
            if len(name) <= limits.WORD
        },
    )


def _interest(body: InterestChange | Pull) -> InterestChange | Pull:
    _numbers(body.beat)
    if isinstance(body, InterestChange):
        return msgspec.structs.replace(body, kinds=_known(body.kinds))
    _numbers(*(seq for _, seq in body.have.values()))
    return msgspec.structs.replace(body, kinds=_known(body.kinds), interest=_known(body.interest))


def _pull_answer(body: PullAnswer) -> PullAnswer:
    _text(body.request)
    parts = [part for part in body.parts if part.kind in KINDS]
    _numbers(*(part.seq for part in parts))
    if len({part.kind for part in parts}) < len(parts):
        raise ValueError("a kind told twice")
    return msgspec.structs.replace(body, parts=parts, refused=one_line(body.refused, limits.TITLE))


def _event(body: ChangeEvent) -> ChangeEvent:
    _numbers(body.seq, body.after)
    if body.kind not in limits.ROWS:
        raise ValueError("a kind that has no events")
    if len(body.removed) > limits.ROWS[body.kind]:
        raise OverLimit(f"it takes back {len(body.removed)} {body.kind} at once; {limits.ROWS[body.kind]} are allowed")
    return body


def _heads(heads: Mapping[Kind, int]) -> dict[Kind, int]:
    _numbers(*heads.values())
    return {kind: heads[kind] for kind in KINDS if kind in heads}


def _watch(body: WatchScreens) -> WatchScreens:
    if len(body.sessions) > limits.WATCHED:
        raise OverLimit(f"it watches {len(body.sessions)} sessions here; {limits.WATCHED} are allowed")
    _session_ids(*body.sessions)
    _numbers(*body.sessions.values())
    return body


def _screen(body: ScreenUpdate) -> ScreenUpdate:
    _session_ids(body.session_id)
    _numbers(body.number, body.after or 0, body.height, body.columns)
    if body.height > ROWS or not all(0 <= place < body.height for place in body.rows):
        raise ValueError("rows that no screen has")
    if body.after is None and len(body.rows) != body.height:
        raise ValueError("a screen that is not whole")
    told = live_screen.bounded(body.rows.values(), body.columns, None)
    row, column = body.cursor or (-1, -1)
    is_there = 0 <= row < body.height and 0 <= column <= COLUMNS
    return msgspec.structs.replace(
        body,
        rows=dict(zip(body.rows, told.rows, strict=True)),
        columns=told.columns,
        cursor=body.cursor if is_there else None,
    )


def _session_ids(*ids: str) -> None:
    if not all(limits.is_session_id(text) for text in ids):
        raise ValueError("a session's id that is none")


def _known(kinds: list[Kind]) -> list[Kind]:
    """Those of the kinds that this version knows, each once."""
    return [kind for kind in KINDS if kind in kinds]


def _numbers(*values: float) -> None:
    if not all(0 <= value < limits.NUMBER for value in values):  # NaN is not either
        raise ValueError("a number that is none")


def _text(text: str) -> None:
    if len(text) > ID:
        raise ValueError("a text that is too long")
