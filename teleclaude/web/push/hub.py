"""The clients on /ws and what each is told: a state at a version, then every later change in order.

Rules of this module:
- A client is in step with the mirror, or waits to be given its state anew; in between it is told nothing.
- An event is encoded once. Clients that look at the same get the same bytes, in one write for all events of a turn.
- Before the first snapshot nobody knows what there is: a client is told that, and never that there is nothing.
- Versions never go backwards on a connection, but with a new epoch, which a new `hello` tells.
- Nothing here waits: pushing to a client that does not read costs the same as to one that does.

It knows no sockets and no gevent; a client's outbox is whatever takes bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from teleclaude.cache.wire import RowChange, SnapshotFrame
from teleclaude.core.records import EVERYWHERE, Kind, Scope
from teleclaude.replication.version import NOTHING, Version
from teleclaude.web.push import frames
from teleclaude.web.push.audience import Audience, Box
from teleclaude.web.push.mirror import ChangedKey, Mirror
from teleclaude.web.push.subscriptions import Selection, selections_of
from teleclaude.web.push.watches import Watches

CHANGES_A_TURN = 64  # so that telling many clients of many changes never takes long at one go


class Client:
    """One connection: what it looks at. `epoch` is what its last hello said, None before.

    `snapshot` is the number of the mirror's snapshot from which its state is; -1 before it has one.
    """

    def __init__(self, name: str, box: Box) -> None:
        self.name = name
        self.box = box
        self.interest: frozenset[Scope] = frozenset()
        self.epoch: str | None = None
        self.snapshot = -1

    def take_state(self, epoch: str, snapshot: int) -> bool:
        """Take note that it is given its state anew. True when it is to be told of another epoch."""
        is_other, self.epoch = epoch != self.epoch, epoch
        self.snapshot = snapshot
        return is_other


class Hub:
    """All clients. `on_interest` is called with a client whose interest changed, or that left; `on_watched` when other
    sessions are watched.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self.computer = ""
        self.mirror = Mirror()
        self.clients: dict[str, Client] = {}
        self.watches = Watches(lambda: self.mirror.version.number, self._watched)
        self.on_interest: Callable[[Client], None] = lambda _: None
        self.on_watched: Callable[[], None] = lambda: None
        self.events = 0
        self._health = frames.encode({"stale": True, "reason": "starting", "workers": {}})
        self._audiences: dict[frozenset[Scope], Audience] = {}  # of those who are in step, by what they look at
        self._initials: dict[tuple[str, tuple[Kind, ...]], bytes] = {}
        self._initials_at = NOTHING

    # From the feed.

    def receive_snapshot(self, snapshot: SnapshotFrame) -> None:
        """Take a snapshot: nobody is in step any more, until `bring_in_step` was called and is done."""
        if self.mirror.replace(snapshot):
            self._audiences.clear()

    def receive_changes(self, epoch: str, changes: list[RowChange]) -> None:
        """Take at most `CHANGES_A_TURN` changes, and tell them. Raises ChangesMissingError for a gap."""
        self._tell(self.mirror.apply(epoch, changes))

    def bring_in_step(self, most: int = 50) -> bool:
        """Give clients that are not in step their state anew, at most `most`; True when some are left."""
        late = [client for client in self.clients.values() if not self._is_in_step(client)]
        for client in late[:most]:
            self.start_over(client)
        return len(late) > most

    def set_health(self, health: dict[str, Any]) -> None:
        """Tell everybody how the daemon is; said again to each who comes."""
        self._health = frames.encode(health)
        frame = frames.event("health", self.mirror.version.number, self._health)
        for client in self.clients.values():
            if self._is_in_step(client):
                client.box.push(frame)

    # From clients.

    def join(self, client: Client) -> None:
        """Take a client, and give it what everybody gets."""
        self.clients[client.name] = client
        self.start_over(client)

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self.clients.pop(client.name, None)
        self.watches.leave(client.name)
        self._set_interest(client, frozenset())
        self._leave_audience(client)

    def start_over(self, client: Client) -> None:
        """Give a client all its state anew: its first, one of a new epoch, or one for all that it missed."""
        client.box.restart()
        is_new_epoch = client.take_state(self.mirror.version.epoch, self.mirror.snapshots)
        state = [frames.event("health", self.mirror.version.number, self._health)]
        if self.mirror.version.epoch:
            state.insert(0, self._initial("*", ("computers",)))
            state += [self._initial(s.computer, tuple(s.types)) for s in selections_of(client.interest)]
        if is_new_epoch:
            data = {"epoch": self.mirror.version.epoch, "computer": self.computer, "server": self._server}
            state.insert(0, frames.event_of("hello", self.mirror.version.number, data))
        client.box.push_state(b"".join(state))
        self.watches.show_again(client.name, client.box)
        self._join_audience(client)

    def choose(self, client: Client, interest: frozenset[Scope]) -> None:
        """Change what a client looks at."""
        self._keep_in_step(client)
        self._set_interest(client, interest)

    def show(self, client: Client, chosen: Iterable[Selection]) -> None:
        """Give a client the initial state of what it chose."""
        self._keep_in_step(client)
        for selection in chosen if self.mirror.version.epoch else ():  # else it comes with the first snapshot
            client.box.push_state(self._initial(selection.computer, tuple(sorted(selection.types))))

    def resume(self, client: Client, version: Version) -> None:
        """Give a client that comes back from `version` what changed since, or its state; then say which."""
        self._keep_in_step(client)
        changed = self.mirror.since(version)
        if changed is None:
            self.show(client, selections_of(client.interest))
        else:
            rest = [each for each in changed if each.key.kind != "computers"]  # these it has with its first state
            client.box.push_state(b"".join(_for_interest(client.interest, self._events(rest))))
        data = {"complete": changed is not None}
        client.box.push_state(frames.event_of("resumed", self.mirror.version.number, data))

    def say(self, client: Client, name: str, data: dict[str, Any]) -> None:
        """Send an event to one client."""
        client.box.push(frames.event_of(name, self.mirror.version.number, data))

    # Parts.

    def _watched(self) -> None:
        self.on_watched()

    def _is_in_step(self, client: Client) -> bool:
        return client.snapshot == self.mirror.snapshots

    def _keep_in_step(self, client: Client) -> None:
        if not self._is_in_step(client):
            self.start_over(client)

    def _set_interest(self, client: Client, interest: frozenset[Scope]) -> None:
        if interest == client.interest:
            return
        self._leave_audience(client)
        client.interest = interest
        if client.name in self.clients:
            self._join_audience(client)
        self.on_interest(client)

    def _join_audience(self, client: Client) -> None:
        self._audiences.setdefault(client.interest, Audience()).join(client.name, client.box)

    def _leave_audience(self, client: Client) -> None:
        audience = self._audiences.get(client.interest, Audience())
        audience.leave(client.name)
        if not audience:
            self._audiences.pop(client.interest, None)

    def _initial(self, computer: str, kinds: tuple[Kind, ...]) -> bytes:
        """Give initial frames, made once for each version."""
        version = self.mirror.version
        if version != self._initials_at:
            self._initials.clear()
            self._initials_at = version
        found = self._initials.get((computer, kinds))
        if found is None:
            found = b"".join(self.mirror.initial(computer, kinds))
            if computer == EVERYWHERE or len(self._initials) < 64:  # noqa: PLR2004  (clients name whom they like)
                self._initials[computer, kinds] = found
        return found

    def _events(self, changed: list[ChangedKey]) -> list[tuple[Scope, bytes]]:
        return [((each.key.computer, each.key.kind), self.mirror.event(each)) for each in changed]

    def _tell(self, changed: list[ChangedKey]) -> None:
        events = self._events(changed)
        self.events += len(events)
        for interest, audience in self._audiences.items():
            data = b"".join(_for_interest(interest, events))
            if data:
                audience.push(data)


def _for_interest(interest: frozenset[Scope], events: list[tuple[Scope, bytes]]) -> list[bytes]:
    """Choose the frames for those who look at `interest`. Computers are for everybody."""
    return [
        frame
        for scope, frame in events
        if scope[1] == "computers" or scope in interest or (EVERYWHERE, scope[1]) in interest
    ]
