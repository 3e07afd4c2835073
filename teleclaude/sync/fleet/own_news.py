"""What changed on this computer since the node was told last: its records, its own record, its user's keys."""

from __future__ import annotations

from collections.abc import Iterator

from teleclaude.core.records import Kind
from teleclaude.replication.version import NOTHING, Version
from teleclaude.sync.fleet.node_events import Event, OwnChanged, OwnFound, SelfDescribed
from teleclaude.sync.fleet.person import KeyWatch, Person
from teleclaude.sync.fleet.shared_records import SharedRecords


class OwnNews:
    """Asks each time; nobody has to tell it. `own` as others get it, `person` who uses this computer."""

    def __init__(self, own: SharedRecords, person: Person) -> None:
        self._own, self._keys = own, KeyWatch(person)
        self._known: dict[Kind, Version] = {}  # up to where the records were told
        self._described: object = None

    def events(self, now: float, wall: float) -> Iterator[Event]:
        """Give what is to be told. `now`: on this computer's clock; `wall`: seconds since 1970."""
        for kind, number in self._own.heads().items():
            if self._known.get(kind) != Version(self._own.epoch, number):
                yield self._changed(kind)
        described = self._own.described()
        if described != self._described:
            self._described = described
            yield SelfDescribed(*described)
        yield from self._keys.news(now, wall)

    def _changed(self, kind: Kind) -> Event:
        change = self._own.since(kind, self._known.get(kind, NOTHING))
        if change is not None:
            self._known[kind] = change.version
            return OwnChanged(kind, change)
        version, records = self._own.snapshot(kind)
        self._known[kind] = version
        return OwnFound(kind, version, records)
