"""What a GET gives, from the snapshot alone: bytes, kept for as long as the snapshot is the newest.

A read never asks another process and never waits. What is not cut straight out of the snapshot (a filter, one
session) is made once for each version and question.
"""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from typing import Final

import msgspec

from teleclaude.cache.snapshot import CacheSnapshot, SnapshotReader
from teleclaude.core.errors import Ambiguous, InvalidField, NotFound, Unavailable
from teleclaude.core.records import COMPUTER_STATUSES, SESSION_STATUSES, TODO_STATUSES, Kind, Project, Session
from teleclaude.core.session_query import read_query, search_text
from teleclaude.web.http.json_body import json_array

KEPT: Final = 64  # answers to questions other than for all of a kind
FILTERS: Final[dict[str, tuple[str, ...]]] = {
    "computers": ("computer", "status"),
    "projects": ("computer", "project"),
    "sessions": ("computer", "project", "status", "q"),
    "todos": ("computer", "project", "status"),
    "projects-with-todos": ("computer", "project"),
}
STATUSES: Final = {
    "computers": COMPUTER_STATUSES,
    "sessions": SESSION_STATUSES,
    "todos": TODO_STATUSES,
}
_TARGETS: Final[dict[str, Kind]] = {
    "/sessions": "sessions",
    "/computers": "computers",
    "/projects": "projects",
    "/todos": "todos",
}
_ANY: Final = "*"


class RecordFields(msgspec.Struct, frozen=True, gc=False):
    """The fields of a record of any kind that are asked for."""

    session_id: str = ""
    computer: str = ""
    name: str = ""
    path: str = ""
    project: str = ""
    status: str = ""
    is_local: bool = False


_rows = msgspec.json.Decoder(list[RecordFields]).decode
_sessions = msgspec.json.Decoder(list[Session]).decode
_projects = msgspec.json.Decoder(list[Project]).decode
_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _ByKey:
    """The records of a block, and those of them that are sessions by id."""

    __slots__ = ("by_id", "rows")

    def __init__(self, data: bytes) -> None:
        self.rows = list(zip(_rows(data), map(bytes, _raws(data)), strict=True))
        self.by_id: dict[str, list[tuple[RecordFields, bytes]]] = {}
        for pair in self.rows:
            self.by_id.setdefault(pair[0].session_id, []).append(pair)


class Queries:
    """The newest snapshot, and answers made from it. `stale` is the reason why it may be old, or empty."""

    def __init__(self, reader: SnapshotReader) -> None:
        self._reader = reader
        self.stale = ""
        self.fast_answers = 0
        self._snapshot: CacheSnapshot | None = None
        self._kept: dict[tuple[str, ...], bytes] = {}
        self._tables: dict[str, list[tuple[RecordFields, bytes]]] = {}
        self._tag = ""
        self._ready: dict[str, bytes] = {}
        self._ready_at: tuple[int, str] = (0, "")

    @property
    def snapshot(self) -> CacheSnapshot:
        """The newest. Raises Unavailable while there was never one."""
        found = self._reader.read()
        if found is None:
            raise Unavailable("the first look at this computer is not done yet")
        if found is not self._snapshot:
            self._snapshot = found
            self._tag = f'"{found.epoch}-{found.version}"'
            self._kept.clear()
            self._tables.clear()
            self._ready.clear()
        return found

    @property
    def tag(self) -> str:
        """The ETag of all answers from the newest snapshot."""
        assert self.snapshot  # noqa: S101  (it sets the tag)
        return self._tag

    def ready(self, target: str, known: str | None) -> bytes | None:
        """Give a whole response with head for a GET of all of a kind; None where this is not so easy.

        `known` is the If-None-Match header.
        """
        kind = _TARGETS.get(target)
        try:
            if kind is None or self.snapshot is None:
                return None
        except (Unavailable, OSError):
            return None
        at = (int(time.time()), self.stale)
        if at != self._ready_at:
            self._ready.clear()
            self._ready_at = at
        if known is not None and known != self._tag:
            if not _ONE_TAG.fullmatch(known):
                return None
            known = None
        key = kind if known is None else "304"
        self.fast_answers += 1
        return self._ready.get(key) or self._make_ready(key, kind)

    def listing(self, what: str, filters: dict[str, str]) -> bytes:
        """Give a JSON array of records. Raises InvalidField for a filter that `what` does not have."""
        _check(what, filters)
        snapshot = self.snapshot
        key = (what, *(f"{name}={filters[name]}" for name in sorted(filters)))
        found = self._kept.get(key)
        if found is None:
            found = self._make(snapshot, what, filters)
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[key] = found
        return found

    def session(self, prefix: str, computer: str = "") -> tuple[RecordFields, bytes]:
        """Find a session by its id or a unique prefix of it, on one computer if that is named.

        This computer's own come first: no id that another computer tells makes one of ours ambiguous, or hides it.
        Raises NotFound or Ambiguous.
        """
        local = self.local_name
        blocks = [block.derived(_ByKey) for block in self.snapshot.blocks("sessions")]
        found = [pair for block in blocks for pair in block.by_id.get(prefix, ())]
        found = [pair for pair in found if computer in {"", pair[0].computer}]
        if not any(pair[0].computer == local for pair in found):  # another's exact id hides no longer one of ours
            rows = (pair for block in blocks for pair in block.rows if computer in {"", pair[0].computer})
            found = [pair for pair in rows if prefix and pair[0].session_id.startswith(prefix)]
        found = [pair for pair in found if pair[0].computer == local] or found
        found = [pair for pair in found if pair[0].session_id == prefix] or found
        if len(found) > 1:
            where = sorted({row.computer for row, _ in found})
            hint = "" if len(where) == 1 else f", on {', '.join(where)}: name the computer too"
            raise Ambiguous(f"{len(found)} sessions have ids that begin with {prefix[:64]!r}{hint}", field="session_id")
        if not found:
            raise NotFound(f"no session has an id that begins with {prefix[:64]!r}", field="session_id")
        return found[0]

    @property
    def local_name(self) -> str:
        """Name of this computer. Raises Unavailable before the first look at it is done."""
        return next((row.name for row, _ in self._table("computers") if row.is_local), "")

    def known_computer(self, name: str | None) -> str:
        """Give back the name of a computer that is in the view; that of this one for none. Raises NotFound."""
        if name and self.computer(name) is None:
            raise NotFound(f"no computer is named {name[:128]!r}", field="computer")
        return name or self.local_name

    def computer(self, name: str) -> bytes | None:
        """Give the record of a computer."""
        return next((body for row, body in self._table("computers") if row.name == name), None)

    # Parts.

    def _make_ready(self, key: str, kind: Kind) -> bytes:
        head = [
            "HTTP/1.1 304 Not Modified" if key == "304" else "HTTP/1.1 200 OK",
            f"Date: {formatdate(self._ready_at[0], usegmt=True)}",
            f"ETag: {self._tag}",
            "Cache-Control: no-cache",
        ]
        if self.stale:
            head.append(f"X-Teleclaude-Stale: {self.stale}")
        body = b""
        if key != "304":
            body = self.snapshot.array(kind)
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        found = self._ready[key] = "\r\n".join([*head, "", ""]).encode("latin-1", "replace") + body
        return found

    def _table(self, kind: str) -> list[tuple[RecordFields, bytes]]:
        snapshot = self.snapshot
        found = self._tables.get(kind)
        if found is None:
            found = self._tables[kind] = [
                pair for block in snapshot.blocks(kind) for pair in block.derived(_ByKey).rows
            ]
        return found

    def _make(self, snapshot: CacheSnapshot, what: str, filters: dict[str, str]) -> bytes:
        if what == "projects-with-todos":
            return self._projects_with_todos(filters)
        if "q" in filters:
            return self._searched(snapshot, filters)
        if not filters.keys() - {"computer"} and (what != "computers" or not filters):
            return snapshot.array(what, filters.get("computer"))
        return json_array(body for row, body in self._table(what) if _fits(what, row, filters))

    def _searched(self, snapshot: CacheSnapshot, filters: dict[str, str]) -> bytes:
        """Sessions that fit a query (core/session_query.py), in the order of all."""
        query, others = read_query(filters["q"]), {name: value for name, value in filters.items() if name != "q"}
        projects = {(each.computer, each.path): each for each in _projects(snapshot.array("projects"))}
        sessions = _sessions(snapshot.array("sessions"))
        return json_array(
            body
            for session, (row, body) in zip(sessions, self._table("sessions"), strict=True)
            if _fits("sessions", row, others)
            and query.fits(search_text(session, projects.get((session.computer, session.project))))
        )

    def _projects_with_todos(self, filters: dict[str, str]) -> bytes:
        todos: dict[tuple[str, str], list[bytes]] = {}
        for row, body in self._table("todos"):
            todos.setdefault((row.computer, row.project), []).append(body)
        projects = [pair for pair in self._table("projects") if _fits("projects", pair[0], filters)]
        return json_array(
            b'%b,"todos":%b}' % (body[:-1], json_array(todos.get((row.computer, row.path), ())))
            for row, body in projects
        )


_ONE_TAG = re.compile(r'"[^",]*"')


def _check(what: str, filters: dict[str, str]) -> None:
    for name, value in filters.items():
        if name not in FILTERS[what]:
            raise InvalidField(name, f"is no parameter here; there are: {', '.join(FILTERS[what])}")
        allowed = STATUSES.get(what, ())
        if name == "status" and value not in allowed:
            raise InvalidField(name, f"must be one of {', '.join(allowed)}")


def _fits(what: str, row: RecordFields, filters: dict[str, str]) -> bool:
    own = {
        "computer": row.name if what == "computers" else row.computer,
        "project": row.path if what == "projects" else row.project,
        "status": row.status,
    }
    return all(own[name] == value for name, value in filters.items())
