"""This computer's own records, as the node knows them: replicas of what the local half found, fed by events."""

from __future__ import annotations

from collections.abc import Iterable

from teleclaude.core.records import Computer, Kind, Record, key_of
from teleclaude.replication.change import Change
from teleclaude.replication.replica import Replica
from teleclaude.replication.version import Version
from teleclaude.sync.own_records import OWN_KINDS


class OwnView:
    """Records of `computer`, this one, in its present epoch. `described`: what is known of it before it looked."""

    def __init__(self, computer: str, epoch: str, described: Computer) -> None:
        self.computer, self.epoch, self._described = computer, epoch, described
        self.me: Computer | None = None
        self.is_filled = False
        self._kinds: dict[Kind, Replica[str, Record]] = {kind: Replica() for kind in OWN_KINDS}

    def found(self, kind: Kind, version: Version, records: Iterable[Record]) -> None:
        """Take all records of a kind."""
        self._kinds[kind].replace(version, [(key_of(record), record) for record in records])

    def changed(self, kind: Kind, change: Change[str, Record]) -> None:
        """Take a change of a kind."""
        self._kinds[kind].apply(change)

    def about_me(self) -> Computer:
        """What this computer says of itself."""
        return self.me or self._described

    def heads(self) -> dict[Kind, int]:
        """Number of the last change of each kind."""
        return {kind: replica.version.number for kind, replica in self._kinds.items()}

    def snapshot(self, kind: Kind) -> tuple[int, list[Record]]:
        """Give (number of the last change, records) of a kind."""
        replica = self._kinds[kind]
        return replica.version.number, list(replica.rows.values())
