"""Replicas and owners that write down what they do, and on demand do it wrong.

Installed in a sync process by `inject/sitecustomize.py`, so that the real daemon runs unchanged but for that. The
seeded bugs sit below the tracing, where a real bug would be.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from teleclaude.core.records import Kind, Record
from teleclaude.replication.change import Change
from teleclaude.replication.replica import Replica
from teleclaude.replication.version import Verdict, Version
from tests.chaos.journal import Journal

BUGS = ("drop", "double", "reorder", "no_resync")
APPLIED = Verdict.APPLIED
EVERY = 3  # the seeded bug shows at every third change


def digest(items: Mapping[str, object]) -> str:
    """A short text that tells whether two sets of records are the same."""
    body = msgspec.json.encode(sorted((key, msgspec.json.encode(value)) for key, value in items.items()))
    return hashlib.sha256(body).hexdigest()[:16]


class Traced(Replica[str, Any]):
    """A replica that journals each thing it does."""

    journal: Journal
    process = ""
    bug = ""
    _numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self._number = next(self._numbers)
        self._count = 0
        self._held: Change[str, Any] | None = None

    def replace(self, version: Version, rows: Iterable[tuple[str, Any]]) -> bool:
        """Take a snapshot, and note it."""
        taken = super().replace(version, rows)
        self._note("replace", Verdict.APPLIED if taken else Verdict.REPEATED, version, 0)
        return taken

    def apply(self, change: Change[str, Any]) -> Verdict:
        """Apply a change, or pretend to, and note it."""
        self._count += 1
        wrong = getattr(self, f"_{self.bug}", None) if self._count % EVERY == 0 or self.bug == "no_resync" else None
        verdict: Verdict = wrong(change) if wrong else self._right(change)
        return verdict

    def _right(self, change: Change[str, Any]) -> Verdict:
        verdict = super().apply(change)
        self._note("apply", verdict, change.version, change.after)
        return verdict

    def _drop(self, change: Change[str, Any]) -> Verdict:
        return self._right(Change(change.version, change.after, {}))

    def _double(self, change: Change[str, Any]) -> Verdict:
        verdict = self._right(change)
        if verdict is APPLIED:
            self._note("apply", verdict, change.version, change.after)
        return verdict

    def _reorder(self, change: Change[str, Any]) -> Verdict:
        verdict = self._right(change)
        if verdict is APPLIED and self._held is not None and self._held.version.epoch == change.version.epoch:
            self._rows = {**self._rows, **self._held.puts}
            for key in self._held.removes:
                self._rows.pop(key, None)
            self._note("apply", verdict, self._held.version, self._held.after)
        self._held = change
        return verdict

    def _no_resync(self, change: Change[str, Any]) -> Verdict:
        verdict = self._right(change)
        return Verdict.REPEATED if verdict is Verdict.NEED_SNAPSHOT else verdict

    def is_behind(self, head: Version) -> bool:
        """Tell whether it is behind; the bug that skips resyncs hides it here as well."""
        return self.bug != "no_resync" and super().is_behind(head)

    def _note(self, via: str, verdict: Verdict, version: Version, after: int) -> None:
        self.journal.write(
            "replica",
            process=self.process,
            replica=self._number,
            via=via,
            verdict=verdict.value,
            epoch=version.epoch,
            seq=version.number,
            after=after,
            digest=digest(self._rows),
        )


def install(path: str, bug: str) -> None:
    """Make this process' replicas, own records and heartbeats write to the journal at `path`."""
    from teleclaude.replication import replica

    Traced.journal, Traced.process, Traced.bug = Journal(Path(path)), str(os.getpid()), bug
    replica.Replica = Traced  # type: ignore[misc,assignment]  # before anybody has imported it by name
    _trace_own_records(Traced.journal)
    _trace_heartbeats(Traced.journal)
    _trace_answers(Traced.journal)


def _trace_own_records(journal: Journal) -> None:
    from teleclaude.sync.own_records import OwnRecords

    plain = OwnRecords.update

    def update(self: OwnRecords, kind: Kind, records: Iterable[Record]) -> bool:
        with self._lock:
            changed = plain(self, kind, records)
            if changed:
                at = {"epoch": self.epoch, "seq": self.heads()[kind], "digest": digest(self._records[kind])}
                journal.write("owned", computer=self.computer, kind=kind, **at)
            return changed

    OwnRecords.update = update  # type: ignore[method-assign]  # that is what tracing is


def _trace_answers(journal: Journal) -> None:
    """Who answers a question lived when it sealed the answer, no less than when it sealed a heartbeat."""
    from teleclaude.sync.fleet.message_door import MessageDoor

    plain = MessageDoor._prove

    def prove(self: MessageDoor, envelope: Any, asked: float) -> None:
        plain(self, envelope, asked)
        peer = self._peers.all.get(envelope.sender)
        if asked > 0.0 and peer is not None and peer.epoch == envelope.epoch:
            told = {"sealed": envelope.clock, "generation": envelope.generation, "word": "answer"}
            journal.write("heard", computer=self._peers.me, owner=envelope.sender, **told)

    MessageDoor._prove = prove  # type: ignore[method-assign,assignment]  # tracing, as above


def _trace_heartbeats(journal: Journal) -> None:
    from teleclaude.sync.fleet.membership import peers
    from teleclaude.sync.fleet.wire.clock import now

    begin, plain = peers.Peers.__init__, peers.Peers.receive

    def init(self: peers.Peers, me: str, *args: Any) -> None:
        begin(self, me, *args)
        journal.write("clock", computer=me, ahead=now() - time.monotonic(), lease=peers.LEASE)

    def receive(self: peers.Peers, envelope: Any, *args: Any) -> peers.Freshness:
        word = plain(self, envelope, *args)
        if word in {peers.Freshness.NEW, peers.Freshness.BEAT}:
            told = {"sealed": envelope.clock, "generation": envelope.generation, "word": word.value}
            journal.write("heard", computer=self.me, owner=envelope.sender, **told)
        return word

    peers.Peers.__init__ = init  # type: ignore[method-assign,assignment]  # tracing, as above
    peers.Peers.receive = receive  # type: ignore[method-assign,assignment]  # the same
