"""The loop around the node: one thread, in turns, that tells the node what happened and carries out what it wants.

What must live here: the turn, the connection's life, and time. What this module must not know: what any message says,
and what anything means. The lock is held while the node takes an event and never while Redis is waited for, so that
whoever asks (the writer, for a new cache) waits for nobody else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from teleclaude.cache import wire
from teleclaude.core.backoff import Backoff
from teleclaude.core.errors import TeleclaudeError, Unavailable
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.records import Kind
from teleclaude.core.requests import Outcome, Request, failed
from teleclaude.core.settings import RedisSettings, Settings
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.fleet import node_effects as effects
from teleclaude.sync.fleet import node_events as events
from teleclaude.sync.fleet.board import Board
from teleclaude.sync.fleet.mailbox import Mailbox
from teleclaude.sync.fleet.membership.peers import Peer
from teleclaude.sync.fleet.node import Node
from teleclaude.sync.fleet.outcome_sender import OutcomeTaker
from teleclaude.sync.fleet.own_news import OwnNews
from teleclaude.sync.fleet.owner.journal import Journal
from teleclaude.sync.fleet.owner.worker_pool import WorkerPool
from teleclaude.sync.fleet.person import Nobody, Person
from teleclaude.sync.fleet.redis.connection import FAILURES, Trouble, explain, place_of
from teleclaude.sync.fleet.redis.screen_reader import ScreenReader
from teleclaude.sync.fleet.redis.session import RedisSession
from teleclaude.sync.fleet.redis.stream_readers import InboxReader, MessagesReader
from teleclaude.sync.fleet.shared_records import SharedRecords
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.own_records import OwnRecords

log = logging.getLogger(__name__)

SLEPT = 10.0  # seconds between two turns that mean that the computer, or this process, was stopped
RETRY_FIRST, RETRY_MOST = 0.2, 2.0  # seconds between tries to connect
READERS_END = 0.3  # seconds that the goodbye waits for readers, who could make anew what it removes


class OpsWriter(Protocol):
    """Takes writes for the cache."""

    def submit(self, ops: list[wire.Op]) -> None:
        """Queue writes."""
        ...


def connecting(settings: RedisSettings) -> str:
    """Say what a loop does at first."""
    return f"connecting to Redis at {place_of(settings.url)}"


class Loop:
    """`start`; then any thread may call what says so; `stop` ends it."""

    def __init__(
        self,
        node: Node,
        own: OwnRecords,
        journal: Journal,
        run_local: Callable[[Request], Outcome],
        writer: OpsWriter,
        outcomes: OutcomeTaker,
        board: Board,
        watch_here: Callable[[frozenset[str]], None] = lambda _: None,
        person: Person | None = None,
    ) -> None:
        """`watch_here` is called with all sessions here whose screens other computers watch; it must be quick."""
        context = node.context
        self.node = node
        self._own = SharedRecords(own, context.settings)
        self._writer, self._outcomes, self._board = writer, outcomes, board
        self._lock = threading.RLock()
        self._mailbox = Mailbox()
        self._pool = WorkerPool(journal, lambda asked: self._own.outcome(run_local(asked)), self._mailbox.put)
        self._todo: list[effects.Effect] = []
        self._wake = 0.0
        self._left = False
        self._settings = context.settings.redis
        self._place = place_of(self._settings.url)
        self._session = RedisSession(self._settings, context.keys, context.me)
        self._backoff = Backoff(RETRY_FIRST, RETRY_MOST)
        self._is_up = False
        self._retry_at = 0.0
        self._last_turn = clock()
        self._last_reason = ""
        self._messages = MessagesReader(
            context.keys, context.me, self._take_messages, self._reader_failed, self._redis_emptied
        )
        self._inbox = InboxReader(context.keys, context.me, self._take_inbox, self._reader_failed, self._inbox_remade)
        self._screens = ScreenReader(context.keys, context.me, self._take_screens)
        self._watch_here = watch_here
        self._person = person or Nobody()
        self._news = OwnNews(self._own, self._person)
        self._threads = ThreadGroup()
        self._carry_out = self._table()

    def _table(self) -> dict[type[effects.Effect], Callable[[Any], None]]:
        """How each effect but a command for Redis is carried out."""
        return {
            effects.ToCache: lambda effect: self._writer.submit(effect.ops),
            effects.TellOutcome: lambda effect: self._outcomes.finish(effect.outcome),
            effects.ShowScreen: lambda effect: self._outcomes.emit(effect.screen),
            effects.WatchHere: lambda effect: self._watch_here(effect.session_ids),
            effects.ReadScreens: lambda effect: self._screens.watch(effect.watched),
            effects.RunHere: self._pool.take,
            effects.ReadInbox: lambda effect: self._inbox.want(effect.wanted),
            effects.TellPerson: lambda effect: self._person.tell_here(effect.notices),
            effects.ReadInboxAnew: lambda _: self._inbox.again(),
            effects.ShowService: self._show_service,
            effects.WakeAt: self._wake_at,
            effects.TakeName: self._take_name,
            effects.KeepSilent: self._keep_silent,
            effects.ConnectAnew: self._connect_anew,
        }

    # From other threads.

    def start(self) -> None:
        """Start the threads."""
        self._board.show("redis", "down", connecting(self._settings))
        self._messages.start()
        self._inbox.start()
        self._screens.start()
        self._messages.want(True)
        self._threads.start("fleet", self._run)

    def stop(self, timeout: float, *, left: bool = False) -> None:
        """Say goodbye, for good when this computer `left` the fleet, and end all threads within `timeout` seconds."""
        until = time.monotonic() + timeout
        self._left = left
        self._messages.stop()  # first: a reader would make anew what the goodbye removes
        self._inbox.stop()
        self._screens.stop()
        self._mailbox.close()
        self._pool.stop()
        if not self._threads.join(timeout * 0.7):
            self._session.break_off()
        for ending in (self._threads, self._messages, self._inbox, self._screens):
            ending.join(max(0.05, until - time.monotonic()))

    @property
    def mailbox(self) -> Mailbox:
        """Where events for the node are put."""
        return self._mailbox

    @property
    def trouble(self) -> str:
        """Why the fleet cannot be reached; empty when it can, or could a moment ago."""
        return self.node.trouble(clock())

    def submit(self, request: Request) -> None:
        """Take a command for another computer. Never waits."""
        until = clock() + request.deadline - time.monotonic()
        if not self._mailbox.put_command(events.CommandGiven(request, until)):
            reason = f"too many commands for other computers wait; this one for {request.computer} did not run"
            self._outcomes.finish(failed(request.id, Unavailable(reason)))

    def interest_changed(self, interest: Mapping[str, list[Kind]]) -> None:
        """Say all that clients here look at. Never waits."""
        self._mailbox.interest_changed(events.InterestChanged(interest))

    def watch_changed(self, watched: frozenset[tuple[str, str]]) -> None:
        """Say whose screens clients here watch elsewhere, all of them. Never waits."""
        self._mailbox.watch_changed(events.WatchChanged(watched))

    def screen_changed(self, session_id: str, found: LiveScreen | TeleclaudeError) -> None:
        """Tell the screen of a session here that other computers watch. Never waits."""
        self._mailbox.screen_changed(events.ScreenChanged(session_id, found))

    def settings_changed(self, settings: Settings) -> None:
        """Take other settings. Never waits."""
        self._own.share(settings)
        self._mailbox.put(events.SettingsChanged(settings))

    def counters(self) -> dict[str, int]:
        """Numbers for the metrics: `dropped_REASON`, and what was done."""
        context = self.node.context
        return {**{f"dropped_{why}": n for why, n in context.drops.counts().items()}, **dict(context.numbers)}

    def everything(self) -> list[wire.Op]:
        """All that is known of other computers, as writes for a new cache."""
        with self._lock:
            return self.node.everything()

    def others(self) -> list[Peer]:
        """All computers that are known."""
        with self._lock:
            return list(self.node.peers.all.values())

    # Turns.

    def _run(self) -> None:
        while not self._mailbox.is_closed:
            try:
                self._turn()
            except (*FAILURES, Trouble) as error:
                self._lost(error)
            except Exception as error:  # noqa: BLE001  (it is logged)
                self._stumbled(error)
        self._end()

    def _turn(self) -> None:
        wake = self._wake if self._is_up else min(self._wake, self._retry_at)
        waiting = self._mailbox.take(max(0.0, wake - clock()))
        self._notice_sleep()
        self._look_at_self()
        stumble: Exception | None = None
        for event in waiting:
            try:
                self._receive(event)
            except Exception as error:  # noqa: BLE001  (one event that fails takes no other along; then all is taken anew)
                stumble = error
        self._receive(events.Woken())
        if not self._is_up and clock() >= self._retry_at:
            self._connect()
        self._work_off()
        if stumble is not None:
            self._stumbled(stumble)

    def _receive(self, event: events.Event) -> None:
        with self._lock:
            self._todo += self.node.receive(event, clock(), time.time())

    def _work_off(self) -> None:
        """Carry out what the node wants; what the answers of Redis bring about goes out with the next round."""
        while self._todo:
            todo, self._todo = self._todo, []
            writes = [effect for effect in todo if isinstance(effect, effects.ToRedis)]
            others = [effect for effect in todo if not isinstance(effect, effects.ToRedis)]
            for effect in others:
                if not isinstance(effect, _LAST):
                    self._carry_out_one(effect)
            self._send(writes)
            for effect in others:
                if isinstance(effect, _LAST):
                    self._carry_out[type(effect)](effect)

    def _carry_out_one(self, effect: effects.Effect) -> None:
        try:
            self._carry_out[type(effect)](effect)
        except Exception as error:  # noqa: BLE001  (it is logged, and the others are carried out all the same)
            self._stumbled(error)

    def _send(self, writes: list[effects.ToRedis]) -> None:
        if not writes:
            return
        try:
            answers = self._session.send([write.command for write in writes])
        except (*FAILURES, Trouble) as error:
            self._lost(error, writes)
            return
        for write, answer in zip(writes, answers, strict=True):
            if write.about is not None:
                told = events.Refusal(str(answer)) if isinstance(answer, Exception) else answer
                self._receive(events.RedisAnswered(write.about, told))
        self._receive(events.Woken())

    def _look_at_self(self) -> None:
        """Tell the node what changed on this computer since it was told last."""
        for event in self._news.events(clock(), time.time()):
            self._receive(event)

    def _notice_sleep(self) -> None:
        now = clock()
        gap, self._last_turn = now - self._last_turn, now
        if gap >= SLEPT and self._is_up:
            log.info("was stopped for %.0f s: connecting anew", gap)
            self._drop_connection("this computer was asleep")
        if gap >= SLEPT:
            self._retry_at = 0.0

    # The connection.

    def _connect(self) -> None:
        self._receive(events.RedisReached(self._session.connect()))
        self._work_off()
        if not self._is_up:
            return
        # The first beat is written: only now is Redis known to take writes.
        self._backoff.reset()
        keys, me = self.node.context.keys, self.node.context.me
        self._messages.up(self._session.reader_settings(keys.messages(me)))
        self._inbox.up(self._session.reader_settings(keys.inbox(me)))
        self._screens.up(self._session.reader_settings(self._screens.key))
        self._last_reason = ""
        self._board.show("redis", "ok")

    def _take_name(self, _: effects.TakeName) -> None:
        last = self._session.prepare()
        if self._inbox.position is None:
            self._inbox.position = last
        self._is_up = True
        self._receive(events.Joined())
        self._receive(events.Woken())

    def _keep_silent(self, effect: effects.KeepSilent) -> None:
        self._session.close()
        self._board.show("redis", "down", effect.reason)
        self._retry_at = effect.until

    def _connect_anew(self, effect: effects.ConnectAnew) -> None:
        if self._is_up:  # else another reason was told in the same turn
            self._lost(Trouble(effect.reason))

    def _lost(self, error: BaseException, unsent: list[effects.ToRedis] | None = None) -> None:
        reason = explain(error, self._place)
        self._drop_connection(reason, tuple(unsent or ()))
        self._board.show("redis", "down", reason)

    def _stumbled(self, error: Exception) -> None:
        """An error that nobody foresaw: connecting anew takes snapshots, so whatever was left half done is done."""
        self.node.context.numbers["stumbles"] += 1
        if str(error) != self._last_reason:  # told once, however often it comes
            log.error("the fleet's loop stumbled; connecting anew", exc_info=error)
        self._last_reason = str(error)
        self._lost(error)

    def _drop_connection(self, reason: str, unsent: tuple[effects.ToRedis, ...] = ()) -> None:
        self._is_up = False
        self._messages.down()
        self._inbox.down()
        self._screens.down()
        self._session.close()
        self._retry_at = clock() + self._backoff.next()
        self._receive(events.ConnectionLost(reason, unsent))

    # Small effects.

    def _show_service(self, effect: effects.ShowService) -> None:
        if effect.state is None:
            self._board.hide(effect.name)
        else:
            self._board.show(effect.name, effect.state, effect.reason)

    def _wake_at(self, effect: effects.WakeAt) -> None:
        self._wake = effect.at

    # What readers bring.

    def _take_messages(self, entries: list[tuple[bytes, bytes]], again: bool) -> None:
        self._mailbox.put_when_room(events.RequestsCame(entries, again))

    def _take_inbox(self, blobs: list[bytes]) -> None:
        self._mailbox.put_when_room(events.InboxCame(blobs))

    def _take_screens(self, owner: str, session_id: str, blobs: list[bytes]) -> None:
        self._mailbox.put_when_room(events.ScreensCame(owner, session_id, blobs))

    def _reader_failed(self, error: BaseException) -> None:
        self._mailbox.put(events.ReaderFailed(explain(error, self._place)))

    def _redis_emptied(self) -> None:
        self._mailbox.put(events.RedisEmptied())

    def _inbox_remade(self) -> None:
        self._mailbox.put(events.InboxRemade())

    # The end.

    def _end(self) -> None:
        """Say goodbye, if Redis can be reached; end what is under way."""
        for reader in (self._messages, self._inbox):
            reader.join(READERS_END)
        self._receive(events.Stopping(self._left))
        self._watch_here(frozenset())
        self._work_off()
        self._session.close()


_LAST = (effects.TakeName, effects.KeepSilent, effects.ConnectAnew)
