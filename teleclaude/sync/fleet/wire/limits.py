"""What a member of the fleet may send: how much, how long, from when. Judged at receipt, before anything is kept.

A member may err or lie. Rules of this module:
- How many rows there are, and how many bytes, is read before they are decoded.
- A row that cannot be right (an id that is none, a path that no system has) is left out; a text that is too long is
  cut; a time in the future is now. What was right stays.
- Whatever was left out or cut has a reason, for a person: a sentence about the sender, without its name.
Pure. It knows the shapes of core/records.py, and who holds the rows only as far as it counts them (`Holdings`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from teleclaude.core.records import (
    Ask,
    Computer,
    Kind,
    Project,
    Record,
    Service,
    Session,
    Todo,
    key_of,
    utc_seconds,
    utc_text,
)
from teleclaude.core.screen_text import only_colours
from teleclaude.core.text import one_line

ROWS: dict[Kind, int] = {"projects": 5_000, "sessions": 10_000, "todos": 20_000}  # of one computer
BYTES = 12 * 1024 * 1024  # of the rows of one computer and kind, as they travel
ALL_ROWS = 100_000  # of all other computers together
ALL_SIZE = 64 * 1024 * 1024  # characters, about
TITLE = 1024  # characters of a title, a name, a command
TEXT = 4096  # of a description, a prompt, what an agent asks
CHOICES = 16  # answers to choose from
PATH = 4096
SLUG = 256
WORD = 128  # of an agent, a mode, a tmux id
COUNTS = 32  # entries
SERVICES = 32
LOOKED_AT = 4096  # computers that a heartbeat says something of
SCREEN = 512 * 1024
WATCHED = 64  # sessions of one computer that another one watches
OVERSIZED = b"oversized:"  # begins what stands in place of an answer that is too long to be read; then its request's id
NUMBER = 2**53
AHEAD = 24 * 3600.0  # seconds that a time may be ahead of this computer's wall clock

_ID = re.compile("[0-9a-f]{16}").fullmatch
_USUAL_TIMES = re.compile(r"(?:(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)?(?:,|$)){5}", re.ASCII).fullmatch


class OverLimit(ValueError):
    """A message is dropped, for it is more than one computer may send; `reason` says what, for a person."""

    def __init__(self, reason: str) -> None:
        """Say why."""
        super().__init__(reason)
        self.reason = reason


def check_size(kind: Kind, data: msgspec.Raw) -> None:
    """Look how much there is before it is decoded. Raises OverLimit."""
    if len(memoryview(data)) > BYTES:
        raise OverLimit(f"it sends {len(memoryview(data)) >> 20} MiB of {kind}; {BYTES >> 20} MiB are allowed")
    count = array_length(memoryview(data)[:5])
    if count > ROWS[kind]:
        raise OverLimit(f"it sends {count} {kind}; {ROWS[kind]} are allowed")


def array_length(head: memoryview) -> int:
    """Read from the first five bytes how many items a msgpack array has; 0 when it is none."""
    first = head[0] if head else 0
    if 0x90 <= first <= 0x9F:
        return first & 0x0F
    size = {0xDC: 2, 0xDD: 4}.get(first, 0)
    return int.from_bytes(head[1 : 1 + size], "big")


@dataclass(frozen=True)
class Received:
    """Rows as they may be kept; `trouble` says what was left out, and is empty when nothing was."""

    rows: list[Record]
    trouble: str = ""


def bounded(records: Iterable[Record], wall: float) -> Received:
    """Bound rows of one kind. `wall`: seconds since 1970 here."""
    horizon = utc_text(wall + AHEAD)
    rows: list[Record] = []
    trouble = ""
    for record in records:
        try:
            rows.append(_bounded_row(record, horizon, wall))
        except OverLimit as error:
            trouble = trouble or error.reason
    return Received(rows, trouble)


def _bounded_row(record: Record, horizon: str, wall: float) -> Record:
    match record:
        case Session():
            return record if _is_usual(record, horizon) else _bounded_session(record, horizon, wall)
        case Project():
            return _bounded_project(record)
        case Todo():
            return _bounded_todo(record)
        case _:
            raise OverLimit("it sends computers as rows")


def _is_usual(row: Session, horizon: str) -> bool:
    """Tell quickly that nothing is to be bounded: so it is with nearly all rows."""
    tmux = row.tmux
    texts = len(row.title) + len(row.command) + len(row.status_reason) + len(tmux.name) + len(row.parent)
    texts += len(row.background) + len(row.last_prompt) + len(row.last_answer)
    words = (
        len(row.agent)
        + len(row.thinking_mode)
        + len(tmux.session)
        + len(tmux.window)
        + len(tmux.pane)
        + len(tmux.place)
    )
    times = (row.last_activity, row.last_input, row.last_output, row.status_since, row.created_at)
    return (
        _ID(row.session_id) is not None
        and texts <= TITLE
        and words <= WORD
        and len(row.cwd) <= PATH
        and len(row.project) <= PATH
        and max(times) <= horizon
        and _USUAL_TIMES(",".join(times)) is not None
        and 0 <= row.attached < NUMBER
        and row.asks is None
    )


def is_session_id(text: str) -> bool:
    """Tell whether this can be a session's id: 16 hex digits."""
    return _ID(text) is not None


def _bounded_session(row: Session, horizon: str, wall: float) -> Session:
    if not is_session_id(row.session_id):
        raise OverLimit("it sends sessions whose ids are not 16 hex digits; they are not shown")
    tmux = row.tmux
    return msgspec.structs.replace(
        row,
        project=_path(row.project),
        cwd=_path(row.cwd),
        title=row.title[:TITLE],
        agent=row.agent[:WORD],
        thinking_mode=row.thinking_mode[:WORD],
        status_reason=row.status_reason[:TITLE],
        command=row.command[:TITLE],
        parent=row.parent[:WORD],
        attached=min(max(row.attached, 0), NUMBER),
        asks=_bounded_ask(row.asks) if row.asks else None,
        background=row.background[:TITLE],
        last_prompt=row.last_prompt[:TEXT],
        last_answer=row.last_answer[:TEXT],
        tmux=msgspec.structs.replace(
            tmux,
            name=tmux.name[:TITLE],
            session=tmux.session[:WORD],
            window=tmux.window[:WORD],
            pane=tmux.pane[:WORD],
            place=tmux.place[:WORD],
        ),
        **{name: clamped(getattr(row, name), horizon, wall) for name in _TIMES},
    )


def _bounded_ask(ask: Ask) -> Ask:
    return msgspec.structs.replace(
        ask,
        tool=ask.tool[:WORD],
        text=ask.text[:TEXT],
        choices=tuple(choice[:TITLE] for choice in ask.choices[:CHOICES]),
        id=ask.id[:WORD],
        answered=ask.answered[:TITLE],
    )


_TIMES = ("status_since", "created_at", "last_activity", "last_input", "last_output")


def clamped(time: str, horizon: str, wall: float) -> str:
    """Give a time as it may be shown: one that is none is empty, one after the horizon is now."""
    seconds = utc_seconds(time) if len(time) <= len(horizon) + 8 else None
    if seconds is None:
        return ""
    return time if seconds <= wall + AHEAD else utc_text(wall)


def _path(path: str) -> str:
    if len(path) > PATH:
        raise OverLimit(f"it sends paths of {len(path)} characters; what has them is not shown")
    return path


def _bounded_project(row: Project) -> Project:
    _path(row.path)
    if max(len(row.name), len(row.branch)) <= TITLE and len(row.description) <= TEXT:
        return row
    return msgspec.structs.replace(
        row, name=row.name[:TITLE], branch=row.branch[:TITLE], description=row.description[:TEXT]
    )


def _bounded_todo(row: Todo) -> Todo:
    _path(row.project)
    if len(row.slug) > SLUG:
        raise OverLimit(f"it sends todos with names of {len(row.slug)} characters; they are not shown")
    if (
        len(row.title) <= TITLE
        and len(row.description) <= TEXT
        and len(row.build_status) + len(row.review_status) <= WORD
        and -NUMBER < row.order < NUMBER
    ):
        return row
    return msgspec.structs.replace(
        row,
        title=row.title[:TITLE],
        description=row.description[:TEXT],
        order=min(max(row.order, -NUMBER), NUMBER),
        build_status=row.build_status[:WORD],
        review_status=row.review_status[:WORD],
    )


def size_of(row: Record) -> int:
    """Characters of a row, about."""
    match row:
        case Session():
            texts = len(row.title) + len(row.cwd) + len(row.project) + len(row.command) + len(row.status_reason)
            ask = len(row.asks.text) + sum(map(len, row.asks.choices)) + 100 if row.asks else 0
            return 300 + texts + ask + len(row.background) + len(row.last_prompt) + len(row.last_answer)
        case Project():
            return 100 + len(row.path) + len(row.name) + len(row.description) + len(row.branch)
        case Todo():
            return 200 + len(row.project) + len(row.slug) + len(row.title) + len(row.description)
        case _:
            return 1000


class Holdings:
    """How much is held of what others sent, by computer and kind, and in all.

    Each method raises OverLimit, and then nothing counts as taken.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, Kind], tuple[int, int]] = {}  # rows, characters
        self._rows = self._size = 0

    def replace(self, owner: str, kind: Kind, rows: Iterable[Record]) -> None:
        """All rows of a kind are these."""
        sizes = [size_of(row) for row in rows]
        self._set(owner, kind, len(sizes), sum(sizes))

    def change(
        self, owner: str, kind: Kind, items: Mapping[str, Record], rows: Iterable[Record], removed: Iterable[str]
    ) -> None:
        """Among `items`, which are held, these rows are new or other, and those keys are gone."""
        count, size = self._held.get((owner, kind), (0, 0))
        puts = {key_of(row): row for row in rows}
        for key in set(removed) - puts.keys():
            if key in items:
                count, size = count - 1, size - size_of(items[key])
        for key, row in puts.items():
            old = items.get(key)
            count += old is None
            size += size_of(row) - (0 if old is None else size_of(old))
        self._set(owner, kind, count, size)

    def forget(self, owner: str) -> None:
        """Nothing is held of a computer any more."""
        for name, kind in [place for place in self._held if place[0] == owner]:
            self._set(name, kind, 0, 0)
            del self._held[name, kind]

    def _set(self, owner: str, kind: Kind, rows: int, size: int) -> None:
        before = self._held.get((owner, kind), (0, 0))
        all_rows, all_size = self._rows + rows - before[0], self._size + size - before[1]
        is_more = rows > before[0] or size > before[1]
        if is_more and rows > ROWS[kind]:
            raise OverLimit(f"it has more than {ROWS[kind]} {kind}")
        if is_more and size > BYTES:
            raise OverLimit(f"it has more than {BYTES >> 20} MiB of {kind}")
        if is_more and (all_rows > ALL_ROWS or all_size > ALL_SIZE):
            raise OverLimit(f"with its {kind}, all computers together have more than is shown ({ALL_ROWS} rows)")
        self._held[owner, kind] = rows, size
        self._rows, self._size = all_rows, all_size


# Other messages.


def bounded_computer(told: Computer, wall: float) -> Computer:
    """Bound what a computer says of itself in its heartbeat."""
    horizon = utc_text(wall + AHEAD)
    counts = {name[:WORD]: min(max(count, 0), NUMBER) for name, count in list(told.counts.items())[:COUNTS]}
    services = tuple(_bounded_service(service, horizon, wall) for service in told.services[:SERVICES])
    return msgspec.structs.replace(told, counts=counts, services=services, awaited=())


def _bounded_service(told: Service, horizon: str, wall: float) -> Service:
    return msgspec.structs.replace(
        told,
        name=one_line(told.name, WORD),
        reason=one_line(told.reason, TITLE),
        since=clamped(told.since, horizon, wall),
    )


def is_number(value: float) -> bool:
    """Tell whether a time or a count is one that can be reckoned with."""
    return math.isfinite(value) and abs(value) < NUMBER


def bounded_screen(text: str) -> str:
    """Give a screen as it may go to a terminal: colours and no other escape, its last lines when it is too long."""
    return only_colours(text[-SCREEN:])
