"""Beats: this computer's, written; the others', read. Who is there, without SCAN or KEYS.

At rest, with nobody looking anywhere, this is all that goes on: a beat every 20 s, a look at the others every 45 s,
and one blocked read of the messages (readers.py): at most six commands a minute.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from teleclaude.core.records import Kind, utc_text
from teleclaude.core.settings import is_name
from teleclaude.sync.fleet.context import Ground
from teleclaude.sync.fleet.membership.name_claim import Name
from teleclaude.sync.fleet.membership.peers import Peer, Word
from teleclaude.sync.fleet.redis.key_names import HEARTBEAT_TTL
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.fleet.wire.messages import Envelope, Goodbye, Heartbeat, Hello
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, Dropped

log = logging.getLogger(__name__)

BEAT_EVERY = 20.0  # seconds
BEAT_SPACING = 0.2  # seconds between beats, however often the interest changes
LOOK_EVERY = 45.0  # seconds between looks at the others: with nobody looking anywhere
LOOK_WATCHED = 20.0  # when others look at this computer
LOOK_CLIENTS = 2.0  # when clients here look at anything: also how soon a dead line is noticed
LOOK_MANY, MANY = 5.0, 20  # the same in a fleet of many computers
LOOK_ANXIOUS = 1.0  # when something that clients look at is offline, or just came back
ENTER_EVERY = 6 * 3600.0  # seconds between entries into the list of names; each new connection enters as well
NAMES_LIMIT = 2000
CLUSTER_AT_REST = 2  # in a cluster each look is one command a computer: at rest, look at no more than these


class Pulse:
    """Beats out and in. `heard` is called with each new word of a computer, `yielded` when the name is another's."""

    def __init__(self, ground: Ground, name: Name, home: str, *, is_cluster: bool) -> None:
        self._ground = ground
        self._name = name
        self._home = home
        self._is_cluster = is_cluster
        self.beat = 0
        self.interested_in: dict[str, list[Kind]] = {}
        self.heard: Callable[[Peer, Word], None] = lambda _peer, _word: None
        self.yielded: Callable[[], None] = lambda: None
        self.flushed: Callable[[], None] = lambda: None
        self._last_blob = b""
        self._seen_blobs: dict[str, bytes] = {}  # a digest of the last beat of each name
        self._timed: set[str] = set()  # names whose beat was read on this connection, and its age asked for
        self._names: set[str] = set()
        self._beat_at = 0.0
        self._look_at = 0.0
        self._enter_at = 0.0
        self._last_beat = 0.0
        self._greeted = False
        self._is_bare = False
        self.anxious_until = 0.0

    # Out.

    def connected(self, now: float, found: bytes = b"") -> None:
        """The connection is new: beat, enter the list, and look, at once. `found`: the beat that is to be replaced."""
        self._beat_at = self._look_at = self._enter_at = 0.0
        self._last_blob = found
        self._timed.clear()
        self.anxious_until = now + 15.0

    def soon(self) -> None:
        """Beat as soon as may be: the interest changed."""
        self._beat_at = min(self._beat_at, self._last_beat + BEAT_SPACING)

    def look_soon(self) -> None:
        """Look at the others now."""
        self._look_at = 0.0

    def due(self, now: float, *, clients: bool, watched: bool) -> float:
        """Put into the outbox what is due; give the seconds until the next is."""
        if self._is_bare and self._ground.own.me is not None:
            self.soon()
        if now >= self._beat_at:
            self._write_beat(now)
        if now >= self._enter_at:
            self._enter_at = now + ENTER_EVERY
            self._ground.outbox.put("ZADD", self._ground.keys.computers, int(time.time()), self._ground.me)
            self._discover()
        elif now >= self._look_at and clients:
            self._discover()
        elif now >= self._look_at and self._names and not self._is_too_much(watched):
            self._look()
        if now >= self._look_at:
            self._look_at = now + self._pace(now, clients=clients, watched=watched)
        return min(self._beat_at, self._look_at, self._enter_at) - now

    def _pace(self, now: float, *, clients: bool, watched: bool) -> float:
        if clients:
            usual = LOOK_CLIENTS if len(self._names) <= MANY else LOOK_MANY
            return LOOK_ANXIOUS if now < self.anxious_until else usual
        return LOOK_WATCHED if watched else LOOK_EVERY

    def _is_too_much(self, watched: bool) -> bool:
        return self._is_cluster and not watched and len(self._names) > CLUSTER_AT_REST

    def heartbeat(self) -> Heartbeat:
        """Make the beat of now."""
        own = self._ground.own
        self._is_bare = own.me is None  # not looked at itself yet
        info = own.me or own.described  # others may attach as soon as they see it
        # Who reads this knows that we reach Redis; what we thought before we did would only confuse.
        info = msgspec.structs.replace(info, services=tuple(s for s in info.services if s.name != "redis"))
        return Heartbeat(
            beat=self.beat, home=self._home, heads=own.heads(), interested_in=self.interested_in, info=info
        )

    def _write_beat(self, now: float) -> None:
        ground = self._ground
        self.beat += 1
        self._beat_at, self._last_beat = now + BEAT_EVERY, now
        blob = ground.seal.seal(EVERYBODY, self.heartbeat())
        before, self._last_blob = self._last_blob, blob
        key = ground.keys.heartbeat(ground.me)
        # GET tells what was there: nothing (somebody emptied Redis), or another's beat (somebody has this name too).
        written = partial(self._written, before, now)
        ground.outbox.put("SET", key, blob, "EX", HEARTBEAT_TTL, "GET", then=written)

    def _written(self, before: bytes, now: float, old: Any) -> None:
        if isinstance(old, Exception) or old == before:
            return
        if old is None:
            if before:
                self._enter_at = 0.0
                self.flushed()
        elif self._name.yields_to(self.open_beat(self._ground.me, old), now):
            self.yielded()

    def greet(self, names: list[str]) -> None:
        """Tell others at once that this computer is there."""
        for name in names:
            self._ground.request(name, Hello(heartbeat=self.heartbeat()))

    def farewell(self) -> None:
        """Tell others that this computer ends in order, and give the name back."""
        ground = self._ground
        own = (ground.keys.heartbeat(ground.me), ground.keys.messages(ground.me), ground.keys.inbox(ground.me))
        for key in own:  # requests that still lie there are for this run, and would not run in the next
            ground.outbox.put("DEL", key)
        ground.outbox.put("ZREM", ground.keys.computers, ground.me)
        for peer in ground.roster.peers.values():
            if peer.online:
                ground.request(peer.name, Goodbye(), make=False)  # it may have left just now, and taken its keys along

    # In.

    def _discover(self) -> None:
        newest = ("ZREVRANGE", self._ground.keys.computers, 0, NAMES_LIMIT - 1, "WITHSCORES")
        self._ground.outbox.put(*newest, then=self._found)

    def _found(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            return
        ground = self._ground
        texts = [item.decode("utf-8", "replace") for item in answer]
        entries = {name: float(score) for name, score in zip(texts[::2], texts[1::2], strict=False)}
        self._names = {name for name in entries if is_name(name) and name != ground.me}
        self._names |= {peer.name for peer in ground.roster.peers.values() if peer.online}
        self._seen_blobs = {name: seen for name, seen in self._seen_blobs.items() if name in self._names}
        self._look(entries)

    def _look(self, entries: Mapping[str, float] | None = None) -> None:
        ground, names = self._ground, sorted(self._names)
        if not names:
            self._greeted = True  # there was nobody; who comes now greets this computer
            return
        keys = [ground.keys.heartbeat(name) for name in names]
        if not self._is_cluster:
            ground.outbox.put("MGET", *keys, then=lambda found: self._read(names, found, entries))
            return
        for name, key in zip(names, keys, strict=True):
            ground.outbox.put("GET", key, then=partial(self._read_alone, name, entries))

    def _read_alone(self, name: str, entries: Mapping[str, float] | None, found: Any) -> None:
        self._read([name], found if isinstance(found, Exception) else [found], entries)

    def _read(self, names: list[str], found: Any, entries: Mapping[str, float] | None) -> None:
        if isinstance(found, Exception):
            return
        for name, blob in zip(names, found, strict=True):
            if isinstance(blob, bytes):
                self._read_one(name, blob)
            elif entries:
                self._prune(name, entries.get(name, 0.0))
        if not self._greeted:
            self._greeted = True
            self.greet([peer.name for peer in self._ground.roster.peers.values() if peer.online])

    def _read_one(self, name: str, blob: bytes) -> None:
        digest = hashlib.blake2b(blob, digest_size=16).digest()
        if self._seen_blobs.get(name) == digest:
            return  # the same beat again is no sign of life
        self._seen_blobs[name] = digest
        opened = self.open_beat(name, blob)
        if not opened:
            return
        self.receive(*opened)
        if name not in self._timed:
            # Nobody looked before, so it may lie there since long. What is left of its time tells its age.
            self._timed.add(name)
            self._ground.outbox.put("PTTL", self._ground.keys.heartbeat(name), then=partial(self._aged, *opened))

    def _aged(self, envelope: Envelope, beat: Heartbeat, left: Any) -> None:
        if isinstance(left, int) and left >= 0:
            written = clock() - max(0.0, HEARTBEAT_TTL - left / 1000)
            self._ground.roster.aged(envelope, beat, written)

    def open_beat(self, name: str, blob: bytes) -> tuple[Envelope, Heartbeat] | None:
        """Open the heartbeat under a name; None, and counted, when it is none of that computer."""
        try:
            envelope, body = self._ground.seal.open(blob, sender=name)
            if not isinstance(body, Heartbeat) or envelope.recipient != EVERYBODY:
                raise Dropped("forged", name)
        except Dropped as dropped:
            self._ground.dropped(dropped)
            return None
        return envelope, body

    def greeted(self, envelope: Envelope, beat: Heartbeat) -> None:
        """Take the greeting of a computer.

        From one that was not here it says only where to look: greetings have no end, and may have waited in the
        stream for longer than the computer lived.
        """
        ground, name = self._ground, envelope.sender
        known = ground.roster.online(name)
        if known and known.epoch == envelope.epoch:
            self.receive(envelope, beat)
        elif is_name(name) and name != ground.me:
            ground.outbox.put("GET", ground.keys.heartbeat(name), then=partial(self._read_alone, name, None))

    def receive(self, envelope: Envelope, beat: Heartbeat) -> None:
        """Take a heartbeat that was opened."""
        ground = self._ground
        word = ground.roster.receive(envelope, beat, clock(), utc_text(time.time()))
        if word is Word.OLD:
            ground.drops.add(Dropped("replayed", envelope.sender))
        elif word is not Word.REPEATED:
            self._names.add(envelope.sender)
            self.heard(ground.roster.peers[envelope.sender], word)

    def _prune(self, name: str, entered: float) -> None:
        """Drop a name whose computer has not been here for so long that all have forgotten it."""
        ground = self._ground
        if name in ground.roster.peers or time.time() - entered < max(2 * ENTER_EVERY, self.forget_after()):
            return
        self._names.discard(name)
        ground.outbox.put("ZREM", ground.keys.computers, name)
        for key in (ground.keys.messages(name), ground.keys.inbox(name)):
            ground.outbox.put("UNLINK", key)

    def forget_after(self) -> float:
        """Seconds after which a computer that is gone is forgotten."""
        return self._ground.settings.fleet.forget_after * 3600.0
