"""The last two hops as the product has them: cache, hub, frames, a client's position and model; the line is the test's.

The line holds what was sent and not yet read, so that a test may read half of it, or lose it with the connection.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Hashable, Iterable

from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.cache.wire import SnapshotFrame
from teleclaude.client.events import Connected, Message, read_frame
from teleclaude.client.followed import Followed, subscriptions
from teleclaude.client.model import Model, fold
from teleclaude.core.records import Computer, Scope, key_of
from teleclaude.web.push.hub import Client, Hub
from teleclaude.web.push.mirror import Mirror
from teleclaude.web.push.subscriptions import Resume, added, parse, removed, selections

_names = map(str, itertools.count())


class Served:
    """A cache, and the hub that follows it."""

    def __init__(self, local: str = "a", *, hub: Hub | None = None, mirror: Mirror | None = None) -> None:
        """With a `hub`, that one is followed, and somebody else feeds it."""
        self.cache = DaemonCache(local)
        self.hub = hub or Hub("1")
        self.hub.mirror = mirror or self.hub.mirror
        if hub is None:
            self.hub.computer = local
            self.cache.put([Computer(name=local, is_local=True)])
            self.show_snapshot()

    def show_snapshot(self) -> None:
        """Give the hub a snapshot, as after a lost feed."""
        self.hub.receive_snapshot(SnapshotFrame(self.cache.version, list(self.cache.sections())))
        while self.hub.bring_in_step():
            pass

    def write(self, *writes: Callable[[], object]) -> None:
        """Write to the cache, and give the hub the changes as one turn."""
        before = self.cache.version
        for each in writes:
            each()
        self.hub.receive_changes(self.cache.version.epoch, self.cache.since(before) or [])


class Line:
    """One connection: frames that the client has not read yet."""

    def __init__(self) -> None:
        self.unread = b""
        self.sending: list[Callable[[bytes], int]] = [self._send]

    def _send(self, data: bytes) -> int:
        self.unread += data
        return len(data)

    def not_sent(self, data: bytes, error: OSError) -> None:
        """Never happens: it takes everything."""
        raise error

    def sent_partly(self, data: bytes, size: int) -> None:
        """Never happens."""
        raise AssertionError(f"{size} of {data!r}")

    def push(self, data: bytes) -> None:
        """Take frames."""
        self.unread += data

    push_state = push

    def push_newest(self, place: Hashable, make: Callable[[], bytes]) -> None:
        """Take a screen."""
        self.unread += make()

    def forget_newest(self, place: Hashable) -> None:
        """Nothing waits."""

    def restart(self) -> None:
        """Drop nothing: what was sent is on its way."""

    def read(self, most: int | None = None) -> list[bytes]:
        """Take frames, at most `most`."""
        found: list[bytes] = []
        while self.unread and (most is None or len(found) < most):
            size, start = self.unread[1], 2
            if size >= 126:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self.unread[2:start], "big")
            found.append(self.unread[start : start + size])
            self.unread = self.unread[start + size :]
        return found


class Follower:
    """A client that is connected, again and again; like the reader, it says its opening behind the hello."""

    def __init__(self, served: Served, *wanted: Scope) -> None:
        self._served = served
        self._followed = Followed()
        self._subscribed: frozenset[Scope] | None = None
        self._client: Client | None = None
        self.line = Line()
        self.model = Model()
        self.wanted = frozenset(wanted)

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection."""
        return self._client is not None

    def connect(self) -> None:
        """Lose the connection with all that was not read, and open another one."""
        self.lose()
        self.line = Line()
        self._client = Client(next(_names), self.line)
        self._served.hub.join(self._client)

    def lose(self) -> None:
        """Lose the connection."""
        if self._client is not None:
            self._served.hub.leave(self._client)
        self._client, self._subscribed = None, None
        self.line = Line()

    def read(self, most: int | None = None) -> None:
        """Read at most `most` frames, then say what is to be said."""
        messages: list[Message] = []
        for frame in self.line.read(most):
            for message in read_frame(frame, self._followed.epoch):
                self._followed.receive(message)
                messages.append(message)
        if self._subscribed is None and any(isinstance(m, Connected) for m in messages):
            self._say(self._followed.opening_to_send(self.wanted))
            self._subscribed = self.wanted
        self.model = fold(self.model, messages)

    def want(self, *wanted: Scope) -> None:
        """Follow these from now on."""
        self.wanted = frozenset(wanted)
        if self._subscribed is not None:
            gone, new = self._subscribed - self.wanted, self.wanted - self._subscribed
            self._followed.forget(gone)
            self._say(subscriptions("unsubscribe", gone) + subscriptions("subscribe", new))
            self._subscribed = self.wanted

    def read_all(self) -> None:
        """Read until nothing comes any more."""
        while self.line.unread:
            self.read()

    def _say(self, messages: Iterable[object]) -> None:
        client, hub = self._client, self._served.hub
        assert client is not None
        for message in messages:
            said = parse(json.dumps(message))
            asked = selections(said.subscribe)
            hub.choose(client, added(removed(client.interest, selections(said.unsubscribe)), asked))
            if isinstance(said.resume, Resume):
                hub.resume(client, said.resume.at)
            else:
                hub.show(client, asked)

    def differences(self) -> list[str]:
        """Where what it shows is not what the cache has; empty when all is well."""
        cache, found = self._served.cache, []
        names = {key for section in cache.sections() if section.kind == "computers" for key, _ in section.items}
        if {machine.name for machine in self.model.shown} != names:
            found.append(f"computers {sorted(m.name for m in self.model.shown)}, not {sorted(names)}")
        for computer, kind in sorted(self.wanted):
            here = dict(getattr(self.model.machines[computer], kind)) if computer in self.model.machines else {}
            there = {key_of(record): record for record in cache.records(kind, computer)}
            if here != there:
                found.append(f"{kind} of {computer} {sorted(here)}, not {sorted(there)}")
        return found
