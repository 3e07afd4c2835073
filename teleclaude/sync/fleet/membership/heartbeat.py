"""Beats: this computer's, written; the others', read. Who is there, without SCAN or KEYS. Pure.

At rest, with nobody looking anywhere, this is all that goes on: a beat every 20 s, a look at the others every 45 s,
this computer's name entered anew once in a round, and in the middle between, one blocked read of the messages begun
anew (redis/stream_readers.py): at most six commands in any minute.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping

import msgspec

from teleclaude.core.records import utc_text
from teleclaude.core.settings import is_name
from teleclaude.sync.fleet.membership.peers import Freshness, Peer, Peers
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.node_effects import BeatAge, BeatsRead, BeatWritten, NameEntered, NamesRead
from teleclaude.sync.fleet.node_events import Answer, Refusal
from teleclaude.sync.fleet.redis.redis_keys import HEARTBEAT_TTL, ROUND
from teleclaude.sync.fleet.wire.messages import Envelope, Goodbye, Heartbeat, Hello
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, Dropped

log = logging.getLogger(__name__)

BEAT_EVERY = 20.0  # seconds
BEAT_SPACING = 0.2  # seconds between beats, however often the interest changes
LOOK_EVERY = 45.0  # seconds between looks at the others: with nobody looking anywhere
LOOK_WATCHED = 20.0  # when others look at this computer
LOOK_CLIENTS = 15.0  # when clients here look at anything
LOOK_ANXIOUS = 1.0  # when something that clients look at is offline, or just came back
ANXIOUS_AT_FIRST = 15.0  # seconds after connecting for which the looks are that close
ENTER_BUSY = 60.0  # seconds between entries of the name while anybody looks; else it is once in a ROUND
DISCOVER_BUSY = 60.0  # seconds between looks at the set of names while clients here look at anything
DISCOVER_EVERY = 6 * 3600.0
PRUNE_AFTER = 12 * 3600.0  # seconds after its last entry until the name of a computer that does not beat is dropped
NAMES_LIMIT = 2000
CLUSTER_AT_REST = 2  # in a cluster each look is one command a computer: at rest, look at no more than these

Heard = tuple[Peer, Freshness]


class Heartbeats:
    """Beats out and in. What is read gives the computers of which there is something new to hear."""

    def __init__(self, context: Context, peers: Peers, home: str, *, is_cluster: bool) -> None:
        self._context = context
        self._peers = peers
        self._home = home
        self._is_cluster = is_cluster
        self.beat = 0
        self._anxious_until = 0.0
        self._last_blob = b""
        self._seen_blobs: dict[str, bytes] = {}  # a digest of the last beat of each name
        self._timed: set[str] = set()  # names whose beat was read on this connection, and its age asked for
        self._names: set[str] = set()
        self._beat_at = self._look_at = self._enter_at = self._discover_at = 0.0
        self._last_beat = self._discovered = 0.0
        self._has_entered = False  # on this connection
        self._greets_all = True  # the first look is followed by a greeting to all who are there
        self._greets_new = False  # and one after the set of names was lost, to those who were not known
        self._greets_lookers = False  # and one on each new connection, to those who look at this computer
        self._new_here_until = 0.0
        self._is_bare = False
        self.last_key = 0.0  # of the user here; 0 for never

    # Out.

    def connected(self, found: bytes = b"") -> None:
        """The connection is new: beat, enter the name, and look, at once. `found`: the beat that is to be replaced."""
        self._beat_at = self._look_at = self._enter_at = self._discover_at = 0.0
        self._last_blob = found
        self._has_entered = False
        self._greets_lookers = True
        self._new_here_until = self._context.now + ANXIOUS_AT_FIRST
        self._timed.clear()
        self.look_closely(ANXIOUS_AT_FIRST)

    @property
    def is_new_here(self) -> bool:
        """Whether this computer came, or came back, a moment ago."""
        return self._context.now < self._new_here_until

    def look_closely(self, seconds: float) -> None:
        """Look often for so long: somebody went, or may come back."""
        self._anxious_until = self._context.now + seconds

    def soon(self) -> None:
        """Beat as soon as may be: the interest changed."""
        self._beat_at = min(self._beat_at, self._last_beat + BEAT_SPACING)

    def look_soon(self) -> None:
        """Look at the others now."""
        self._look_at = 0.0

    def discover_soon(self) -> None:
        """Enter the name and look at who there is, now."""
        self._enter_at = self._discover_at = 0.0

    def due(self, *, clients: bool, watched: bool) -> float:
        """Send what is due; give the time when the next is."""
        now = self._context.now
        if self._is_bare and self._context.own.me is not None:
            self.soon()
        if now >= self._beat_at:
            self._write_beat()
        if now >= self._enter_at:
            self._enter(is_busy=clients or watched)
        if clients:
            self._discover_at = min(self._discover_at, self._discovered + DISCOVER_BUSY)
        is_alone = not self._names and now >= self._look_at
        if now >= self._discover_at or is_alone:
            self._discover()
        elif now >= self._look_at and not self._is_too_much(watched):
            self._look()
        next_look = now + self._pace(clients=clients, watched=watched)
        self._look_at = next_look if now >= self._look_at else min(self._look_at, next_look)
        return min(self._beat_at, self._look_at, self._enter_at, self._discover_at)

    def _pace(self, *, clients: bool, watched: bool) -> float:
        if clients:
            return LOOK_ANXIOUS if self._context.now < self._anxious_until else LOOK_CLIENTS
        return LOOK_WATCHED if watched else LOOK_EVERY

    def _is_too_much(self, watched: bool) -> bool:
        return self._is_cluster and not watched and len(self._names) > CLUSTER_AT_REST

    def heartbeat(self) -> Heartbeat:
        """Make the beat of now."""
        own = self._context.own
        self._is_bare = own.me is None  # not looked at itself yet
        info = own.about_me()  # others may attach as soon as they see it
        # Who reads this knows that we reach Redis; what we thought before we did would only confuse.
        info = msgspec.structs.replace(info, services=tuple(s for s in info.services if s.name != "redis"))
        others = {name: kinds for name, kinds in self._context.interest.items() if name != self._context.me}
        return Heartbeat(
            beat=self.beat,
            home=self._home,
            heads=own.heads(),
            interested_in=others,
            info=info,
            last_key=self.last_key,
        )

    def _write_beat(self) -> None:
        context = self._context
        self.beat += 1
        self._beat_at, self._last_beat = context.now + BEAT_EVERY, context.now
        blob = context.sealed(EVERYBODY, self.heartbeat())
        before, self._last_blob = self._last_blob, blob
        # GET tells what was there: nothing (somebody emptied Redis), or another's beat (somebody has this name too).
        key = context.keys.heartbeat(context.me)
        context.write("SET", key, blob, "EX", HEARTBEAT_TTL, "GET", about=BeatWritten(before))

    def _enter(self, *, is_busy: bool) -> None:
        context = self._context
        at_rest = (ROUND / 2 - context.now) % ROUND  # seconds until the middle of a round
        self._enter_at = context.now + (ENTER_BUSY if is_busy else at_rest if at_rest > 1.0 else at_rest + ROUND)
        context.write("ZADD", context.keys.computers, int(context.wall), context.me, about=NameEntered())

    def entered(self, answer: Answer) -> None:
        """Take what became of the entry of the name: when it was not there any more, the set of names was lost."""
        if answer == 1 and self._has_entered:
            log.info("the set of names in Redis was lost: looking who is there")
            self._greets_new = True
            self._discover_at = 0.0
        self._has_entered = True

    def farewell(self, *, left: bool) -> None:
        """Tell others that this computer ends in order (`left`: for good), and give the name back."""
        context = self._context
        context.write("ZREM", context.keys.computers, context.me)
        for peer in self._peers.all.values():
            if peer.online:
                context.request(peer.name, Goodbye(left=left))
        keys = context.keys
        for key in (keys.heartbeat(context.me), keys.messages(context.me), keys.inbox(context.me)):
            context.write("DEL", key)  # requests that still lie there are for this run, and would not run in the next

    # In.

    def _discover(self) -> None:
        now = self._context.now
        self._discovered, self._discover_at = now, now + DISCOVER_EVERY
        newest = ("ZREVRANGE", self._context.keys.computers, 0, NAMES_LIMIT - 1, "WITHSCORES")
        self._context.write(*newest, about=NamesRead())

    def names_read(self, answer: Answer) -> None:
        """Take the set of names, and read the beats of those in it."""
        if not isinstance(answer, list):
            return
        context = self._context
        texts = [(item or b"").decode("utf-8", "replace") for item in answer]
        entered = {name: float(score) for name, score in zip(texts[::2], texts[1::2], strict=False)}
        if context.me not in entered:
            self._enter_at = 0.0
        self._names = {name for name in entered if is_name(name) and name != context.me}
        self._names |= {peer.name for peer in self._peers.all.values() if peer.online}
        self._seen_blobs = {name: seen for name, seen in self._seen_blobs.items() if name in self._names}
        self._look(entered)

    def _look(self, entered: Mapping[str, float] | None = None) -> None:
        context, names = self._context, tuple(sorted(self._names))
        if not names:
            self._greets_all = False  # there was nobody; who comes now greets this computer
        elif self._is_cluster:
            for name in names:
                self._read_alone(name, entered)
        else:
            keys = [context.keys.heartbeat(name) for name in names]
            context.write("MGET", *keys, about=BeatsRead(names, entered))

    def _read_alone(self, name: str, entered: Mapping[str, float] | None = None) -> None:
        self._context.write("GET", self._context.keys.heartbeat(name), about=BeatsRead((name,), entered))

    def beats_read(self, about: BeatsRead, answer: Answer) -> list[Heard]:
        """Take heartbeats; greet who is to be greeted."""
        if isinstance(answer, Refusal):
            return []
        blobs = answer if isinstance(answer, list) else [answer]
        heard: list[Heard] = []
        for name, blob in zip(about.names, blobs, strict=True):
            if isinstance(blob, bytes):
                heard += self._read_one(name, blob)
            elif about.entered:
                self._prune(name, about.entered.get(name, 0.0))
        self._greet(heard)
        return heard

    def _greet(self, heard: list[Heard]) -> None:
        """Tell those who are to know at once that this computer is there."""
        new = {peer.name for peer, freshness in heard if freshness is Freshness.NEW}
        for peer in self._peers.all.values():
            is_looker = self._greets_lookers and bool(peer.looks_at(self._context.me))
            if peer.online and (self._greets_all or is_looker or (self._greets_new and peer.name in new)):
                self._context.request(peer.name, Hello(heartbeat=self.heartbeat()))
        self._greets_all = self._greets_new = self._greets_lookers = False

    def _read_one(self, name: str, blob: bytes) -> list[Heard]:
        digest = hashlib.blake2b(blob, digest_size=16).digest()
        if self._seen_blobs.get(name) == digest:
            return []  # the same beat again is no sign of life
        self._seen_blobs[name] = digest
        opened = self.open_beat(name, blob)
        if not opened:
            return []
        envelope, beat = opened
        heard = self.receive(envelope, beat)
        if name not in self._timed:
            # Nobody looked before, so it may lie there since long. What is left of its time tells its age.
            self._timed.add(name)
            age = BeatAge(name, envelope.generation, beat.beat)
            self._context.write("PTTL", self._context.keys.heartbeat(name), about=age)
        return heard

    def age_told(self, about: BeatAge, answer: Answer) -> None:
        """Take what a heartbeat, the first that was read of a computer, has left of its time."""
        if isinstance(answer, int) and answer >= 0:
            written = self._context.now - max(0.0, HEARTBEAT_TTL - answer / 1000)
            self._peers.aged(about.name, about.generation, about.beat, written)

    def open_beat(self, name: str, blob: bytes) -> tuple[Envelope, Heartbeat] | None:
        """Open the heartbeat under a name; None, and counted, when it is none of that computer."""
        try:
            envelope, body = self._context.seal.open(blob, sender=name, wall=self._context.wall)
            if not isinstance(body, Heartbeat) or envelope.recipient != EVERYBODY:
                raise Dropped("forged", name)
        except Dropped as dropped:
            self._context.drops.add(dropped)
            self._peers.has_trouble(dropped.sender, dropped.detail)
            if dropped.reason == "version" and name != self._context.me:
                self._peers.not_understood(name, dropped.detail, self._context.now)
            return None
        return envelope, body

    def greeted(self, envelope: Envelope, beat: Heartbeat) -> list[Heard]:
        """Take the greeting of a computer.

        From one that was not here it says only where to look: greetings have no end, and may have waited in the
        stream for longer than the computer lived.
        """
        name = envelope.sender
        known = self._peers.online(name)
        if known and known.epoch == envelope.epoch:
            return self.receive(envelope, beat)
        if is_name(name) and name != self._context.me:
            self._read_alone(name)
        return []

    def receive(self, envelope: Envelope, beat: Heartbeat) -> list[Heard]:
        """Take a heartbeat that was opened."""
        context = self._context
        freshness = self._peers.receive(envelope, beat, context.now, utc_text(context.wall))
        if freshness is Freshness.OLD:
            context.drops.add(Dropped("replayed", envelope.sender))
        if freshness in {Freshness.OLD, Freshness.REPEATED}:
            return []
        self._names.add(envelope.sender)
        return [(self._peers.all[envelope.sender], freshness)]

    def forgotten(self, name: str) -> None:
        """A computer is forgotten: keep nothing of it."""
        self._names.discard(name)
        self._seen_blobs.pop(name, None)

    def _prune(self, name: str, entered: float) -> None:
        """Drop a name whose computer has not been here for so long that all have forgotten it."""
        context = self._context
        if name in self._peers.all or context.wall - entered < max(PRUNE_AFTER, self.forget_after()):
            return
        self.forgotten(name)
        context.write("ZREM", context.keys.computers, name)
        for key in (context.keys.messages(name), context.keys.inbox(name)):
            context.write("UNLINK", key)

    def forget_after(self) -> float:
        """Seconds after which a computer that is gone is forgotten."""
        return self._context.settings.fleet.forget_after * 3600.0
