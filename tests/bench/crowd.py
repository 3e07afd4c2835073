"""Many simulated computers against one real daemon: sealed heartbeats, snapshots on request, events at a rate.

`python -m tests.bench.crowd REDIS_URL KEY_HEX PREFIX COMPUTERS SESSIONS` runs until its standard input ends. A line
there is a number of events per second; every event's title tells when it was sent (time.monotonic()).
"""

from __future__ import annotations

import select
import sys
import time
from itertools import cycle
from typing import Any

import msgspec
import redis

from teleclaude.cache import wire
from teleclaude.core.records import Computer, Kind, Session, key_of
from teleclaude.core.request_wire import OutputFrame
from teleclaude.core.requests import Outcome
from teleclaude.core.settings import parse
from teleclaude.sync.fleet.membership.peers import Peers
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.node_effects import ToRedis
from teleclaude.sync.fleet.own_view import OwnView
from teleclaude.sync.fleet.redis.redis_keys import GROUP, HEARTBEAT_TTL, KeyNames
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.fleet.wire.messages import ChangeEvent, Heartbeat, Pull, PullAnswer, PullPart, rows_of
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, Dropped, Seal
from teleclaude.sync.own_records import OWN_KINDS, OwnRecords
from tests.bench import sample

BEAT_EVERY = 20.0  # seconds
TICK = 0.02  # seconds between two batches of events


class _Nobody:
    """Takes what a real daemon would write, and needs none of it."""

    def submit(self, ops: list[wire.Op]) -> None:
        """Drop writes."""

    def finish(self, outcome: Outcome) -> None:
        """Drop an outcome."""

    def emit(self, screen: OutputFrame) -> None:
        """Drop a screen."""


class Simulated:
    """One computer that is not there, in the words of one that is."""

    def __init__(self, name: str, key: bytes, prefix: str, sessions: int) -> None:
        nobody = _Nobody()
        self.own = OwnRecords(name, nobody.submit)
        me = Computer(name=name, epoch=self.own.epoch)
        self.own.update_computer(me)
        self.sessions = [sample.session(number, owner=name) for number in range(sessions)]
        self.own.update("sessions", self.sessions)
        self.own.filled()
        seal = Seal(name, self.own.epoch, int(time.time()), [key])
        self.context = Context(OwnView(name, self.own.epoch, me), KeyNames(prefix), seal, parse(""))
        self.context.is_connected = True  # what it writes is sent
        self.peers = Peers(name)
        self.wants: dict[str, list[Kind]] = {}
        self._beat = 0
        self._seq = self.own.heads()["sessions"]
        self._last = "0-0"

    def beat(self) -> None:
        """Write the heartbeat."""
        self._beat += 1
        self.context.now, self.context.wall = clock(), time.time()
        me = self.own.me
        assert me is not None
        heads: dict[Kind, int] = {**self.own.heads(), "sessions": self._seq}
        body = Heartbeat(beat=self._beat, home=f"home-{me.name}", heads=heads, info=me, interested_in=self.wants)
        key = self.context.keys.heartbeat(me.name)
        self.context.write("SET", key, self.context.seal.seal(EVERYBODY, body), "EX", HEARTBEAT_TTL)
        self.context.write("ZADD", self.context.keys.computers, int(time.time()), me.name)

    def event(self, number: int, to: str) -> None:
        """Push one changed session to a reader."""
        at = number % len(self.sessions)
        self.context.now, self.context.wall = clock(), time.time()
        record: Session = msgspec.structs.replace(self.sessions[at], title=f"sent {time.monotonic():.6f}")
        self.sessions[at] = record
        self._seq += 1
        event = ChangeEvent(kind="sessions", seq=self._seq, after=self._seq - 1, rows=rows_of([record]))
        self.context.push(to, event)

    def answer(self, blob: bytes) -> None:
        """Answer a pull; other requests are left alone."""
        self.context.now, self.context.wall = clock(), time.time()
        try:
            envelope, body = self.context.seal.open(blob)
        except Dropped:
            return
        if isinstance(body, Pull):
            parts = [self._part(kind) for kind in body.kinds if kind in OWN_KINDS]
            snapshot = PullAnswer(request=envelope.id, parts=parts)
            self.context.answer(envelope.sender, envelope.id, snapshot)

    def look_at(self, owner: str, heartbeat: bytes) -> None:
        """Ask `owner`, whose heartbeat that is, for its sessions, and to be pushed what changes."""
        envelope, beat = self.context.seal.open(heartbeat)
        assert isinstance(beat, Heartbeat)
        now = self.context.now = clock()
        self.peers.receive(envelope, beat, now, "")
        peer = self.peers.all[owner]
        peer.clock.sample(envelope.clock, now)
        fresh = peer.fresh(now)
        self.context.request(owner, Pull(fresh=fresh, kinds=["sessions"], interest=["sessions"], beat=self._beat))

    def _part(self, kind: Kind) -> PullPart:
        if kind == "sessions":
            return PullPart(kind, self._seq, False, rows_of({key_of(s): s for s in self.sessions}.values()))
        return PullPart(kind, self.own.heads()[kind], False, rows_of([]))


class Crowd:
    """All of them, on one connection."""

    def __init__(self, url: str, key: bytes, prefix: str, computers: int, sessions: int) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=60)
        self.members = [Simulated(f"sim{number:03}", key, prefix, sessions) for number in range(computers)]
        self._by_stream = {m.context.keys.messages(m.own.computer).encode(): m for m in self.members}
        self._positions: dict[Any, Any] = dict.fromkeys(self._by_stream, "0-0")
        with self._redis.pipeline(transaction=False) as pipeline:
            for stream in self._by_stream:  # a request is sent to who has made its stream
                pipeline.xgroup_create(stream, GROUP, "0", mkstream=True)
            pipeline.execute(raise_on_error=False)
        self._round = cycle(self.members)
        self._sent = 0

    def beat(self) -> None:
        """Write every heartbeat."""
        for member in self.members:
            member.beat()
        self.flush()

    def serve(self) -> None:
        """Answer the requests that came."""
        found: Any = self._redis.xread(self._positions, count=500)
        for stream, entries in found or []:
            for position, fields in entries:
                self._positions[stream] = position
                if b"m" in fields:
                    self._by_stream[stream].answer(fields[b"m"])
        self.flush()

    def push(self, count: int, to: str) -> None:
        """Push that many events, one computer after the other."""
        for _ in range(count):
            next(self._round).event(self._sent // len(self.members), to)
            self._sent += 1
        self.flush()

    def look_at(self, owner: str) -> None:
        """Let every member look at a real computer's sessions."""
        keys = self.members[0].context.keys
        heartbeat: Any = self._redis.get(keys.heartbeat(owner))
        for member in self.members:
            member.wants = {owner: ["sessions"]}
            member.beat()
            member.look_at(owner, heartbeat)
        self.flush()

    def inboxes(self) -> list[int]:
        """Length of each member's inbox."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for member in self.members:
                pipeline.xlen(member.context.keys.inbox(member.own.computer))
            return list(pipeline.execute())

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def flush(self) -> None:
        """Send all that waits as one pipeline."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for member in self.members:
                for effect in member.context.take_effects():
                    assert isinstance(effect, ToRedis)
                    pipeline.execute_command(*effect.command)  # type: ignore[no-untyped-call]  # redis-py leaves it so
            if len(pipeline):
                pipeline.execute()


def main() -> None:
    """Run until standard input ends."""
    url, key, prefix, computers, sessions, to = sys.argv[1:7]
    crowd = Crowd(url, bytes.fromhex(key), prefix, int(computers), int(sessions))
    rate, owed, beat_at, last = 0.0, 0.0, 0.0, time.monotonic()
    while True:
        now = time.monotonic()
        if now >= beat_at:
            crowd.beat()
            beat_at = now + BEAT_EVERY
        crowd.serve()
        owed, last = owed + rate * (now - last), now
        crowd.push(int(owed), to)
        owed -= int(owed)
        if select.select([sys.stdin], [], [], TICK)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            rate, owed = float(line), 0.0


if __name__ == "__main__":
    main()
