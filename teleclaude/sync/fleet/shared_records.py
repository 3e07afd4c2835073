"""This computer's own records as others get them: what they share (sharing.py) is all that passes."""

from __future__ import annotations

from teleclaude.core.records import Computer, Kind, Record
from teleclaude.core.requests import Outcome
from teleclaude.core.settings import Settings
from teleclaude.replication.version import Version
from teleclaude.sync.fleet.sharing import Sharing
from teleclaude.sync.own_records import OwnChange, OwnRecords


class SharedRecords:
    """`own`, as the settings share them. Usable from any thread."""

    def __init__(self, own: OwnRecords, settings: Settings) -> None:
        self._own, self._sharing = own, Sharing(settings)
        self.epoch = own.epoch

    def share(self, settings: Settings) -> None:
        """Take other settings; where more or less is shared by them, all sessions are told again."""
        before, self._sharing = self._sharing, Sharing(settings)
        if before != self._sharing:
            self._own.tell_again("sessions")

    def heads(self) -> dict[Kind, int]:
        """Number of the last change of each kind."""
        return self._own.heads()

    def described(self) -> tuple[Computer | None, bool]:
        """This computer's own record, and whether its first look is done."""
        return self._own.me, self._own.is_filled

    def snapshot(self, kind: Kind) -> tuple[Version, list[Record]]:
        """All records of a kind, and their version."""
        version, records = self._own.snapshot(kind)
        return version, [self._sharing.record(record) for record in records]

    def since(self, kind: Kind, version: Version) -> OwnChange | None:
        """All that changed of a kind after `version`, as one change; None when a snapshot is to be given instead."""
        change = self._own.since(kind, version)
        return change and self._sharing.change(change)

    def outcome(self, outcome: Outcome) -> Outcome:
        """Give the answer of a request."""
        return self._sharing.outcome(outcome)
