"""The four hops of the one idea, each with the product's own classes at both ends and a way between that can be spoilt.

A hop has a source of rows, a reader of them, and what is under way between both. All take the same steps, so that one
test walks over each. Rows are sessions of one computer; a row's title is a stamp that only grows, so that what is late
can be told from what is new.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from teleclaude.cache import wire
from teleclaude.cache.core import CacheCore
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.client.events import Changed, Connected, Message, Replaced
from teleclaude.client.model import Model, fold
from teleclaude.core.records import EVERYWHERE, Record, Session
from teleclaude.sync.fleet.replication.replicas import Replicas
from teleclaude.web.push.feed_reader import Feed
from teleclaude.web.push.hub import Hub
from teleclaude.web.push.mirror import ChangesMissingError, Mirror
from tests import make
from tests.replication.connection import Follower, Served
from tests.sync.fleet.owner import Owner

HERE = "a"
LOG_SIZE = 3
Rows = dict[str, int]  # session's key: stamp


def session(key: str, stamp: int) -> Session:
    """The row of a key."""
    return make.session(make.session_id(key), HERE, title=f"{key} {stamp}")


def rows_of(records: Iterable[Record]) -> Rows:
    """Stamps by key."""
    titles = [record.title.split() for record in records if isinstance(record, Session)]
    return {key: int(stamp) for key, stamp in titles}


class Hop(ABC):
    """A source, a reader, and what is `under_way`, oldest first."""

    is_exact = True  # whether what is shown is always all that the source had at some time

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.under_way: list[Any] = []
        self._stamps = itertools.count(1)

    # The source.

    def put(self, key: str) -> None:
        """Have a row, new or other than before."""
        self.rows = {**self.rows, key: next(self._stamps)}
        self.changed([key], [])

    def remove(self, key: str) -> None:
        """Have it no more."""
        if key in self.rows:
            self.rows = {other: stamp for other, stamp in self.rows.items() if other != key}
            self.changed([], [make.session_id(key)])

    def sessions(self) -> list[Record]:
        """All rows as they are now."""
        return [session(key, stamp) for key, stamp in self.rows.items()]

    @abstractmethod
    def changed(self, puts: list[str], removes: list[str]) -> None:
        """Tell a change of the rows: keys that are put, and ids of those that are gone."""

    @abstractmethod
    def restart(self) -> None:
        """Begin another life of the source, with the rows that it has."""

    # The way between.

    def deliver(self, count: int = 1) -> None:
        """Let the oldest arrive."""
        for _ in range(min(count, len(self.under_way))):
            if self.under_way:  # a connection that is opened anew has nothing of the old one
                self.receive(self.under_way.pop(0))

    def lose(self, place: int) -> None:
        """Lose one thing."""
        if self.under_way:
            self.under_way.pop(place % len(self.under_way))

    def repeat(self, place: int) -> None:
        """Have one thing arrive again, last."""
        if self.under_way:
            self.under_way.append(self.under_way[place % len(self.under_way)])

    def delay(self, place: int) -> None:
        """Have one thing arrive last."""
        if self.under_way:
            self.under_way.append(self.under_way.pop(place % len(self.under_way)))

    # The reader.

    @abstractmethod
    def receive(self, something: Any) -> None:
        """Have the reader take what arrives."""

    @abstractmethod
    def shown(self) -> Rows:
        """What the reader has."""

    @abstractmethod
    def heal(self) -> None:
        """Have nothing go wrong any more, until nothing is under way."""


class CacheToWeb(Hop):
    """The cache's feed, in bytes, to its reader in the web process, the hub and its mirror."""

    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub("1")
        self.hub.computer = HERE
        self._reader = Feed(Path("/nowhere"), self.hub, lambda: self.hub.mirror.version)
        self._stalled = 0
        self.restart()

    def restart(self) -> None:
        self._core = CacheCore(DaemonCache(HERE, log_size=LOG_SIZE))
        self._core.write([*wire.put([make.computer(HERE)]), wire.replace("sessions", HERE, self.sessions())])
        self._core.write([wire.Filled()])
        self._connect()

    def _connect(self) -> None:
        """Have a new connection, on which nothing of an earlier one comes."""
        self.under_way.clear()
        self._subscriber = self._core.subscribe()
        self._send()

    def _send(self) -> None:
        """Have the feed's thread write what there is, unless it waits: then more comes together."""
        self._stalled -= 1
        if self._stalled > 0:
            return
        self.under_way += [wire.encode(frame) for frame in self._core.next_frames(self._subscriber, 0.0)]

    def changed(self, puts: list[str], removes: list[str]) -> None:
        removed: list[wire.Op] = [wire.Remove("sessions", HERE, removes)] if removes else []
        self._core.write([*removed, *wire.put([session(key, self.rows[key]) for key in puts])])
        self._send()

    def delay(self, place: int) -> None:
        super().delay(place)
        self._stalled = place

    def receive(self, something: Any) -> None:
        try:
            self._reader._receive(wire.decode_frame(something))
        except ChangesMissingError:  # `Feed.run` opens the feed anew
            self._connect()

    def heal(self) -> None:
        self._stalled = 0
        self.put("last")  # on this hop a frame cannot be lost but with its connection; the next one tells
        while self.under_way:
            self.deliver()

    def shown(self) -> Rows:
        bodies = self.hub.mirror.bodies("sessions", EVERYWHERE)
        return rows_of(msgspec.json.decode(body, type=Session) for body in bodies)


class OwnerToOthers(Hop):
    """This computer's own records, its pushes and answers, to another computer's replicas."""

    def __init__(self) -> None:
        super().__init__()
        self._owner = Owner(HERE)
        self._replicas = Replicas()
        self._now = 1000.0
        self._replicas.want(HERE, ["sessions"])

    def restart(self) -> None:
        self._owner.restart()

    def changed(self, puts: list[str], removes: list[str]) -> None:
        self._owner.own.update("sessions", self.sessions())
        self._owner.push()
        self._pass_on()

    def _pass_on(self) -> None:
        self.under_way += self._owner.inbox
        self._owner.inbox.clear()

    def receive(self, something: Any) -> None:
        self._owner.inbox = [something]
        self._owner.deliver(self._take)
        self._ask(0.0)

    def _take(self, owner: str, epoch: str, message: Any) -> None:
        if isinstance(message, tuple):
            request, parts = message
            self._replicas.land(owner, epoch, request, parts, self._now, 0.0)
        else:
            self._replicas.apply(owner, epoch, message, 0.0)

    def _ask(self, seconds: float) -> None:
        self._now += seconds
        for needed in self._replicas.due([HERE], self._now):
            self._owner.answer(needed)
        self._pass_on()

    def heal(self) -> None:
        own = self._owner.own
        for _ in range(4):
            self._replicas.heads(HERE, own.epoch, own.heads(), self._now, ordered=False)
            self._ask(60.0)
            self.deliver(len(self.under_way))

    def shown(self) -> Rows:
        return rows_of(self._replicas.rows(HERE, "sessions").values())


class WebToClient(Hop):
    """A hub's frames to a client's reader and model. A frame is lost with its connection, and the client comes back."""

    is_exact = False  # of what answers a resume one event arrives after the other

    def __init__(self) -> None:
        super().__init__()
        self.served = Served(HERE, mirror=Mirror(LOG_SIZE))
        self._follower = Follower(self.served, (HERE, "sessions"))
        self._is_fed = True

    def restart(self) -> None:
        cache = self.served.cache = DaemonCache(HERE)
        cache.put([make.computer(HERE)])
        cache.replace("sessions", HERE, self.sessions())
        self.served.show_snapshot()

    def changed(self, puts: list[str], removes: list[str]) -> None:
        records = [session(key, self.rows[key]) for key in puts]
        if self._is_fed:
            self.served.write(lambda: self.served.cache.put(records), lambda: self._remove(removes))
        else:
            self.served.cache.put(records)
            self._remove(removes)

    def _remove(self, removes: list[str]) -> None:
        self.served.cache.remove("sessions", HERE, removes)

    def deliver(self, count: int = 1) -> None:
        if not self._is_fed:
            self.served.show_snapshot()
            self._is_fed = True
        if not self._follower.is_connected:
            self._follower.connect()
        self._follower.read(count)

    def lose(self, place: int) -> None:
        self._follower.lose()

    def repeat(self, place: int) -> None:
        """Have the hub lose its feed; it comes back with a snapshot."""
        self._is_fed = False

    def delay(self, place: int) -> None:
        """Have something else change, and be told right behind the hello of a new connection."""
        if self._is_fed:
            self._follower.connect()
            self.served.write(lambda: self.served.cache.put([make.computer("b", last_seen=str(next(self._stamps)))]))
            self.served.write(lambda: self.served.cache.forget("b"))
            self._follower.read(5)

    def receive(self, something: Any) -> None:
        raise NotImplementedError

    def heal(self) -> None:
        self.deliver()
        self._follower.read_all()
        assert self._follower.differences() == []

    def shown(self) -> Rows:
        machine = self._follower.model.machines.get(HERE)
        return rows_of(machine.sessions.values()) if machine else {}


class ClientModel(Hop):
    """A client's model alone, told what is lost, repeated and late; it is whole again with the next snapshot."""

    is_exact = False  # that something was lost is not its to notice, but the connection's

    def __init__(self) -> None:
        super().__init__()
        self._model = Model()
        self._epoch, self._number = 0, 0
        self.restart()

    def _snapshot(self) -> Message:
        at = {"epoch": str(self._epoch), "version": self._number}
        return Replaced(**at, kind="sessions", computer=HERE, records=self.sessions())  # type: ignore[arg-type]

    def restart(self) -> None:
        self._epoch, self._number = self._epoch + 1, 0
        hello = Connected(epoch=str(self._epoch), version=0, computer=HERE)
        self.under_way = []
        self._model = fold(self._model, [hello, self._snapshot()])

    def changed(self, puts: list[str], removes: list[str]) -> None:
        self._number += 1
        at = {"epoch": str(self._epoch), "version": self._number}
        records = [session(key, self.rows[key]) for key in puts]
        self.under_way.append(
            Changed(**at, kind="sessions", computer=HERE, puts=records, removes=removes)  # type: ignore[arg-type]
        )

    def receive(self, something: Any) -> None:
        self._model = fold(self._model, [something])

    def heal(self) -> None:
        self.deliver(len(self.under_way))
        self.receive(self._snapshot())

    def shown(self) -> Rows:
        return rows_of(self._model.machines[HERE].sessions.values())


class AllTheWay(CacheToWeb):
    """From the cache to the client's model; each hop has its own way between, and both are spoilt."""

    is_exact = False

    def __init__(self) -> None:
        super().__init__()
        self._served = Served(HERE, hub=self.hub)
        self._follower = Follower(self._served, (HERE, "sessions"))
        self._follower.connect()

    def deliver(self, count: int = 1) -> None:
        super().deliver(count)
        if not self._follower.is_connected:
            self._follower.connect()
        self._follower.read(count)

    def lose(self, place: int) -> None:
        super().lose(place)
        self._follower.lose()

    def heal(self) -> None:
        super().heal()
        self._follower.read_all()

    def shown(self) -> Rows:
        machine = self._follower.model.machines.get(HERE)
        return rows_of(machine.sessions.values()) if machine else {}


HOPS: list[type[Hop]] = [CacheToWeb, OwnerToOthers, WebToClient, ClientModel, AllTheWay]
