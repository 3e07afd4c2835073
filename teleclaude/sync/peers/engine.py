"""The engine of the peers half: one thread, in turns. A turn takes steps, then what is due, then sends the outbox.

What must live here: the turn, the connection's life, and the wiring of the parts. What this module must not know:
what any message says. The lock is held while state changes and never while Redis is waited for, so that whoever
asks (the writer, for a new cache) waits for nobody else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from teleclaude.cache import wire
from teleclaude.core.backoff import Backoff
from teleclaude.core.errors import Unavailable
from teleclaude.core.records import Kind
from teleclaude.core.requests import Request, failed
from teleclaude.sync.peers.asking import Asking
from teleclaude.sync.peers.claim import Claim, Name
from teleclaude.sync.peers.clocks import now as clock
from teleclaude.sync.peers.commanding import Commanding
from teleclaude.sync.peers.connection import FAILURES, Trouble, explain, place_of
from teleclaude.sync.peers.ground import Ground, Parcel, RunLocal
from teleclaude.sync.peers.heartbeat import Pulse
from teleclaude.sync.peers.journal import Journal
from teleclaude.sync.peers.link import Link
from teleclaude.sync.peers.readers import InboxReader, MessagesReader
from teleclaude.sync.peers.roster import Peer, Word
from teleclaude.sync.peers.serving import Serving
from teleclaude.sync.peers.state import Board
from teleclaude.sync.peers.words import Clash, Envelope, Hello

log = logging.getLogger(__name__)

Step = Callable[[], None]

TURN = 1.0  # seconds, at most, between looks at the clock
SLEPT = 10.0  # seconds between two turns that mean that the computer, or this process, was stopped
RETRY_FIRST, RETRY_MOST = 0.2, 2.0  # seconds between tries to connect
CLAIM_EVERY = 5.0  # seconds between looks at a name that another computer holds
CLASH_SHOWN = 90.0  # seconds that the holder of a name shows what the other told
STEPS_LIMIT = 2000  # steps that wait; readers wait when there are more
FORGET_AFTER_LOOK = 10.0  # seconds after connecting: nobody is forgotten before he could be heard


class Engine:
    """`start`, then `post` steps or call what says so; `stop` ends it."""

    def __init__(self, ground: Ground, journal: Journal, home: str, run_local: RunLocal, board: Board) -> None:
        self.ground = ground
        self.lock = threading.RLock()
        self._board = board
        self._place = place_of(ground.settings.redis.url)
        self._wake = threading.Condition()
        self._steps: deque[Step] = deque()
        self._stopping = False
        self._link = Link(ground.settings.redis, ground.keys, ground.me)
        self._backoff = Backoff(RETRY_FIRST, RETRY_MOST)
        self._retry_at = 0.0
        self._connected_at = 0.0
        self._is_up = False
        self._trouble = "connecting"
        self._last_turn = clock()
        self._clash_until = 0.0
        self._shown: dict[str, tuple[Kind, ...]] = {}
        self._sweep_at = 0.0
        self.name = Name(ground.own.epoch, ground.seal.generation, home)
        self.pulse = Pulse(ground, self.name, home, is_cluster=ground.settings.redis.cluster)
        self.asking = Asking(ground)
        self.commanding = Commanding(ground, self.asking)
        self.serving = Serving(ground, journal, run_local, self.post)
        self._wire()
        self._messages = MessagesReader(
            ground.keys, ground.me, self._take_messages, self._reader_failed, partial(self.post, self._flushed)
        )
        self._inbox = InboxReader(
            ground.keys, ground.me, self._take_inbox, self._reader_failed, partial(self.post, self._inbox_remade)
        )
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)

    def _wire(self) -> None:
        self.pulse.heard = self._heard
        self.pulse.yielded = self._yield_name
        self.pulse.flushed = self._flushed
        self.asking.wonder = self.pulse.look_soon
        self.serving.greeted = self._greeted
        self.serving.left = self._left
        self.serving.clashed = self._clashed

    # From other threads.

    def start(self) -> None:
        """Start the threads."""
        self._board.show("redis", "down", f"connecting to Redis at {self._place}")
        self._thread.start()
        self._messages.start()
        self._inbox.start()
        self._messages.want(True)

    def post(self, step: Step) -> None:
        """Have a step done in the engine's thread, soon. Never waits."""
        with self._wake:
            self._steps.append(step)
            self._wake.notify_all()

    def stop(self, timeout: float) -> None:
        """Say goodbye, and end all threads within `timeout` seconds."""
        until = time.monotonic() + timeout
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._messages.stop()
        self._inbox.stop()
        self.serving.runner.stop()
        self._thread.join(timeout * 0.7)
        if self._thread.is_alive():
            self._link.break_off()
        for thread in (self._thread, self._messages, self._inbox):
            thread.join(max(0.05, until - time.monotonic()))

    @property
    def trouble(self) -> str:
        """Why the fleet cannot be reached now; empty when it can."""
        return "" if self._is_up else self._trouble

    def set_interest(self, interest: Mapping[str, list[Kind]]) -> None:
        """Say all that clients here look at. Never waits."""
        self.post(lambda: self._interest(interest))

    def submit(self, request: Request) -> None:
        """Take a command for another computer. Never waits."""
        if self.trouble:
            error = Unavailable(f"{request.computer or 'the fleet'} cannot be reached: {self.trouble}")
            self.ground.desk.finish(failed(request.id, error))
            return
        self.post(lambda: self.commanding.submit(request, clock()))

    def everything(self) -> list[wire.Op]:
        """All that is known of other computers, as writes for a new cache."""
        with self.lock:
            now = clock()
            replicas = self.asking.replicas
            peers = self.ground.roster.peers.values()
            return wire.put([peer.record(replicas.awaited(peer.name, now)) for peer in peers]) + replicas.everything()

    # Turns.

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except FAILURES as error:
                self._lost(error)
            except Trouble as error:
                self._lost(error)
            except Exception as error:
                log.exception("the peers half stumbled; connecting anew")
                self._lost(error)
        self._end()

    def _turn(self) -> None:
        steps = self._wait()
        with self.lock:
            now = clock()
            self._notice_sleep(now)
            for step in steps:
                step()
            self._expire(now)
        if not self._link.is_up and clock() >= self._retry_at:
            self._connect()
        with self.lock:
            if self._is_up:
                self._due(clock())
            self._write_cache()
        self._send()

    def _wait(self) -> list[Step]:
        with self._wake:
            if not self._steps and not self._stopping:
                self._wake.wait(self._pause())
            steps = list(self._steps)
            self._steps.clear()
            self._wake.notify_all()  # readers that wait for room
            return steps

    def _pause(self) -> float:
        if not self._is_up:
            return min(TURN, max(0.0, self._retry_at - clock()))
        return 0.1 if self.commanding.outstanding else self._next_due

    _next_due = 0.0

    def _due(self, now: float) -> None:
        clients, watched = bool(self.asking.interest), bool(self.serving.subscribers)
        wants_inbox = clients or self.commanding.needs_inbox(now)
        self._inbox.want(wants_inbox)
        due_in = self.pulse.due(now, clients=clients, watched=watched)
        self.serving.due(now)
        self.commanding.due(now)
        self.asking.due(now)
        self._next_due = min(TURN, max(0.0, due_in)) if not (clients or wants_inbox) else min(0.25, max(0.0, due_in))

    def _send(self) -> None:
        """Send the outbox; what the answers bring about goes out with the next round."""
        while self._is_up and (parcels := self.ground.outbox.take()):
            try:
                answers = self._link.send(parcels)
            except BaseException:
                with self.lock:
                    self.ground.outbox.keep(parcels, clock())
                raise
            with self.lock:
                for parcel, answer in zip(parcels, answers, strict=True):
                    if parcel.then:
                        parcel.then(answer)
                if self._is_up and self.asking.replicas.touched:
                    self.asking.due(clock())
                self._write_cache()

    def _write_cache(self) -> None:
        """Hand over what changed, and show which kinds of which computers are still awaited."""
        ops, now, roster = self.asking.take_ops(), clock(), self.ground.roster
        replicas = self.asking.replicas
        names = set(replicas.touched)
        replicas.touched.clear()
        if now >= self._sweep_at:
            self._sweep_at = now + 0.5
            names |= {name for name, kinds in self._shown.items() if kinds} | set(roster.peers)
        for name in names:
            peer = roster.peers.get(name)
            awaited = replicas.awaited(name, now) if peer and peer.online else ()
            if peer and awaited != self._shown.get(name, ()):
                self._shown[name] = awaited
                ops += wire.put([peer.record(awaited)])
        self.ground.writer.submit(ops)

    def _expire(self, now: float) -> None:
        for peer in self.ground.roster.expire(now):
            self._offline(peer)
        if self._is_up and now - self._connected_at > FORGET_AFTER_LOOK:
            for name in self.ground.roster.forget(now, self.pulse.forget_after()):
                self.asking.replicas.forget(name)
                self._shown.pop(name, None)
        if self._clash_until and now >= self._clash_until:
            self._clash_until = 0.0
            self._board.hide("name")
        if not self._is_up:
            self.commanding.due(now)

    def _notice_sleep(self, now: float) -> None:
        gap, self._last_turn = now - self._last_turn, now
        if gap >= SLEPT:
            log.info("was stopped for %.0f s: connecting anew", gap)
            if self._link.is_up:
                self._drop_link("this computer was asleep")
            self._retry_at = 0.0

    # The connection.

    def _connect(self) -> None:
        found = self._link.connect()
        now = clock()
        with self.lock:
            claim = self.name.look(self.pulse.open_beat(self.ground.me, found) if found else None, now)
        if claim is not Claim.FREE:
            self._keep_silent(claim)
            return
        last = self._link.prepare()
        if self._inbox.position is None:
            self._inbox.position = last
        with self.lock:
            self._is_up = True
            self._connected_at = clock()
            self.ground.numbers["connects"] += 1
            self.pulse.connected(self._connected_at)
            self.asking.connection_is_new()
            self.commanding.connection_is_new()
            self.serving.connection_is_new()
            self.pulse.due(self._connected_at, clients=bool(self.asking.interest), watched=True)
            self.pulse.greet([p.name for p in self.ground.roster.peers.values() if p.looks_at(self.ground.me)])
        self._send()  # the first beat is written: only now is Redis known to take writes
        self._backoff.reset()
        self._messages.up(self._link.reader_settings(self.ground.keys.messages(self.ground.me)))
        self._inbox.up(self._link.reader_settings(self.ground.keys.inbox(self.ground.me)))
        self._board.show("redis", "ok")
        if not self._clash_until:
            self._board.hide("name")

    def _lost(self, error: BaseException) -> None:
        reason = explain(error, self._place)
        self.ground.numbers["troubles"] += 1
        self._drop_link(reason)
        self._board.show("redis", "down", reason)

    def _drop_link(self, reason: str) -> None:
        with self.lock:
            self._is_up = False
            self._trouble = reason
        self._messages.down()
        self._inbox.down()
        self._link.close()
        self._retry_at = clock() + self._backoff.next()

    def _reader_failed(self, error: BaseException) -> None:
        self.post(lambda: self._lost(error) if self._is_up else None)

    def _flushed(self) -> None:
        """Redis was emptied while it was there: everything in it is written anew, and what may be lost is asked for."""
        log.info("Redis was emptied: writing anew, and taking snapshots")
        self.ground.numbers["flushes"] += 1
        self.pulse.connected(clock())
        self.asking.connection_is_new()
        self.commanding.connection_is_new()
        self.serving.connection_is_new()
        self._inbox.again()

    def _inbox_remade(self) -> None:
        log.info("the inbox in Redis was made anew: taking snapshots")
        self.asking.connection_is_new()

    # The name.

    def _yield_name(self) -> None:
        raise Trouble(self._name_reason())

    def _name_reason(self) -> str:
        holder, me = self.name.holder, self.ground.me
        host = holder.host if holder else ""
        return (
            f"another computer of the fleet{f' ({host})' if host else ''} is called {me} too: "
            "give one of them another name ([computer] name in config.toml)"
        )

    def _keep_silent(self, claim: Claim) -> None:
        """The name is another's: tell it, and look again later."""
        holder = self.name.holder
        reason = self._name_reason()
        if claim is Claim.WAIT:
            reason = f"a computer called {self.ground.me} was here a moment ago: looking whether it still is"
        elif holder:
            self._tell_holder()
        self._board.show("name", "down", reason)
        self._board.show("redis", "down", reason)
        with self.lock:
            self._trouble = reason
        self._link.close()
        self._retry_at = clock() + CLAIM_EVERY

    def _tell_holder(self) -> None:
        holder, ground = self.name.holder, self.ground
        if holder is None:
            return
        peer_fresh = self.name.fresh_for(holder, clock())
        host = ground.settings.computer.host
        blob = ground.seal.seal(ground.me, Clash(fresh=peer_fresh, host=host))
        command = ("XADD", ground.keys.messages(ground.me), "MAXLEN", "~", 10_000, "*", "m", blob)
        self._link.send([Parcel(command)])

    def _clashed(self, host: str) -> None:
        self._clash_until = clock() + CLASH_SHOWN
        where = f" ({host})" if host else ""
        reason = f"another computer{where} has this computer's name too, and keeps silent: rename one of them"
        self._board.show("name", "down", reason)

    # What the parts tell.

    def _interest(self, interest: Mapping[str, list[Kind]]) -> None:
        had = bool(self.asking.interest)
        if not self.asking.set_interest(interest):
            return
        self.pulse.interested_in = self.asking.told_to_all()
        self.asking.interest_changed(self.pulse.beat + 1)
        self.pulse.soon()
        if not had:
            self.pulse.look_soon()

    def _heard(self, peer: Peer, word: Word) -> None:
        awaited = self.asking.replicas.awaited(peer.name, clock())
        self._shown[peer.name] = awaited
        if word is Word.NEW:
            self.asking.peer_is_new(peer)
            self.commanding.peer_is_new(peer)
            awaited = self._shown[peer.name] = self.asking.replicas.awaited(peer.name, clock())
        self.asking.replicas.ops += wire.put([peer.record(awaited)])
        self.serving.subscribers.beat(peer)
        self.asking.replicas.heads(peer.name, peer.epoch, peer.heads, clock(), ordered=False)

    def _greeted(self, envelope: Envelope, hello: Hello) -> None:
        self.pulse.receive(envelope, hello.heartbeat)
        peer = self.ground.roster.peers.get(envelope.sender)
        if peer and peer.epoch == envelope.epoch:
            self.asking.replicas.heads(peer.name, peer.epoch, hello.heartbeat.heads, clock(), ordered=False)

    def _left(self, envelope: Envelope) -> None:
        if self.ground.roster.leave(envelope):
            self._offline(self.ground.roster.peers[envelope.sender])

    def _offline(self, peer: Peer) -> None:
        log.info("%s is offline", peer.name)
        self.serving.subscribers.drop(peer.name)
        self._shown[peer.name] = ()
        self.asking.replicas.lost(peer.name)
        self.asking.replicas.ops += wire.put([peer.record()])
        if self.asking.wanted(peer.name):
            self.pulse.anxious_until = clock() + 120.0

    # What readers bring.

    def _take_messages(self, entries: list[tuple[bytes, bytes]], again: bool) -> None:
        def step() -> None:
            now = clock()
            for entry, blob in entries:
                self.serving.receive(entry, blob, now, again=again)

        self._post_when_room(step)

    def _take_inbox(self, blobs: list[bytes]) -> None:
        def step() -> None:
            now = clock()
            for blob in blobs:
                self.asking.receive(blob, now)

        self._post_when_room(step)

    def _post_when_room(self, step: Step) -> None:
        with self._wake:
            self._wake.wait_for(lambda: len(self._steps) < STEPS_LIMIT or self._stopping)
        self.post(step)

    def _end(self) -> None:
        """Say goodbye, if Redis can be reached; end what is under way."""
        with self.lock:
            self.commanding.fail_all("this computer's daemon stops")
            if self._is_up:
                self.pulse.farewell()
        try:
            if self._is_up:
                self._link.send(self.ground.outbox.take())
        except (*FAILURES, Trouble) as error:
            log.info("no goodbye: %s", explain(error, self._place))
        self._is_up = False
        self._link.close()
