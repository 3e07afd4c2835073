"""A client that looks at everything on every computer, and journals what it is shown."""

from __future__ import annotations

import threading

from teleclaude.client.events import Changed, Connected, Malformed, Message, Replaced, Resumed
from teleclaude.client.model import Model, fold
from teleclaude.client.reader import Reader
from teleclaude.core.backoff import Backoff
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
        self._reader = Reader(machine.place.api_socket, self._wake, backoff=Backoff(0.1, 1.0))
        self._reader.want({("*", "sessions"), ("*", "projects"), ("*", "todos")})
        self._reader.start()

    def _wake(self) -> None:
        with self._lock:
            messages = self._reader.take()
            for message in messages:
                self._note(message)
            self._model = fold(self._model, messages)
            shown = [key for machine in self._model.machines.values() for key in machine.sessions]
        if messages:
            self._journal.write("shown", client=self.name, sessions=shown)

    def _note(self, message: Message) -> None:
        if isinstance(message, Connected):
            self._connection += 1
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

    def close(self) -> None:
        """Stop following."""
        self._reader.stop()
