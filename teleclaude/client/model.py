"""What a client knows, folded from what the daemon tells. Pure.

Rules of this module (the idea of replication, on a connection that keeps order):
- A scope is one kind of one computer's records. A snapshot replaces it: absent from it means gone.
- A change is applied only to a scope that has had a snapshot in the same epoch; whatever else is left out.
- A scope's version never goes backwards. A change at the version that is there is applied: those of a resume all
  carry the present one, and each carries the whole record.
- `fold` gives a new Model and leaves the old one alone. It copies only the scopes that change, once per call.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from teleclaude.client.events import EVERY, Changed, Connected, Message, Replaced, keyed
from teleclaude.core.records import Computer, Kind, Project, Record, Session, Todo, owner_of

OWNED: tuple[Kind, ...] = ("projects", "sessions", "todos")
_shapes = itertools.count(1)


class Machine(msgspec.Struct, frozen=True, eq=False):
    """A computer, and what is known of its records, by key. Without `computer` nobody says that there is one.

    `loaded`: kinds that have had a snapshot. `shape` changes whenever the tree of its records may look different:
    which rows there are, and where; not what is in them.
    """

    name: str
    computer: Computer | None = None
    projects: Mapping[str, Project] = MappingProxyType({})
    sessions: Mapping[str, Session] = MappingProxyType({})
    todos: Mapping[str, Todo] = MappingProxyType({})
    loaded: frozenset[Kind] = frozenset()
    shape: int = 0

    @property
    def is_local(self) -> bool:
        """Whether this is the computer that the client runs on."""
        return self.computer is not None and self.computer.is_local

    @property
    def is_online(self) -> bool:
        """Whether its records are live."""
        return self.computer is None or self.computer.status == "online"


class Model(msgspec.Struct, frozen=True, eq=False):
    """All that is known. `local` is this computer's name, empty before the first hello."""

    epoch: str = ""
    local: str = ""
    machines: Mapping[str, Machine] = MappingProxyType({})
    versions: Mapping[tuple[str, Kind], int] = MappingProxyType({})
    has_computers: bool = False

    @property
    def shown(self) -> list[Machine]:
        """The computers that there are."""
        return [m for m in self.machines.values() if m.computer is not None or not self.has_computers]


def fold(model: Model, messages: Iterable[Message]) -> Model:
    """Give the model after `messages`; the same object when they change nothing."""
    draft = _Draft(model)
    for message in messages:
        match message:
            case Connected():
                draft.greet(message.epoch, message.computer)
            case Replaced():
                draft.replace(message)
            case Changed():
                draft.change(message)
            case _:
                pass
    return draft.finish()


class _Draft:
    """A model being changed: scopes are copied when they are first written to."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._epoch, self._local = model.epoch, model.local
        self._has_computers = model.has_computers
        self._machines = dict(model.machines)
        self._versions = dict(model.versions)
        self._own: set[tuple[str, Kind]] = set()  # scopes whose dictionary is this draft's own
        self._is_changed = False

    def finish(self) -> Model:
        if not self._is_changed:
            return self._model
        return Model(self._epoch, self._local, self._machines, self._versions, self._has_computers)

    def greet(self, epoch: str, computer: str) -> None:
        if (epoch, computer) == (self._epoch, self._local):
            return
        self._is_changed = True
        if epoch != self._epoch:
            self._versions.clear()  # what is there is shown until the new epoch's snapshots replace it
        self._epoch, self._local = epoch, computer

    def replace(self, message: Replaced) -> None:
        if message.epoch != self._epoch or message.version < self._version(message.computer, message.kind):
            return
        self._is_changed = True
        if message.kind == "computers":
            self._replace_computers(message)
            return
        owners = {message.computer: message.records} if message.computer != EVERY else self._by_owner(message.records)
        for computer, records in owners.items():
            self._versions[computer, message.kind] = message.version
            self._set(computer, message.kind, keyed(records))
        if message.computer == EVERY:
            self._versions[EVERY, message.kind] = message.version

    def change(self, message: Changed) -> None:
        kind, computer = message.kind, message.computer
        here = self._version(computer, kind)
        if message.epoch != self._epoch or here < 0 or message.version < here:
            return
        self._is_changed = True
        if kind == "computers":
            self._change_computers(message)
            return
        self._versions[computer, kind] = message.version
        old = self._scope(computer, kind)
        puts = keyed(message.puts)
        gone = set(message.removes)
        if message.project is not None:
            inside = message.project + "\0"
            gone |= {key for key in old if key.startswith(inside) and key not in puts}
        removed = [key for key in gone if old.pop(key, None) is not None]
        is_reshaped = bool(removed) or any(_place(old.get(key)) != _place(put) for key, put in puts.items())
        old.update(puts)
        if is_reshaped:
            self._reshape(computer)

    def _version(self, computer: str, kind: Kind) -> int:
        """Version of a scope; -1 when it has had no snapshot."""
        if kind == "computers":
            computer = EVERY
        return self._versions.get((computer, kind), self._versions.get((EVERY, kind), -1))

    def _by_owner(self, records: list[Record]) -> dict[str, list[Record]]:
        owners: dict[str, list[Record]] = {name: [] for name in self._machines}
        for record in records:
            owners.setdefault(owner_of(record), []).append(record)
        return owners

    def _replace_computers(self, message: Replaced) -> None:
        self._versions[EVERY, "computers"] = message.version
        self._has_computers = True
        found = {record.name: record for record in message.records if isinstance(record, Computer)}
        for name in self._machines.keys() - found.keys():
            self._forget(name)
        for name, record in found.items():
            self._machines[name] = _with(self._machine(name), computer=record)

    def _change_computers(self, message: Changed) -> None:
        self._versions[EVERY, "computers"] = message.version
        for name in self._machines.keys() & set(message.removes):
            self._forget(name)
        for record in message.puts:
            if isinstance(record, Computer):
                self._machines[record.name] = _with(self._machine(record.name), computer=record)

    def _forget(self, name: str) -> None:
        """Drop a computer's row and records. What is followed of it stays followed: it may come back."""
        machine = self._machines.pop(name)
        self._own -= {(name, kind) for kind in OWNED}
        if machine.loaded:
            self._machines[name] = Machine(name, loaded=machine.loaded, shape=next(_shapes))

    def _machine(self, name: str) -> Machine:
        return self._machines.get(name) or Machine(name, shape=next(_shapes))

    def _set(self, computer: str, kind: Kind, records: dict[str, Record]) -> None:
        machine = self._machine(computer)
        old: Mapping[str, Record] = getattr(machine, kind)
        self._own.add((computer, kind))
        is_same_shape = (
            kind in machine.loaded
            and old.keys() == records.keys()
            and all(_place(old[key]) == _place(record) for key, record in records.items())
        )
        shape = machine.shape if is_same_shape else next(_shapes)
        self._machines[computer] = _with(machine, **{kind: records, "loaded": machine.loaded | {kind}, "shape": shape})

    def _scope(self, computer: str, kind: Kind) -> dict[str, Any]:
        """Give the scope's dictionary, to write to."""
        machine = self._machine(computer)
        if (computer, kind) in self._own:
            own: dict[str, Any] = getattr(machine, kind)
            return own
        self._own.add((computer, kind))
        copied = dict(getattr(machine, kind))
        self._machines[computer] = _with(machine, **{kind: copied})
        return copied

    def _reshape(self, computer: str) -> None:
        self._machines[computer] = _with(self._machines[computer], shape=next(_shapes))


def _with(machine: Machine, **changes: Any) -> Machine:
    return msgspec.structs.replace(machine, **changes)


def _place(record: Record | None) -> tuple[object, ...] | None:
    """What decides where a record's row is in the tree."""
    match record:
        case Session():
            return (record.project, record.cwd, record.created_at, record.parent)
        case Project():
            return (record.path, record.name, record.configured)
        case Todo():
            return (record.project, record.slug, record.order)
        case _:
            return None
