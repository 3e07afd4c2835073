"""The web process' copy of the cache, as bytes, and what became of it lately. Pure.

Rules of this module:
- It has a snapshot at a version, then every later change in order; a snapshot replaces all. A change that was there
  before is left out, and a gap is an error: the feed is to be opened anew.
- Some changes together change each key once. A key is what one event tells as a whole: a computer, a session, the
  projects of a computer, the todos of a project. Its data is read when it is told, so a client never sees half a
  record.
- The log answers "what changed since" for a client that comes back, or None when it does not reach back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from teleclaude.cache.wire import RowChange, SnapshotFrame
from teleclaude.core.records import EVERYWHERE, Kind
from teleclaude.replication.change_log import Log
from teleclaude.replication.version import Verdict, Version
from teleclaude.web.push import frames

LOG_SIZE = 4096


class ChangesMissingError(ValueError):
    """What came does not follow what is here."""


class EventKey(NamedTuple):
    """What one event tells as a whole. `unit`: a session's id, a todo's project, else empty."""

    kind: Kind
    computer: str
    unit: str


class ChangedKey(NamedTuple):
    """A key changed, last by change `number`. `is_new`: before that there was nothing of it."""

    number: int
    key: EventKey
    is_new: bool


def event_key(kind: Kind, computer: str, key: str) -> EventKey:
    """Tell what is told as a whole when the record `key` changes."""
    if kind == "sessions":
        return EventKey(kind, computer, key)
    if kind == "todos":
        return EventKey(kind, computer, key.partition("\0")[0])
    return EventKey(kind, computer, "")


class Mirror:
    """Encoded records by event key and record key."""

    def __init__(self, log_size: int = LOG_SIZE) -> None:
        self.snapshots = 0  # how many were taken
        self._log: Log[ChangedKey] = Log(log_size)
        self._records: dict[EventKey, dict[str, bytes]] = {}
        self._partitions: dict[tuple[Kind, str], dict[EventKey, None]] = {}

    @property
    def version(self) -> Version:
        """Where it stands."""
        return self._log.version

    # What comes from the cache.

    def replace(self, snapshot: SnapshotFrame) -> bool:
        """Take a snapshot: whoever has an earlier state is to be given this one. False for one that is older."""
        if not self.version.takes_snapshot(snapshot.version):
            return False
        self._records, self._partitions = {}, {}
        for section in snapshot.sections:
            for key, body in section.items:
                self._put(event_key(section.kind, section.computer, key), key, body)
        self.snapshots += 1
        self._log.restart(snapshot.version)
        return True

    def apply(self, epoch: str, changes: list[RowChange]) -> list[ChangedKey]:
        """Take the next changes. Gives each key that they change, in the order of their last changes.

        None for what came and went among them: nobody has seen it. Raises ChangesMissingError for a gap.
        """
        changed: dict[EventKey, ChangedKey] = {}
        following = self._following(epoch, changes)
        for change in following:
            key = event_key(change.kind, change.computer, change.key)
            earlier = changed.pop(key, None)
            is_new = earlier.is_new if earlier else key not in self._records
            self._put(key, change.key, change.body)
            changed[key] = ChangedKey(change.number, key, is_new)
        seen = [each for each in changed.values() if each.key in self._records or not each.is_new]
        for each in seen:
            self._log.append(each.number, each)
        if following and following[-1].number > self.version.number:
            self._log.advance(following[-1].number)
        return seen

    def _following(self, epoch: str, changes: list[RowChange]) -> list[RowChange]:
        here, following = self.version, []
        for change in changes:
            there = Version(epoch, change.number)
            verdict = here.judge(there, change.number - 1)
            if verdict is Verdict.NEED_SNAPSHOT:
                raise ChangesMissingError(f"change {change.number} of {epoch} does not follow {here}")
            if verdict is Verdict.APPLIED:
                here = there
                following.append(change)
        return following

    def _put(self, key: EventKey, record_key: str, body: bytes | None) -> None:
        place = (key.kind, key.computer)
        if body is not None:
            self._records.setdefault(key, {})[record_key] = body
            self._partitions.setdefault(place, {})[key] = None
            return
        records = self._records.get(key, {})
        records.pop(record_key, None)
        if not records:
            self._records.pop(key, None)
            self._partitions.get(place, {}).pop(key, None)

    # What a client gets.

    def since(self, version: Version) -> list[ChangedKey] | None:
        """What changed after `version`, each key once, as of now; None when the log does not tell."""
        found = self._log.since(version)
        if found is None:
            return None
        changed: dict[EventKey, ChangedKey] = {}
        for each in found:
            earlier = changed.get(each.key, each)
            changed[each.key] = ChangedKey(self.version.number, each.key, earlier.is_new)
        return list(changed.values())

    def event(self, changed: ChangedKey) -> bytes:
        """Give the frame of the event for a changed key, with the present state.

        That something is gone is told to a client that comes back even when it came only after the client left: an
        answer to an earlier try of its may have told it of that.
        """
        number, (kind, computer, unit), is_new = changed
        bodies = list(self._records.get(changed.key, {}).values())
        match kind:
            case "computers" if bodies:
                return frames.event("computer_updated", number, bodies[0])
            case "computers":
                return frames.event_of("computer_removed", number, {"name": computer})
            case "sessions" if bodies:
                return frames.event("session_started" if is_new else "session_updated", number, bodies[0])
            case "sessions":
                return frames.event_of("session_removed", number, {"session_id": unit, "computer": computer})
            case "projects":
                return frames.event_of_records("projects_updated", number, projects=bodies, computer=computer)
            case "todos":
                fields = {"computer": computer, "project": unit}
                return frames.event_of_records("todos_updated", number, todos=bodies, **fields)

    def bodies(self, kind: Kind, computer: str) -> list[bytes]:
        """Encoded records of a kind, of one computer or of all ("*")."""
        places = sorted(p for p in self._partitions if p[0] == kind and computer in {EVERYWHERE, p[1]})
        return [body for place in places for key in self._partitions[place] for body in self._records[key].values()]

    def initial(self, computer: str, kinds: Iterable[Kind]) -> list[bytes]:
        """Give the frames of the initial state of some kinds of one computer, or of all ("*")."""
        number = self.version.number
        wanted = set(kinds)
        found = []
        if "computers" in wanted:
            computers = self.bodies("computers", EVERYWHERE)
            found.append(frames.event_of_records("computers_initial", number, computers=computers))
        if "sessions" in wanted:
            sessions = self.bodies("sessions", computer)
            found.append(frames.event_of_records("sessions_initial", number, sessions=sessions, computer=computer))
        plan = {kind: self.bodies(kind, computer) for kind in ("projects", "todos") if kind in wanted}
        if plan:
            found.append(frames.event_of_records("preparation_initial", number, **plan, computer=computer))
        return found
