"""The engine of the peers half: one thread, in turns. A turn takes steps, then what is due, then sends the outbox.

What must live here: the turn and the connection's life. What this module must not know: what any message says. The
lock is held while state changes and never while Redis is waited for, so that whoever asks (the writer, for a new
cache) waits for nobody else.
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
from teleclaude.sync.fleet.board import Board
from teleclaude.sync.fleet.context import Ground, RunLocal
from teleclaude.sync.fleet.membership.name_claim import Claim, Name
from teleclaude.sync.fleet.membership.namesake import Namesake
from teleclaude.sync.fleet.node import Fleet
from teleclaude.sync.fleet.owner.journal import Journal
from teleclaude.sync.fleet.redis.connection import FAILURES, Trouble, explain, place_of
from teleclaude.sync.fleet.redis.session import Link
from teleclaude.sync.fleet.redis.stream_readers import InboxReader, MessagesReader
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.own_records import OwnChange

log = logging.getLogger(__name__)

Step = Callable[[], None]

TURN = 1.0  # seconds, at most, between looks at the clock
BUSY_TURN = 0.2  # the same while clients here look, or wait
SLEPT = 10.0  # seconds between two turns that mean that the computer, or this process, was stopped
RETRY_FIRST, RETRY_MOST = 0.2, 2.0  # seconds between tries to connect
BLIP = 2.0  # seconds without Redis for which a command waits; after that it is refused at once
STEPS_LIMIT = 2000  # steps that wait; readers wait when there are more


class Engine:
    """`start`; then any thread may call what says so; `stop` ends it."""

    def __init__(self, ground: Ground, journal: Journal, home: str, run_local: RunLocal, board: Board) -> None:
        self.ground = ground
        self._lock = threading.RLock()
        self._board = board
        self._journal = journal
        self._place = place_of(ground.settings.redis.url)
        self._wake = threading.Condition()
        self._steps: deque[Step] = deque()
        self._nudged = False  # something changed that makes no step
        self._stopping = False
        self._link = Link(ground.settings.redis, ground.keys, ground.me)
        self._backoff = Backoff(RETRY_FIRST, RETRY_MOST)
        self._retry_at = self._connected_at = 0.0
        self._is_up = False
        self._down_since = 0.0
        self._trouble = f"connecting to Redis at {self._place}"
        self._last_turn = clock()
        self._unanswered = 0
        self._pause = 0.0
        name = Name(ground.own.epoch, ground.seal.generation, home)
        self.fleet = Fleet(ground, journal, name, home, run_local, self.post)
        self._namesake = Namesake(ground, name, board)
        self.fleet.pulse.yielded = self._yield_name
        self.fleet.pulse.flushed = self._flushed
        self.fleet.serving.clashed = self._namesake.told
        on_flushed, on_remade = partial(self.post, self._flushed), partial(self.post, self._inbox_remade)
        self._messages = MessagesReader(ground.keys, ground.me, self._take_messages, self._reader_failed, on_flushed)
        self._inbox = InboxReader(ground.keys, ground.me, self._take_inbox, self._reader_failed, on_remade)
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)

    # From other threads.

    def start(self) -> None:
        """Start the threads."""
        self._board.show("redis", "down", self._trouble)
        for thread in (self._thread, self._messages, self._inbox):
            thread.start()
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
        self.fleet.serving.runner.stop()
        self._thread.join(timeout * 0.7)
        if self._thread.is_alive():
            self._link.break_off()
        for thread in (self._thread, self._messages, self._inbox):
            thread.join(max(0.05, until - time.monotonic()))

    @property
    def trouble(self) -> str:
        """Why the fleet cannot be reached; empty when it can, or could a moment ago."""
        return "" if self._is_up or clock() - self._down_since <= BLIP else self._trouble

    def set_interest(self, interest: Mapping[str, list[Kind]]) -> None:
        """Say all that clients here look at. Never waits."""
        self.post(partial(self.fleet.set_interest, interest))

    def own_changed(self, change: OwnChange) -> None:
        """Take a change of this computer's records. Never waits."""
        self.fleet.serving.own_changed(change)
        with self._wake:
            self._nudged = True
            self._wake.notify_all()

    def submit(self, request: Request) -> None:
        """Take a command for another computer. Never waits."""
        if self.trouble:
            error = Unavailable(f"{request.computer or 'the fleet'} cannot be reached: {self.trouble}")
            self.ground.desk.finish(failed(request.id, error))
            return
        self.post(partial(self.fleet.commanding.submit, request))

    def everything(self) -> list[wire.Op]:
        """All that is known of other computers, as writes for a new cache."""
        with self._lock:
            return self.fleet.everything()

    def others(self) -> list[str]:
        """Names of all computers that are known."""
        with self._lock:
            return list(self.ground.roster.peers)

    # Turns.

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except (*FAILURES, Trouble) as error:
                self._lost(error)
            except Exception as error:
                if explain(error, self._place) != self._trouble:  # told once, however often it comes
                    log.exception("the peers half stumbled; connecting anew")
                self._lost(error)
        self._end()

    def _turn(self) -> None:
        steps = self._wait()
        with self._lock:
            now = clock()
            self._notice_sleep(now)
            for step in steps:
                step()
            connected_for = now - self._connected_at if self._is_up else -1.0
            self.fleet.expire(now, connected_for=connected_for, trouble=self.trouble)
            self._namesake.expire(now)
        if not self._is_up and clock() >= self._retry_at:
            self._connect()
        with self._lock:
            self._plan(clock())
            self.ground.writer.submit(self.fleet.take_ops())
        self._send()

    def _wait(self) -> list[Step]:
        with self._wake:
            self._wake.wait_for(lambda: self._steps or self._nudged or self._stopping, self._pause)
            self._nudged = False
            steps = list(self._steps)
            self._steps.clear()
            self._wake.notify_all()  # readers that wait for room
            return steps

    def _plan(self, now: float) -> None:
        """Put into the outbox what is due, and decide when the next turn is."""
        if not self._is_up:
            self._pause = min(TURN, max(0.0, self._retry_at - now))
            return
        is_busy = self.fleet.needs_inbox(now)
        self._inbox.want(is_busy)
        if self.fleet.asking.replicas.unanswered != self._unanswered:
            self._unanswered = self.fleet.asking.replicas.unanswered
            self._inbox.again()  # a blocked line may be dead without a sign
        self._pause = max(0.001, min(BUSY_TURN if is_busy else TURN, self.fleet.due(now)))

    def _send(self) -> None:
        """Send the outbox; what the answers bring about goes out with the next round."""
        while self._is_up and (parcels := self.ground.outbox.take()):
            try:
                answers = self._link.send(parcels)
            except BaseException:
                with self._lock:
                    self.ground.outbox.keep(parcels, clock())
                raise
            with self._lock:
                for parcel, answer in zip(parcels, answers, strict=True):
                    if parcel.then:
                        parcel.then(answer)
                self.fleet.asking.due(clock())
                self.ground.writer.submit(self.fleet.take_ops())

    def _notice_sleep(self, now: float) -> None:
        gap, self._last_turn = now - self._last_turn, now
        if gap >= SLEPT and self._is_up:
            log.info("was stopped for %.0f s: connecting anew", gap)
            self._drop_link("this computer was asleep")
        if gap >= SLEPT:
            self._retry_at = 0.0

    # The connection.

    def _connect(self) -> None:
        found = self._link.connect()
        with self._lock:
            pulse, now = self.fleet.pulse, clock()
            claim = self._namesake.look(pulse.open_beat(self.ground.me, found) if found else None, now)
        if claim is not Claim.FREE:
            self._keep_silent(claim)
            return
        last = self._link.prepare()
        if self._inbox.position is None:
            self._inbox.position = last
        with self._lock:
            self._is_up, self._connected_at = True, clock()
            self.ground.numbers["connects"] += 1
            self.fleet.connection_is_new(found or b"")
            self.fleet.due(self._connected_at)
            self.fleet.greet()
        self._send()  # the first beat is written: only now is Redis known to take writes
        self._backoff.reset()
        self._messages.up(self._link.reader_settings(self.ground.keys.messages(self.ground.me)))
        self._inbox.up(self._link.reader_settings(self.ground.keys.inbox(self.ground.me)))
        self._board.show("redis", "ok")

    def _keep_silent(self, claim: Claim) -> None:
        """The name is another's: tell it, and look again later."""
        reason = self._namesake.reason(claim)
        self._link.send(self._namesake.to_send(claim))
        self._link.close()
        with self._lock:
            self._trouble = reason
        self._board.show("redis", "down", reason)
        self._retry_at = clock() + self._namesake.look_every

    def _lost(self, error: BaseException) -> None:
        reason = explain(error, self._place)
        self.ground.numbers["troubles"] += 1
        self._drop_link(reason)
        self._board.show("redis", "down", reason)

    def _drop_link(self, reason: str) -> None:
        with self._lock:
            self._down_since = clock() if self._is_up else self._down_since
            self._is_up = False
            self._trouble = reason
        self._messages.down()
        self._inbox.down()
        self._link.close()
        self._retry_at = clock() + self._backoff.next()

    def _reader_failed(self, error: BaseException) -> None:
        self.post(lambda: self._lost(error) if self._is_up else None)

    def _flushed(self) -> None:
        log.info("Redis was emptied: writing anew, and taking snapshots")
        self.ground.numbers["flushes"] += 1
        self.fleet.connection_is_new()
        self._inbox.again()

    def _inbox_remade(self) -> None:
        log.info("the inbox in Redis was made anew: taking snapshots")
        self.fleet.asking.connection_is_new()

    def _yield_name(self) -> None:
        raise Trouble(self._namesake.reason(Claim.TAKEN))

    # What readers bring.

    def _take_messages(self, entries: list[tuple[bytes, bytes]], again: bool) -> None:
        def step() -> None:
            now = clock()
            for entry, blob in entries:
                self.fleet.serving.receive(entry, blob, now, again=again)

        self._post_when_room(step)

    def _take_inbox(self, blobs: list[bytes]) -> None:
        def step() -> None:
            now = clock()
            for blob in blobs:
                self.fleet.asking.receive(blob, now)

        self._post_when_room(step)

    def _post_when_room(self, step: Step) -> None:
        with self._wake:
            self._wake.wait_for(lambda: len(self._steps) < STEPS_LIMIT or self._stopping)
        self.post(step)

    # The end.

    def _end(self) -> None:
        """Say goodbye, if Redis can be reached; end what is under way."""
        with self._lock:
            self.fleet.commanding.fail_all("this computer's daemon stops")
            if self._is_up:
                self.fleet.pulse.farewell()
        try:
            if self._is_up:
                self._link.send(self.ground.outbox.take())
        except (*FAILURES, Trouble) as error:
            log.info("no goodbye: %s", explain(error, self._place))
        self._is_up = False
        self._link.close()
