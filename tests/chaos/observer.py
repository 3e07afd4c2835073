"""A client that looks at everything on every computer, and journals what it is shown."""

from __future__ import annotations

import threading

from teleclaude.client.events import (
    Changed,
    Connected,
    Disconnected,
    HealthEvent,
    Malformed,
    Message,
    Replaced,
    Resumed,
    Stopped,
)
from teleclaude.client.model import OWNED, Model, fold
from teleclaude.client.reader import Reader
from teleclaude.core.backoff import Backoff
from teleclaude.core.records import Kind, Record
from tests.chaos.cutting_proxy import CuttingProxy
from tests.chaos.journal import Journal
from tests.machine import Machine


class Observer:
    """Follows one computer's daemon through /ws as the terminal client does."""

    def __init__(self, machine: Machine, journal: Journal) -> None:
        self.name = machine.name
        self._journal = journal
        self._model = Model()
        self._lock = threading.Lock()
        self._connection = 0
        self._is_connected = self._is_stale = False
        self._view: tuple[bool, list[str]] = (False, [])
        self._own = ""
        self.way = CuttingProxy(machine.folder / "way.sock", machine.place.api_socket)
        self._reader = Reader(self.way.path, self._wake, backoff=Backoff(0.1, 1.0))
        self._reader.want({("*", "sessions"), ("*", "projects"), ("*", "todos")})
        self._reader.start()

    def _wake(self) -> None:
        with self._lock:
            messages = self._reader.take()
            for message in messages:
                self._note(message)
            self._model = fold(self._model, messages)
            shown = [key for machine in self._model.shown for key in machine.sessions]
            self._note_view()
        if messages:
            self._journal.write("shown", client=self.name, sessions=shown)

    def _note_view(self) -> None:
        online = sorted(m.name for m in self._model.shown if m.is_online and not m.is_local)
        view = (self._is_connected and not self._is_stale, online)
        if view != self._view:
            self._view = view
            self._journal.write("view", client=self.name, live=view[0], online=online)
        own = next((m.computer.status for m in self._model.machines.values() if m.computer and m.is_local), "")
        if view[0] and own != self._own:
            self._own = own
            self._journal.write("own", client=self.name, status=own)

    def _note(self, message: Message) -> None:
        match message:
            case Connected():
                self._connection += 1
                self._is_connected = True
            case Disconnected() | Stopped():
                self._is_connected = False
            case HealthEvent():
                self._is_stale = message.stale
            case _:
                pass
        if isinstance(message, Connected | Replaced | Changed | Resumed):
            self._frame(message.epoch, message.version, type(message).__name__, whole=True)
        if isinstance(message, Malformed):
            self._frame("", 0, message.reason, whole=False)

    def _frame(self, epoch: str, version: int, event: str, *, whole: bool) -> None:
        self._journal.write(
            "frame",
            client=self.name,
            connection=self._connection,
            epoch=epoch,
            version=version,
            event=event,
            whole=whole,
        )

    def sessions(self, owner: str) -> dict[str, str]:
        """What the client shows of a computer: pane id to the tmux session's name."""
        self._wake()
        with self._lock:
            machine = self._model.machines.get(owner)
            return {} if machine is None else {s.tmux.pane: s.tmux.name for s in machine.sessions.values()}

    def status(self, name: str) -> str:
        """What the client says of a computer: online or offline; "unknown" while it does not know it, or is cut off."""
        self._wake()
        with self._lock:
            machine = self._model.machines.get(name)
            known = machine and machine.computer and self._is_connected
            return machine.computer.status if machine and machine.computer and known else "unknown"

    def records(self) -> dict[tuple[Kind, str, str], Record]:
        """All that the client shows, by kind, owner and key."""
        self._wake()
        found: dict[tuple[Kind, str, str], Record] = {}
        with self._lock:
            for machine in self._model.shown:
                if machine.computer is not None:
                    found["computers", machine.name, machine.name] = machine.computer
                for kind in OWNED:
                    for key, record in getattr(machine, kind).items():
                        found[kind, machine.name, key] = record
        return found

    def close(self) -> None:
        """Stop following."""
        self._reader.stop()
        self.way.close()
