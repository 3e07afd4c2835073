"""The web process' copy of the cache, as bytes, and what became of it lately. Pure.

Rules of this module:
- It has a snapshot at (epoch, version), then every later change in order; a snapshot replaces all.
- Some changes together give one mark for each thing that a client is told as a whole: a computer, a session, the
  projects of a computer, the todos of a project. A mark says what changed; its data is read when it is told, so a
  client never sees half a record.
- The log answers "what changed since" for a client that comes back, or None when it does not reach back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from teleclaude.cache.wire import Change, SnapshotFrame
from teleclaude.core.records import Kind
from teleclaude.web.push import frames

LOG_SIZE = 4096


class Thing(NamedTuple):
    """What a client is told as a whole. `unit`: a session's id, a todo's project, else empty."""

    kind: Kind
    computer: str
    unit: str


class Mark(NamedTuple):
    """Something changed, last at `version`. `is_new`: before that it was not there."""

    version: int
    thing: Thing
    is_new: bool


def thing_of(kind: Kind, computer: str, key: str) -> Thing:
    """Tell what is told as a whole when the record `key` changes."""
    if kind == "sessions":
        return Thing(kind, computer, key)
    if kind == "todos":
        return Thing(kind, computer, key.partition("\0")[0])
    return Thing(kind, computer, "")


class Mirror:
    """Encoded records by thing and key."""

    def __init__(self, log_size: int = LOG_SIZE) -> None:
        self.epoch = ""
        self.version = 0
        self.snapshots = 0  # how many were taken
        self._things: dict[Thing, dict[str, bytes]] = {}
        self._shelves: dict[tuple[Kind, str], dict[Thing, None]] = {}
        self._log: deque[Mark] = deque(maxlen=log_size)
        self._reaches_to = 0  # the oldest version from which the log tells all

    # What comes from the cache.

    def replace(self, snapshot: SnapshotFrame) -> None:
        """Take a snapshot: whoever has an earlier state is to be given this one."""
        self._things, self._shelves = {}, {}
        for section in snapshot.sections:
            for key, body in section.items:
                self._put(thing_of(section.kind, section.computer, key), key, body)
        self.epoch, self.version = snapshot.epoch, snapshot.version
        self.snapshots += 1
        self._log.clear()
        self._reaches_to = snapshot.version

    def apply(self, changes: Iterable[Change]) -> list[Mark]:
        """Take the next changes. Gives one mark for each thing, in the order of their last change.

        None for what came and went among them: nobody has seen it.
        """
        marks: dict[Thing, Mark] = {}
        for change in changes:
            thing = thing_of(change.kind, change.computer, change.key)
            earlier = marks.pop(thing, None)
            is_new = earlier.is_new if earlier else thing not in self._things
            self._put(thing, change.key, change.body)
            marks[thing] = Mark(change.version, thing, is_new)
            self.version = change.version
        return self._noted([mark for mark in marks.values() if mark.thing in self._things or not mark.is_new])

    def _put(self, thing: Thing, key: str, body: bytes | None) -> None:
        if body is not None:
            self._things.setdefault(thing, {})[key] = body
            self._shelves.setdefault((thing.kind, thing.computer), {})[thing] = None
            return
        records = self._things.get(thing, {})
        records.pop(key, None)
        if not records:
            self._things.pop(thing, None)
            self._shelves.get((thing.kind, thing.computer), {}).pop(thing, None)

    def _noted(self, marks: list[Mark]) -> list[Mark]:
        for mark in marks:
            if len(self._log) == self._log.maxlen:
                self._reaches_to = self._log[0].version
            self._log.append(mark)
        return marks

    # What a client gets.

    def since(self, epoch: str, version: int) -> list[Mark] | None:
        """What changed after `version`, each thing once; None when the log does not tell."""
        if epoch != self.epoch or not self._reaches_to <= version <= self.version:
            return None
        marks: dict[Thing, Mark] = {}
        for mark in self._log:
            if mark.version > version:
                earlier = marks.get(mark.thing)
                marks[mark.thing] = Mark(self.version, mark.thing, earlier.is_new if earlier else mark.is_new)
        return list(marks.values())

    def told(self, mark: Mark) -> bytes:
        """Give the frame of the event for a mark, with the present state.

        That something is gone is told to a client that comes back even when it came only after the client left: an
        answer to an earlier try of its may have told it of that.
        """
        version, (kind, computer, unit), is_new = mark
        records = self._things.get(mark.thing, {})
        bodies = list(records.values())
        match kind:
            case "computers" if records:
                return frames.event("computer_updated", version, bodies[0])
            case "computers":
                return frames.event_of("computer_removed", version, {"name": computer})
            case "sessions" if records:
                return frames.event("session_started" if is_new else "session_updated", version, bodies[0])
            case "sessions":
                return frames.event_of("session_removed", version, {"session_id": unit, "computer": computer})
            case "projects":
                return frames.event("projects_updated", version, _object(projects=bodies, computer=computer))
            case "todos":
                data = _object(todos=bodies, computer=computer, project=unit)
                return frames.event("todos_updated", version, data)

    def bodies(self, kind: Kind, computer: str) -> list[bytes]:
        """Encoded records of a kind, of one computer or of all ("*")."""
        shelves = sorted(s for s in self._shelves if s[0] == kind and computer in {"*", s[1]})
        return [body for shelf in shelves for thing in self._shelves[shelf] for body in self._things[thing].values()]

    def initial(self, computer: str, kinds: Iterable[Kind]) -> list[bytes]:
        """Give the frames of the initial state of some kinds of one computer, or of all ("*")."""
        wanted = set(kinds)
        found = []
        if "computers" in wanted:
            found.append(
                frames.event("computers_initial", self.version, _object(computers=self.bodies("computers", "*")))
            )
        if "sessions" in wanted:
            data = _object(sessions=self.bodies("sessions", computer), computer=computer)
            found.append(frames.event("sessions_initial", self.version, data))
        plan = {kind: self.bodies(kind, computer) for kind in ("projects", "todos") if kind in wanted}
        if plan:
            found.append(frames.event("preparation_initial", self.version, _object(**plan, computer=computer)))
        return found


def _object(**fields: str | list[bytes]) -> bytes:
    """Make a JSON object of texts and of arrays of encoded records."""
    parts = []
    for name, value in fields.items():
        data = frames.array(value) if isinstance(value, list) else frames.encode(value)
        parts.append(b'"%b":%b' % (name.encode(), data))
    return b"{%b}" % b",".join(parts)
