"""Commands that clients here give to other computers: sent, awaited, and ended in one outcome each. Pure.

One table, by id. Each command ends in one outcome: what the other computer said; *unavailable* when it was certainly
never handed over; else *unknown*. It may be handed over again under the same id: it runs at most once there.

Its deadline is told in the other computer's clock, as its heartbeats told it, so it goes at once. A clock that is
known so badly that a command could lose a quarter of its time is asked for at the same time; the answer has the command
handed over again, with the right deadline, should the first have run out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from teleclaude.core.errors import NotFound, OutcomeUnknown, TeleclaudeError, Unavailable
from teleclaude.core.requests import Outcome, Request, failed, new_id
from teleclaude.core.verbs import Refresh
from teleclaude.sync.fleet.membership.peers import EVERYWHERE, Peer, Peers
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.node_effects import CommandWritten
from teleclaude.sync.fleet.node_events import Answer, CommandGiven, Refusal
from teleclaude.sync.fleet.replication.puller import Puller
from teleclaude.sync.fleet.wire.messages import Command
from teleclaude.sync.fleet.wire.outcome_check import checked

LIMIT = 1000  # commands under way
WORTH_ASKING = 0.25  # of a command's time that it may lose by a clock that is misjudged, until that clock is asked for
ON_ITS_WAY = 0.5  # seconds that a command may be on its way
ASK_TIME_EVERY = 2.0  # seconds until another computer is asked for its clock again
RETRY_EVERY = 1.0  # seconds until a command is handed over again for which there was no stream
INBOX_GRACE = 2.0  # seconds that the inbox is read on after there is nothing to wait for
SWEEP_EVERY = 0.1  # seconds between looks at the deadlines
NEVER = float("inf")


@dataclass
class Sent:
    """One command. `epoch`: the run of the other computer that it was sealed for; empty: to be sent."""

    request: Request
    until: float
    epoch: str = ""
    handed: bool = False  # it may have arrived
    handed_at: float = 0.0
    expires: float = 0.0  # on the other computer's clock, as it was told
    not_before: float = 0.0


@dataclass
class Refreshing:
    """A refresh that waits for the rows of computers."""

    request: Request
    until: float
    names: set[str] = field(default_factory=set)


class RemoteCommands:
    """See the module."""

    def __init__(self, context: Context, peers: Peers, puller: Puller) -> None:
        self._context = context
        self._peers = peers
        self._puller = puller
        self._sent: dict[str, Sent] = {}
        self._refreshes: list[Refreshing] = []
        self._time_asked: dict[str, float] = {}
        self._busy_until = 0.0
        self._sweep_at = NEVER

    # In.

    def give(self, command: CommandGiven) -> None:
        """Take a command for another computer."""
        request = command.request
        try:
            if isinstance(request.args, Refresh):
                self._refresh(command)
            else:
                self._target(request.computer)
                if len(self._sent) >= LIMIT:
                    raise Unavailable(f"{LIMIT} commands for other computers are under way already")
                self._sent[request.id] = Sent(request, command.until)
            self._sweep_at = 0.0
        except TeleclaudeError as error:
            self._context.tell(failed(request.id, error))

    def _target(self, name: str) -> Peer:
        peer = self._peers.all.get(name)
        if peer is None:
            raise NotFound(f"no computer of the fleet is called {name!r}", field="computer")
        if not peer.online:
            raise Unavailable(f"{name} is offline, last seen {peer.last_seen}; the command did not run")
        return peer

    def answered(self, outcome: Outcome, sender: str) -> bool:
        """Take what `sender` says of a command. False when it was not asked for it, or told it before."""
        sent = self._sent.get(outcome.id)
        if sent is None or sent.request.computer != sender:
            return False
        del self._sent[outcome.id]
        self._context.tell(checked(sent.request.args, outcome, sender, self._context.wall))
        return True

    def written(self, about: CommandWritten, answer: Answer) -> None:
        """Take what became of handing a command over."""
        sent = self._sent.get(about.request_id)
        if sent is None:
            return
        if isinstance(answer, Refusal):
            self._context.refused(answer.reason)
            name, reason = sent.request.computer, answer.reason[:100]
            self._end(sent, Unavailable(f"Redis did not take the command for {name} ({reason}); it did not run"))
        elif answer is None:  # it has no messages just now: it stops, or starts
            sent.epoch, sent.handed, sent.not_before = "", False, self._context.now + RETRY_EVERY
            self._sweep_at = min(self._sweep_at, sent.not_before)

    # What else happens.

    def needs_inbox(self) -> bool:
        """Tell whether an answer may come."""
        if self._sent or self._refreshes:
            self._busy_until = self._context.now + INBOX_GRACE
        return self._context.now < self._busy_until

    def peer_is_new(self, peer: Peer) -> None:
        """A computer started anew: what was sealed for its last run will not run in this one; its journal knows the
        rest.
        """
        self._hand_over_again(sent for sent in self._sent.values() if sent.epoch != peer.epoch and _is_for(sent, peer))
        self._time_asked.pop(peer.name, None)

    def connected(self) -> None:
        """The connection broke and is back: what was handed over may not have arrived. Twice does no harm."""
        self._hand_over_again(self._sent.values())
        self._time_asked.clear()

    def clock_told(self, peer: Peer) -> None:
        """A computer that was asked for its clock told it: what ran out before it could arrive there goes again."""
        if self._time_asked.pop(peer.name, None) is not None:
            asked = [sent for sent in self._sent.values() if _is_for(sent, peer) and sent.epoch == peer.epoch]
            late = [sent for sent in asked if sent.expires < peer.clock.estimate(sent.handed_at) + ON_ITS_WAY]
            self._hand_over_again(late)

    def _hand_over_again(self, sents: Iterable[Sent]) -> None:
        for sent in sents:
            sent.epoch = ""
        self._sweep_at = 0.0

    def due(self) -> float:
        """Let deadlines take effect, and hand over what is to be; give the time when more is."""
        context = self._context
        if context.now >= self._sweep_at:
            self._end_late()
            for sent in [sent for sent in self._sent.values() if not sent.epoch and sent.not_before <= context.now]:
                peer = self._peers.online(sent.request.computer)
                if peer and context.is_connected:
                    self._hand_over(sent, peer)
            self._end_refreshes()
            self._sweep_at = context.now + SWEEP_EVERY if self._sent or self._refreshes else NEVER
        return self._sweep_at

    # Out.

    def _hand_over(self, sent: Sent, peer: Peer) -> None:
        context, request = self._context, sent.request
        left = sent.until - context.now
        fresh = peer.fresh(context.now, left)
        sent.epoch, sent.handed, sent.handed_at, sent.expires = peer.epoch, True, context.now, fresh.expires
        if peer.clock.error(context.now) > left * WORTH_ASKING:
            self._ask_time(peer)
        args: Any = request.args  # any of the verbs; Args is their base
        context.numbers["commands_sent"] += 1
        context.request(peer.name, Command(fresh=fresh, args=args), request.id, about=CommandWritten(request.id))

    def _ask_time(self, peer: Peer) -> None:
        now = self._context.now
        if now - self._time_asked.get(peer.name, -ASK_TIME_EVERY) >= ASK_TIME_EVERY:
            self._time_asked[peer.name] = now
            self._puller.ask_time(peer, new_id())

    def ask_for_life(self, peer: Peer) -> None:
        """Ask a computer for anything: its answer shows that its heartbeats are not old ones."""
        if not self._peers.is_proven(peer):
            self._busy_until = self._context.now + INBOX_GRACE
            self._ask_time(peer)

    # Ends.

    def _end(self, sent: Sent, error: TeleclaudeError) -> None:
        del self._sent[sent.request.id]
        self._context.tell(failed(sent.request.id, error))

    def _end_late(self) -> None:
        for sent in [sent for sent in self._sent.values() if sent.until <= self._context.now]:
            name = sent.request.computer
            if sent.handed:
                self._end(sent, OutcomeUnknown(f"{name} did not say in time how it ended; it may have run"))
            else:
                self._end(sent, Unavailable(f"{name} could not be reached in time; the command did not run"))

    def cut_off(self, reason: str) -> None:
        """There is no way to the others for longer than a moment: end what was not handed over, and refreshes."""
        for sent in [sent for sent in self._sent.values() if not sent.handed]:
            self._end(sent, Unavailable(f"the fleet cannot be reached: {reason}; the command did not run"))
        refreshes, self._refreshes = self._refreshes, []
        for refreshing in refreshes:
            self.refuse(refreshing.request, reason)

    def refuse(self, request: Request, reason: str) -> None:
        """End a command for which there is no way. A refresh of all has done what can be done without the others."""
        if isinstance(request.args, Refresh) and request.computer == EVERYWHERE:
            self._context.tell(Outcome(id=request.id, status="ok"))
        else:
            error = Unavailable(f"{request.computer} cannot be reached: {reason}")
            self._context.tell(failed(request.id, error))

    def fail_all(self, reason: str) -> None:
        """End all that is under way: this computer's daemon stops."""
        self.cut_off(reason)
        for sent in list(self._sent.values()):
            self._end(sent, OutcomeUnknown(f"{reason}; the command may have run"))

    # Refresh.

    def _refresh(self, command: CommandGiven) -> None:
        """Pull now, from one computer or all that are looked at; what is there stays until the new lands."""
        request, peers, puller = command.request, self._peers, self._puller
        names = [peer.name for peer in peers.all.values() if peer.online and puller.wanted(peer.name)]
        if request.computer != EVERYWHERE:
            names = [self._target(request.computer).name]
        for name in names:
            puller.replicas.refresh(name, puller.wanted(name))
        self._refreshes.append(Refreshing(request, command.until, set(names)))

    def _end_refreshes(self) -> None:
        still: list[Refreshing] = []
        for refreshing in self._refreshes:
            request, waiting = refreshing.request, {name for name in refreshing.names if not self._has_landed(name)}
            if waiting and refreshing.until > self._context.now:
                still.append(Refreshing(request, refreshing.until, waiting))
            elif waiting:
                text = f"still awaited: {', '.join(sorted(waiting))}"
                self._context.tell(Outcome(id=request.id, status="unknown", code="unknown", message=text))
            else:
                self._context.tell(Outcome(id=request.id, status="ok"))
        self._refreshes = still

    def _has_landed(self, name: str) -> bool:
        return self._peers.online(name) is None or self._puller.replicas.is_settled(name)


def _is_for(sent: Sent, peer: Peer) -> bool:
    return sent.request.computer == peer.name
