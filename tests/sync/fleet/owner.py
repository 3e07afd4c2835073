"""A source for replicas that can lose, repeat and reorder: one owner, its inbox at one reader, and the way between."""

from __future__ import annotations

from collections.abc import Callable

from teleclaude.core.records import Kind, Session
from teleclaude.replication.version import Version
from teleclaude.sync.fleet.owner.subscribers import event_of
from teleclaude.sync.fleet.replication.replicas import PullNeeded
from teleclaude.sync.fleet.wire.messages import ChangeEvent, PullPart, rows_of
from teleclaude.sync.own_records import OwnRecords
from tests import make

Message = ChangeEvent | tuple[str, list[PullPart]]  # an event, or (request, parts)


class Owner:
    """`inbox` is what is under way to the reader, oldest first; a test may do with it what a network would."""

    def __init__(self, name: str = "far") -> None:
        self.name = name
        self.inbox: list[tuple[str, Message]] = []  # (epoch, message)
        self._pushed = 0
        self.own = OwnRecords(name, lambda _ops: None)

    def restart(self) -> None:
        """Start anew, with what was there, in a new epoch."""
        records = {kind: self.own.snapshot(kind)[1] for kind in ("sessions",)}
        self._pushed = 0
        self.own = OwnRecords(self.name, lambda _ops: None)
        self.own.update("sessions", records["sessions"])

    def change(self, *titles: str) -> None:
        """Have sessions of these titles and no others; several changes may go out as one."""
        self.own.update("sessions", [make.session(make.session_id(title), self.name, title=title) for title in titles])

    def push(self) -> None:
        """Put what changed into the inbox."""
        change = self.own.since("sessions", Version(self.own.epoch, self._pushed))
        if change and change.rows:
            self._pushed = change.version.number
            self.inbox.append((self.own.epoch, event_of("sessions", change)))

    def answer(self, needed: PullNeeded) -> None:
        """Put a snapshot into the inbox, behind what was pushed."""
        self.push()
        parts = [self._part(kind, needed) for kind in needed.kinds]
        self.inbox.append((self.own.epoch, (needed.request, parts)))

    def _part(self, kind: Kind, needed: PullNeeded) -> PullPart:
        version, records = self.own.snapshot(kind)
        is_same = needed.have.get(kind) == version
        return PullPart(kind, version.number, is_same, rows_of([] if is_same else records))

    def deliver(self, take: Callable[[str, str, Message], None], count: int | None = None) -> None:
        """Hand over the oldest `count` messages, or all."""
        now, self.inbox = self.inbox[:count], self.inbox[count:] if count is not None else []
        for epoch, message in now:
            take(self.name, epoch, message)

    def titles(self) -> set[str]:
        """What the owner has."""
        return {record.title for record in self.own.snapshot("sessions")[1] if isinstance(record, Session)}
