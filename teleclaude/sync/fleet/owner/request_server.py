"""The owner's side: requests of other computers answered, changes pushed to those who look, commands run."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from teleclaude.cache import wire
from teleclaude.core.errors import Refused, TeleclaudeError, Unavailable
from teleclaude.core.records import Kind
from teleclaude.core.requests import Outcome, Refresh, Request, Watch, check, failed, verb_of
from teleclaude.sync.fleet.context import RETRY_EVERY, Ground, RunLocal
from teleclaude.sync.fleet.owner import permissions
from teleclaude.sync.fleet.owner.journal import Journal
from teleclaude.sync.fleet.owner.replay_guard import Guard
from teleclaude.sync.fleet.owner.subscribers import Pending, Subscribers, Watchers
from teleclaude.sync.fleet.owner.worker_pool import Runner
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.fleet.wire.messages import (
    Body,
    Clash,
    Command,
    CommandAnswer,
    Envelope,
    Goodbye,
    Heads,
    Hello,
    InterestChange,
    Pull,
    PullAnswer,
    PullPart,
    WatchedScreen,
    raw,
    rows_of,
)
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, Dropped
from teleclaude.sync.own_records import OWN_KINDS, OwnChange

log = logging.getLogger(__name__)


class Serving:
    """`later(step)` runs a step in the engine's thread; the callbacks tell what concerns the other parts."""

    def __init__(
        self, ground: Ground, journal: Journal, run_local: RunLocal, later: Callable[[Callable[[], None]], None]
    ) -> None:
        self._ground = ground
        self._journal = journal
        self._run_local = run_local
        self._later = later
        self._guard = Guard(ground.own.epoch)
        self.subscribers = Subscribers(ground.me)
        self._pending = Pending()
        self._changes: deque[OwnChange] = deque()
        self._watchers = Watchers()
        self._screens: dict[str, wire.OutputFrame] = {}
        self._running: set[bytes] = set()
        self._missed: set[str] = set()  # subscribers to whom a push was lost
        self._early: list[tuple[str, str, Pull]] = []  # pulls that came before this computer has looked at itself
        self.runner = Runner()
        self.greeted: Callable[[Envelope, Hello], None] = lambda _envelope, _hello: None
        self.left: Callable[[Envelope], None] = lambda _envelope: None
        self.clashed: Callable[[str], None] = lambda _host: None

    # Pushes.

    def own_changed(self, change: OwnChange) -> None:
        """Take a change of this computer's records. From any thread."""
        self._changes.append(change)

    def show(self, screen: wire.OutputFrame) -> None:
        """Take the screen of a session here, for whoever watches it elsewhere; only the newest waits."""
        self._screens[screen.session_id] = screen

    def due(self, now: float) -> None:
        """Put the pushes that are due into the outbox."""
        self.subscribers.expire(now)
        if self._early and self._ground.own.is_filled:
            early, self._early = self._early, []
            for sender, request, pull in early:
                self._answer_pull(sender, request, pull)
        self._push_changes(now)
        screens, self._screens = self._screens, {}
        for screen in screens.values():
            body = raw(WatchedScreen(session_id=screen.session_id, text=screen.text))
            for name in self._watchers.of(screen.session_id, now):
                self._push(name, body, now)

    def _push_changes(self, now: float) -> None:
        while self._changes:
            change = self._changes.popleft()
            if self.subscribers:
                self._pending.add(change)
            else:
                self._pending.clear()
        for event in self._pending.take():
            body = raw(event)
            for name in self.subscribers.of(event.kind):
                self._ground.numbers["events_pushed"] += 1
                self._push(name, body, now)

    def _push(self, name: str, body: msgspec.Raw, now: float) -> None:
        expire = self.subscribers.inbox_expiry_due(name, now)
        self._ground.push(name, self._ground.seal.seal(name, body), expire=expire, then=partial(self._pushed, name))

    def _pushed(self, name: str, answer: Any) -> None:
        """A push that Redis refused is lost: tell that subscriber how far this computer is, until it can be told."""
        self._ground.noted(answer)
        if isinstance(answer, Exception) and name not in self._missed:
            self._missed.add(name)
            self._ground.deferred.append((clock() + RETRY_EVERY, partial(self._tell_heads, name)))

    def _tell_heads(self, name: str) -> None:
        self._missed.discard(name)
        if name in self.subscribers.names():
            self._push(name, raw(Heads(heads=self._ground.own.heads())), clock())

    def connection_is_new(self) -> None:
        """Pushes may be lost: tell those who look how far this computer is."""
        for name in self.subscribers.names():
            self._tell_heads(name)

    # Requests.

    def receive(self, entry: bytes, blob: bytes, now: float, *, again: bool = False) -> None:
        """Take a message; `again`: it was handed over before, and perhaps not finished. Acknowledges it in time."""
        if entry in self._running:
            return
        try:
            envelope, body = self._ground.seal.open(blob)
            if envelope.recipient == EVERYBODY:
                raise Dropped("misaddressed", envelope.sender)
            self._take(entry, envelope, body, now)
        except Dropped as dropped:
            if not (again and dropped.reason in {"replayed", "epoch"}):
                self._ground.dropped(dropped)
            self.acknowledge(entry)

    def _take(self, entry: bytes, envelope: Envelope, body: Body, now: float) -> None:
        sender = envelope.sender
        if isinstance(body, Clash | InterestChange | Pull | Command):
            self._guard.check(envelope.id, body.fresh, now, sender)
        if (sender == self._ground.me) != isinstance(body, Clash):
            raise Dropped("forged", sender)
        match body:
            case Command():
                self._command(entry, envelope, body, now)
                return  # acknowledged when its outcome is journaled
            case Pull():
                self._pull(envelope, body, now)
            case InterestChange():
                self.subscribers.told(sender, envelope.epoch, body.kinds, body.beat, now)
            case Hello():
                self.greeted(envelope, body)
            case Goodbye():
                self.left(envelope)
            case Clash():
                self.clashed(body.host)
            case _:
                raise Dropped("malformed", sender)
        self.acknowledge(entry)

    def acknowledge(self, entry: bytes) -> None:
        """Be done with a message; its bytes go too."""
        key, outbox = self._ground.keys.messages(self._ground.me), self._ground.outbox
        keep = clock() + 60.0
        outbox.put("XACK", key, "sync", entry, keep_until=keep)
        outbox.put("XDEL", key, entry, keep_until=keep)

    # Snapshots.

    def _pull(self, envelope: Envelope, body: Pull, now: float) -> None:
        sender = envelope.sender
        if not permissions.may(self._ground.settings.fleet, sender, "view"):
            self.subscribers.drop(sender)
            refused = f"{self._ground.me} does not let {sender} look (its setting fleet.allow)"
            self._ground.answer(sender, envelope.id, PullAnswer(request=envelope.id, refused=refused), now)
            return
        self.subscribers.told(sender, envelope.epoch, body.interest, body.beat, now)
        if not body.look:
            self._answer_pull(sender, envelope.id, body)
            return

        def look() -> None:
            request = Request(id=envelope.id, computer=self._ground.me, args=Refresh(), deadline=_deadline(5.0))
            self._run(request)
            self._later(lambda: self._answer_pull(sender, envelope.id, body))

        self.runner.run("look", look)

    def _answer_pull(self, sender: str, request: str, body: Pull) -> None:
        if not self._ground.own.is_filled:
            self._early = [*self._early[-100:], (sender, request, body)]
            return
        now = clock()
        self._push_changes(now)  # what comes before the snapshot lies before it in the inbox too
        parts = [self._part(kind, body.have.get(kind)) for kind in body.kinds if kind in OWN_KINDS]
        self._ground.answer(sender, request, PullAnswer(request=request, parts=parts), now)

    def _part(self, kind: Kind, have: tuple[str, int] | None) -> PullPart:
        seq, records = self._ground.own.snapshot(kind)
        is_same = have == (self._ground.own.epoch, seq)
        return PullPart(kind, seq, is_same, rows_of([] if is_same else records))

    # Commands.

    def _command(self, entry: bytes, envelope: Envelope, body: Command, now: float) -> None:
        sender, args = envelope.sender, body.args
        right = permissions.right_for(args)
        if not permissions.may(self._ground.settings.fleet, sender, right):
            permissions.note(sender, envelope.id, args, "refused")
            self._ground.numbers["commands_refused"] += 1
            refused = Refused(f"{self._ground.me} does not allow {sender} to {right} (its setting fleet.allow)")
            self._finish(entry, sender, failed(envelope.id, refused))
            return
        deadline = _deadline(body.fresh.expires - now)
        request = Request(id=envelope.id, computer=self._ground.me, args=args, deadline=deadline, origin=sender)
        self._running.add(entry)
        lane = getattr(args, "session_id", "") or "start"
        is_taken = self.runner.run(lane, lambda: self._run_command(entry, request, body.fresh.expires))
        if not is_taken:
            error = Unavailable(f"{self._ground.me} has too much to do; the command did not run")
            self._running.discard(entry)
            self._finish(entry, sender, failed(envelope.id, error))

    def _run_command(self, entry: bytes, request: Request, expires: float) -> None:
        """Run one command, in a thread of the runner: journal, run, journal, answer."""
        outcome = self._journaled(request, expires)
        permissions.note(request.origin, request.id, request.args, outcome.code or outcome.status)
        if outcome.status == "ok" and isinstance(request.args, Watch):
            watch = request.args
            self._later(lambda: self._watchers.watch(request.origin, watch.session_id, clock() + watch.seconds))
        self._later(lambda: self._finish(entry, request.origin, outcome))

    def _journaled(self, request: Request, expires: float) -> Outcome:
        try:
            known = self._journal.begin(request.id, request.origin, verb_of(request.args))
            if known is not None:
                return known
            if clock() >= expires:
                outcome = failed(request.id, Unavailable("its time was up before it could run; it did not run"))
            else:
                self._ground.numbers["commands_run"] += 1
                outcome = self._run(request)
            self._journal.finish(outcome)
        except sqlite3.Error as error:
            log.exception("the journal of commands cannot be written; nothing runs for other computers")
            return failed(request.id, Unavailable(f"the journal of {self._ground.me} cannot be written: {error}"))
        return outcome

    def _run(self, request: Request) -> Outcome:
        try:
            check(request.args)
            return self._run_local(request)
        except TeleclaudeError as error:
            return failed(request.id, error)
        except Exception:
            log.exception("a command of another computer failed")
            return failed(request.id, TeleclaudeError(f"the command failed on {self._ground.me}: see its log"))

    def _finish(self, entry: bytes, sender: str, outcome: Outcome) -> None:
        self._running.discard(entry)
        self._ground.answer(sender, outcome.id, CommandAnswer(outcome=outcome), clock())
        self.acknowledge(entry)


def _deadline(seconds: float) -> float:

    return time.monotonic() + seconds
