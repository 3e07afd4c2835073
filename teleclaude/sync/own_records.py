"""This computer's own records: what the local half found last, with a number for each change.

Rules: only the local half updates it; each update that changes something of a kind is the next change of that kind, in
this process' epoch; listeners hear of it once, in order. The cache gets the same difference. The last changes of each
kind are kept in a log, for those who are told of some together.
It knows no tmux and no Redis.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from typing import TypeAlias

from teleclaude.cache import wire
from teleclaude.core.records import Computer, Kind, Record, key_of, kind_of, owner_of
from teleclaude.replication.change import Change, merge
from teleclaude.replication.change_log import Log
from teleclaude.replication.version import Version

OwnChange: TypeAlias = Change[str, Record]
Listener: TypeAlias = Callable[[Kind, OwnChange], None]
LOG_SIZE = 1024  # changes of a kind
OWN_KINDS: tuple[Kind, ...] = ("projects", "sessions", "todos")


class OwnRecords:
    """Records of `computer`, this one. `submit` takes the writes for the cache."""

    def __init__(self, computer: str, submit: Callable[[list[wire.Op]], None]) -> None:
        self.computer = computer
        self.epoch = secrets.token_hex(8)
        self.described = Computer(name=computer)  # what is known of this computer before any look at it
        self._submit = submit
        self._lock = threading.RLock()
        self._records: dict[Kind, dict[str, Record]] = {kind: {} for kind in OWN_KINDS}
        self._logs: dict[Kind, Log[OwnChange]] = {kind: Log(LOG_SIZE, self.epoch) for kind in OWN_KINDS}
        self._me: Computer | None = None
        self._filled = False
        self._found: set[Kind] = set()  # kinds of which at least one look told something
        self._found_more = threading.Condition(self._lock)
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` for each change from now on, in order, under a lock: it must be quick."""
        with self._lock:
            self._listeners.append(listener)

    def update(self, kind: Kind, records: Iterable[Record]) -> bool:
        """Take all records that this computer has of `kind` now. True when that changed something."""
        wanted = {key_of(record): record for record in records}
        for record in wanted.values():
            if kind_of(record) != kind or owner_of(record) != self.computer:
                raise ValueError(f"{record!r} is not one of the {kind} of {self.computer}")
        with self._lock:
            is_first = kind not in self._found
            self._found.add(kind)
            self._found_more.notify_all()
            here = self._records[kind]
            puts = [r for key, r in wanted.items() if (old := here.get(key)) is not r and old != r]
            removed = [key for key in here if key not in wanted]
            self._records[kind] = wanted
            if self._filled and is_first:  # a cache that outlived another sync process may have what is gone since
                self._submit([wire.replace(kind, self.computer, list(wanted.values()))])
            if not puts and not removed:
                return False
            change = self._log(kind, puts, removed)
            if self._filled and not is_first:
                self._submit(_ops(kind, self.computer, puts, removed))
            for listener in self._listeners:
                listener(kind, change)
            return True

    def tell_again(self, kind: Kind) -> None:
        """Tell all records of a kind as changed: what is made of them elsewhere is another."""
        with self._lock:
            records = list(self._records[kind].values())
            if records:
                change = self._log(kind, records, [])
                for listener in self._listeners:
                    listener(kind, change)

    def wait_found(self, kind: Kind, timeout: float) -> bool:
        """Wait until a look has told which records of `kind` there are. False after `timeout` seconds."""
        with self._found_more:
            return self._found_more.wait_for(lambda: kind in self._found, timeout)

    def update_computer(self, me: Computer) -> None:
        """Take this computer's own record."""
        with self._lock:
            if me != self._me:
                self._me = me
                self._submit(wire.put([me]))

    def filled(self) -> None:
        """Say that the first look at this computer is done; the cache shows itself from then on."""
        with self._lock:
            if not self._filled:
                self._filled = True
                self._submit(self.everything())

    def everything(self) -> list[wire.Op]:
        """All of it, as writes for a new cache; nothing before the first look is done.

        Until then, and for kinds whose source does not answer, a cache that outlived another sync process keeps what
        that one found: no view goes blank.
        """
        with self._lock:
            if not self._filled:
                return []
            ops: list[wire.Op] = [] if self._me is None else wire.put([self._me])
            found: list[Kind] = [kind for kind in OWN_KINDS if kind in self._found]
            ops += [wire.replace(kind, self.computer, list(self._records[kind].values())) for kind in found]
            return [*ops, wire.Filled()]

    def snapshot(self, kind: Kind) -> tuple[Version, list[Record]]:
        """All records of a kind, and their version."""
        with self._lock:
            return self._logs[kind].version, list(self._records[kind].values())

    def since(self, kind: Kind, version: Version) -> OwnChange | None:
        """All that changed of a kind after `version`, as one change; None when a snapshot is to be given instead.

        With no change since, it has no rows, and leads from the version to itself.
        """
        with self._lock:
            changes = self._logs[kind].since(version)
            if changes is None:
                return None
            return merge(changes) or Change(version, version.number, {})

    def get(self, kind: Kind, key: str) -> Record | None:
        """One record, or None."""
        with self._lock:
            return self._records[kind].get(key)

    def heads(self) -> dict[Kind, int]:
        """Number of the last change of each kind."""
        with self._lock:
            return {kind: log.version.number for kind, log in self._logs.items()}

    def _log(self, kind: Kind, puts: list[Record], removed: list[str]) -> OwnChange:
        log = self._logs[kind]
        after = log.version.number
        rows: dict[str, Record | None] = {**dict.fromkeys(removed), **{key_of(record): record for record in puts}}
        change: OwnChange = Change(Version(self.epoch, after + 1), after, rows)
        log.append(after + 1, change)
        return change

    @property
    def is_filled(self) -> bool:
        """Whether the first look at this computer is done; before that a snapshot tells too little."""
        return self._filled

    @property
    def me(self) -> Computer | None:
        """This computer's own record, once there is one."""
        return self._me


def _ops(kind: Kind, computer: str, puts: list[Record], removed: list[str]) -> list[wire.Op]:
    ops: list[wire.Op] = [wire.Remove(kind, computer, removed)] if removed else []
    return ops + wire.put(puts)
