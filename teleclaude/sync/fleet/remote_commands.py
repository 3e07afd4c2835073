"""Commands that clients here give to other computers: sent, awaited, and ended in one outcome each."""

from __future__ import annotations

import time
from typing import Any

from teleclaude.core.errors import NotFound, TeleclaudeError, Unavailable
from teleclaude.core.requests import Outcome, Refresh, Request, failed, new_id
from teleclaude.sync.fleet.context import Ground
from teleclaude.sync.fleet.membership.peers import EVERYWHERE, Peer
from teleclaude.sync.fleet.outstanding import Outstanding, Sent
from teleclaude.sync.fleet.replication.puller import Asking
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.fleet.wire.messages import Command, Pull
from teleclaude.sync.fleet.wire.outcome_check import checked

EXACT = 1.0  # seconds by which another clock may be misjudged when a deadline is told in it
ASK_TIME_EVERY = 2.0  # seconds until another computer is asked for its clock again
INBOX_GRACE = 2.0  # seconds that the inbox is read on after there is nothing to wait for
SWEEP_EVERY = 0.1  # seconds between looks at the deadlines


class Commanding:
    """Holds what is under way. A command's deadline is told in the other computer's clock, so that must be known."""

    def __init__(self, ground: Ground, asking: Asking) -> None:
        self._ground = ground
        self._asking = asking
        self.outstanding = Outstanding()
        self._time_asked: dict[str, float] = {}
        self._refreshes: list[tuple[Request, set[str]]] = []
        self._busy_until = 0.0
        self._sweep_at = 0.0
        asking.answered = self._answered
        asking.clock_told = self._clock_told

    def submit(self, request: Request) -> None:
        """Take a command for another computer."""
        try:
            if isinstance(request.args, Refresh):
                self._refresh(request)
            else:
                self._target(request.computer)
                self.outstanding.add(request)
            self._sweep_at = 0.0
        except TeleclaudeError as error:
            self._ground.desk.finish(failed(request.id, error))

    def _target(self, name: str) -> Peer:
        peer = self._ground.roster.peers.get(name)
        if peer is None:
            raise NotFound(f"no computer of the fleet is called {name!r}", field="computer")
        if not peer.online:
            raise Unavailable(f"{name} is offline, last seen {peer.last_seen}; the command did not run")
        return peer

    def needs_inbox(self, now: float) -> bool:
        """Tell whether an answer may come."""
        if self.outstanding or self._refreshes:
            self._busy_until = now + INBOX_GRACE
        return now < self._busy_until

    def peer_is_new(self, peer: Peer) -> None:
        """A computer started anew: what was sealed for its last run will not run in this one; its journal knows the
        rest.
        """
        for sent in self.outstanding.waiting_for(peer.name):
            if sent.epoch != peer.epoch:
                sent.epoch = ""
        self._time_asked.pop(peer.name, None)
        self._sweep_at = 0.0

    def connection_is_new(self) -> None:
        """The connection broke and is back: what was handed over may not have arrived. Twice does no harm."""
        self._time_asked.clear()
        for sent in self.outstanding.all():
            sent.epoch = ""
        self._sweep_at = 0.0

    def expire(self) -> None:
        """Let deadlines take effect."""
        for outcome in self.outstanding.expire(time.monotonic()):
            self._ground.desk.finish(outcome)
        self._end_refreshes(time.monotonic())

    def due(self, now: float) -> None:
        """Let deadlines take effect, and send what was not sent yet, if the other's clock is known."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_EVERY
        self.expire()
        for sent in self.outstanding.all():
            peer = None if sent.epoch else self._ground.roster.online(sent.request.computer)
            if peer and peer.clock.error(now) <= EXACT:
                self._send(sent, peer)
            elif peer:
                self._ask_time(peer, now)

    # The clock of the other computer.

    def _ask_time(self, peer: Peer, now: float) -> None:
        if now - self._time_asked.get(peer.name, -ASK_TIME_EVERY) >= ASK_TIME_EVERY:
            self._time_asked[peer.name] = now
            asking = self._asking
            fresh, interest = self._ground.fresh(peer, now), asking.wanted(peer.name)
            asking.ask(peer, Pull(fresh=fresh, kinds=[], interest=interest, beat=asking.beat), new_id(), now)

    def _clock_told(self, name: str) -> None:
        if self._time_asked.pop(name, None) is not None:
            self._sweep_at = 0.0

    # Out and back.

    def _send(self, sent: Sent, peer: Peer) -> None:
        request, now = sent.request, clock()
        left = request.deadline - time.monotonic()
        if left <= 0:
            return
        sent.epoch = peer.epoch
        args: Any = request.args  # any of the verbs; Args is their base
        self._ground.numbers["commands_sent"] += 1
        self._ground.request(
            peer.name,
            Command(fresh=self._ground.fresh(peer, now, left), args=args),
            request.id,
            then=lambda answer: self._handed(sent, answer),
            on_try=lambda: setattr(sent, "handed", True),
        )

    def _handed(self, sent: Sent, answer: Any) -> None:
        if isinstance(answer, Exception):
            self._ground.noted(answer)
            name = sent.request.computer
            error = Unavailable(f"Redis did not take the command for {name} ({str(answer)[:100]}); it did not run")
            self._end(failed(sent.request.id, error))

    def _answered(self, outcome: Outcome, sender: str) -> bool:
        sent = self.outstanding.answered(outcome, sender)
        if sent is None:
            return False
        self._ground.desk.finish(checked(sent.request.args, outcome, sender, time.time()))
        return True

    def _end(self, outcome: Outcome) -> None:
        self.outstanding.fail(outcome.id)
        self._ground.desk.finish(outcome)

    def fail_unsent(self, reason: str) -> None:
        """End those that were not handed over: there is no way to the others for longer than a moment."""
        for sent in self.outstanding.all():
            if not sent.handed:
                self._end(self.outstanding.given_up(sent, reason))

    def fail_all(self, reason: str) -> None:
        """End all that is under way: this half stops."""
        for sent in self.outstanding.all():
            self._end(self.outstanding.given_up(sent, reason))
        for request, _ in self._refreshes:
            self._ground.desk.finish(failed(request.id, Unavailable(reason)))
        self._refreshes.clear()

    # Refresh.

    def _refresh(self, request: Request) -> None:
        """Pull now, from one computer or all that are looked at; what is there stays until the new lands."""
        roster, asking = self._ground.roster, self._asking
        names = [peer.name for peer in roster.peers.values() if peer.online and asking.wanted(peer.name)]
        if request.computer not in {"", EVERYWHERE, self._ground.me}:
            names = [self._target(request.computer).name]
        for name in names:
            asking.replicas.refresh(name, asking.wanted(name))
        self._refreshes.append((request, set(names)))
        self._sweep_at = 0.0

    def _end_refreshes(self, now: float) -> None:
        still: list[tuple[Request, set[str]]] = []
        for request, names in self._refreshes:
            waiting = {name for name in names if not self._has_landed(name)}
            if waiting and request.deadline > now:
                still.append((request, waiting))
            elif waiting:
                text = f"still awaited: {', '.join(sorted(waiting))}"
                self._ground.desk.finish(Outcome(id=request.id, status="unknown", code="unknown", message=text))
            else:
                self._ground.desk.finish(Outcome(id=request.id, status="ok"))
        self._refreshes = still

    def _has_landed(self, name: str) -> bool:
        return self._ground.roster.online(name) is None or self._asking.replicas.is_settled(name)
