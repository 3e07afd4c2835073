"""What must hold in calm: everything heals, and then every command succeeds, and clients show what the cache has."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from teleclaude.client.model import OWNED
from teleclaude.core.records import TYPES, Kind, Record, key_of, owner_of
from tests.chaos.field import Field
from tests.chaos.observer import Observer
from tests.machine import Machine
from tests.wait import until

CALM_AFTER = 5.0  # seconds since the last fault healed
Records = Mapping[tuple[Kind, str, str], Record]  # by kind, owner and key
_MARK = "said-in-calm"


class Calm:
    """Tries the promises of calm on all computers, and notes in the journal how that went."""

    def __init__(self, field: Field, observers: list[Observer]) -> None:
        self._field = field
        self._observers = observers

    def prove(self, healed: float, draw: random.Random) -> None:
        """Wait until no fault was for `CALM_AFTER` seconds (since `healed`, monotonic); then try everything."""
        time.sleep(max(0.0, healed + CALM_AFTER - time.monotonic()))  # how long calm must have lasted
        for through in self._field.fleet.machines:
            health = through.get("/health")
            self._note(through, "GET /health", health["status"] == "ok", str(health))
            for target in (through, draw.choice(self._field.fleet.machines)):
                self.command_all(through, target)
        for machine, observer in zip(self._field.fleet.machines, self._observers, strict=True):
            try:
                until(lambda m=machine, o=observer: not unlike(m, o), CALM_AFTER, every=0.1)  # type: ignore[misc]
            except AssertionError:
                differences = unlike(machine, observer)
                self._field.journal.write("unlike", client=observer.name, differences=differences[:5])
            else:
                self._field.journal.write("unlike", client=observer.name, differences=[])

    def command_all(self, through: Machine, target: Machine, *, is_sure: Callable[[], bool] = lambda: True) -> None:
        """Do every command once on one computer through another. What fails while not `is_sure` is not noted."""
        body = {"computer": target.name, "project": str(target.code), "agent": "shell", "title": "calm"}
        answer = self._do(through, is_sure, "POST", "/sessions", body)
        if not answer:
            return
        at = f"/sessions/{answer['session_id']}"
        self._do(through, is_sure, "POST", f"{at}/message", {"text": f"echo {_MARK}"})
        self._do(through, is_sure, "GET", f"{at}/output?lines=5", None)
        self._do(through, is_sure, "PATCH", at, {"title": "calmer"})
        self._do(through, is_sure, "POST", "/refresh", {"computer": target.name})
        self._do(through, is_sure, "DELETE", at, None)

    def _do(self, through: Machine, is_sure: Callable[[], bool], method: str, target: str, body: object) -> Any:
        try:
            status, answer = through.call(method, target, body)
        except (OSError, ValueError) as error:
            status, answer = 0, repr(error)
        is_good = 200 <= status < 300
        if is_good or is_sure():
            self._note(through, f"{method} {target.partition('?')[0]}", is_good, f"{status} {answer}")
        return (answer or True) if is_good else None

    def _note(self, through: Machine, request: str, is_good: bool, answer: str) -> None:
        fields = {"computer": through.name, "request": request, "ok": is_good}
        self._field.journal.write("calm", **fields, answer="" if is_good else answer[:500])


def unlike(machine: Machine, observer: Observer) -> list[str]:
    """What a client shows otherwise than the cache of its daemon has it, as REST tells it: one text for each record."""
    shown = observer.records()
    cached = dict(_cached(machine))
    keys = sorted(key for key in shown.keys() | cached.keys() if shown.get(key) != cached.get(key))
    return [f"{key}: shown {shown.get(key)}, cached {cached.get(key)}" for key in keys]


def _cached(machine: Machine) -> Iterator[tuple[tuple[Kind, str, str], Record]]:
    kinds: tuple[Kind, ...] = ("computers", *OWNED)
    for kind in kinds:
        for row in machine.get(f"/{kind}"):
            record = msgspec.convert(row, TYPES[kind])
            yield (kind, owner_of(record), key_of(record)), record
