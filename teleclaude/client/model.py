"""What a client knows, folded from what the daemon tells. Pure.

Rules of this module, beyond those of replication/scopes.py, which say what is taken and what is left out:
- A scope is one kind of one computer's records. A snapshot replaces it: absent from it means gone.
- What is shown in a new epoch is what there was before, until its snapshots replace it.
- `fold` gives a new Model and leaves the old one alone. It copies only the scopes that change, once per call.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from teleclaude.client.events import Changed, Connected, Message, Replaced, keyed
from teleclaude.core.records import EVERYWHERE, Computer, Kind, Project, Record, Scope, Session, Todo, owner_of
from teleclaude.replication.scopes import Scopes
from teleclaude.replication.version import Version

OWNED: tuple[Kind, ...] = ("projects", "sessions", "todos")
_shapes = itertools.count(1)


class Machine(msgspec.Struct, frozen=True, eq=False):
    """A computer, and what is known of its records, by key. Without `computer` nobody says that there is one.

    `loaded`: kinds that have had a snapshot. `shape` changes whenever the tree of its records may look different:
    which rows there are, and where; not what is in them. `row_counts`: how many of `sessions` have each status.
    """

    name: str
    computer: Computer | None = None
    projects: Mapping[str, Project] = MappingProxyType({})
    sessions: Mapping[str, Session] = MappingProxyType({})
    todos: Mapping[str, Todo] = MappingProxyType({})
    loaded: frozenset[Kind] = frozenset()
    shape: int = 0
    row_counts: Mapping[str, int] = MappingProxyType({})

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
    numbers: Mapping[Scope, int] = MappingProxyType({})
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
        self._local = model.local
        self._has_computers = model.has_computers
        self._machines = dict(model.machines)
        self._scopes: Scopes[Scope] = Scopes(model.epoch, model.numbers)
        self._own: set[Scope] = set()  # scopes whose dictionary is this draft's own
        self._is_changed = False

    def finish(self) -> Model:
        if not self._is_changed:
            return self._model
        return Model(self._scopes.epoch, self._local, self._machines, self._scopes.numbers, self._has_computers)

    def greet(self, epoch: str, computer: str) -> None:
        if self._scopes.enter(epoch) or computer != self._local:
            self._is_changed = True
            self._local = computer

    def replace(self, message: Replaced) -> None:
        kind, computer = message.kind, message.computer
        if not self._scopes.replace((computer, kind), Version(message.epoch, message.version)):
            return
        self._is_changed = True
        if kind == "computers":
            self._replace_computers(message)
            return
        owners = {computer: message.records} if computer != EVERYWHERE else self._by_owner(message.records)
        for owner, records in owners.items():
            if self._scopes.replace((owner, kind), Version(message.epoch, message.version)):
                self._set(owner, kind, keyed(records))

    def change(self, message: Changed) -> None:
        kind, computer = message.kind, message.computer
        scope = (computer, kind) if (computer, kind) in self._scopes.numbers else (EVERYWHERE, kind)
        if not self._scopes.apply(scope, Version(message.epoch, message.version)):
            return
        self._is_changed = True
        if kind == "computers":
            self._change_computers(message)
            return
        old = self._scope(computer, kind)
        puts = keyed(message.puts)
        gone = set(message.removes)
        if message.project is not None:
            inside = message.project + "\0"
            gone |= {key for key in old if key.startswith(inside) and key not in puts}
        removed = [old.pop(key) for key in gone if key in old]
        is_reshaped = bool(removed) or any(_place(old.get(key)) != _place(put) for key, put in puts.items())
        if kind == "sessions":
            self._recount(computer, [*removed, *(old[key] for key in puts if key in old)], puts.values())
        old.update(puts)
        if is_reshaped:
            self._reshape(computer)

    def _by_owner(self, records: list[Record]) -> dict[str, list[Record]]:
        owners: dict[str, list[Record]] = {name: [] for name in self._machines}
        for record in records:
            owners.setdefault(owner_of(record), []).append(record)
        return owners

    def _replace_computers(self, message: Replaced) -> None:
        self._has_computers = True
        found = {record.name: record for record in message.records if isinstance(record, Computer)}
        for name in self._machines.keys() - found.keys():
            self._forget(name)
        for name, record in found.items():
            self._machines[name] = _with(self._machine(name), computer=record)

    def _change_computers(self, message: Changed) -> None:
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
        if kind == "sessions":
            self._recount(computer, old.values(), records.values())

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

    def _recount(self, computer: str, gone: Iterable[Record], come: Iterable[Record]) -> None:
        machine = self._machine(computer)
        counts = Counter(machine.row_counts)
        counts.subtract(session.status for session in gone if isinstance(session, Session))
        counts.update(session.status for session in come if isinstance(session, Session))
        self._machines[computer] = _with(machine, row_counts=+counts)

    def _reshape(self, computer: str) -> None:
        self._machines[computer] = _with(self._machines[computer], shape=next(_shapes))


def _with(machine: Machine, **changes: Any) -> Machine:
    return msgspec.structs.replace(machine, **changes)


def _place(record: Record | None) -> tuple[object, ...] | None:
    """What decides where a record's row is in the tree."""
    match record:
        case Session():
            return (record.project, record.cwd, record.created_at, record.parent, record.tmux.session)
        case Project():
            return (record.path, record.name, record.configured)
        case Todo():
            return (record.project, record.slug, record.order)
        case _:
            return None
