"""The owner's side: pulls of other computers answered, changes pushed to those who look, commands handed on to run.

Pure. What comes here was opened and checked at the node's door (node.py): its sender is who it says, and it is fresh.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import msgspec

from teleclaude.core.errors import InvalidField, Refused
from teleclaude.core.records import Kind, Record
from teleclaude.core.requests import Outcome, Request, failed
from teleclaude.core.verbs import Args, Refresh, check, verb_name
from teleclaude.replication.change import Change, merge
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.node_effects import NoteWritten, PushWritten, RunHere
from teleclaude.sync.fleet.node_events import Answer, Refusal
from teleclaude.sync.fleet.owner import permissions
from teleclaude.sync.fleet.owner.subscribers import Subscribers, event_of
from teleclaude.sync.fleet.redis.redis_keys import GROUP, INBOX_TTL
from teleclaude.sync.fleet.wire.messages import (
    Command,
    CommandAnswer,
    Envelope,
    Heads,
    Pull,
    PullAnswer,
    PullPart,
    raw,
    rows_of,
)
from teleclaude.sync.own_records import OWN_KINDS

log = logging.getLogger(__name__)

RETRY_EVERY = 1.0  # seconds between tries to write under a key that holds something else
HEADS_AFTER = 1.0  # seconds after a push until its subscribers are told how far this computer is, if nothing follows
ACKNOWLEDGE_FOR = 60.0  # seconds for which an acknowledgement is worth sending
LOOK_WITHIN = 5.0  # seconds that a look at this computer may take, for another one
EARLY_LIMIT = 100  # pulls that wait for this computer's first look at itself
NEVER = float("inf")


@dataclass(frozen=True)
class UnderWay:
    """A request of another computer that runs here: its entry in the stream, its sender, and what it is."""

    entry: bytes
    sender: str
    work: Args | Pull


class RequestServer:
    """See the module."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.subscribers = Subscribers(context.me)
        self._pending: dict[Kind, Change[str, Record]] = {}
        self._under_way: dict[str, UnderWay] = {}
        self._heads_at: dict[str, float] = {}  # subscribers who are to be told how far this computer is, and when
        self._notes: list[tuple[float, NoteWritten]] = []  # that Redis refused, and when to try again
        self._early: list[tuple[str, str, Pull]] = []

    # Pushes.

    def own_changed(self, kind: Kind, change: Change[str, Record]) -> None:
        """Take a change of this computer's records; it is pushed, with those that wait, as one."""
        if self.subscribers:
            before = self._pending.get(kind)
            self._pending[kind] = (merge([before, change]) or change) if before else change
        else:
            self._pending.clear()

    def own_found(self, kind: Kind) -> None:
        """Take note that this computer's records of a kind were told anew: what led there is not known."""
        self._pending.pop(kind, None)
        self.connected()

    def due(self) -> float:
        """Send what is due; give the time when more is."""
        context = self._context
        self.subscribers.expire(context.now)
        if self._early and context.own.is_filled:
            early, self._early = self._early, []
            for sender, request, pull in early:
                self._answer_pull(sender, request, pull)
        self._push_changes()
        self._tell_heads()
        notes, self._notes = self._notes, []
        for at, note in notes:
            if at > context.now:
                self._notes.append((at, note))
            elif context.now < note.until:
                context.note_answer(note)
        return min([*self._heads_at.values(), *(at for at, _ in self._notes)], default=NEVER)

    def _push_changes(self) -> None:
        pending, self._pending = self._pending, {}
        for kind, change in pending.items():
            body = raw(event_of(kind, change))
            for name in self.subscribers.of(kind):
                self._context.numbers["events_pushed"] += 1
                self._heads_at[name] = self._context.now + HEADS_AFTER
                self._push(name, body)

    def _tell_heads(self) -> None:
        """Tell subscribers how far this computer is: who has less has lost something."""
        now = self._context.now
        due = [name for name, at in self._heads_at.items() if at <= now]
        if not due:
            return
        for name in due:
            del self._heads_at[name]
        body = raw(Heads(heads=self._context.own.heads()))
        for name in set(due).intersection(self.subscribers.names()):
            self._push(name, body)

    def _push(self, name: str, body: msgspec.Raw) -> None:
        self._context.push(name, body, expire=self.subscribers.inbox_expiry_due(name, self._context.now))

    def pushed(self, about: PushWritten, answer: Answer) -> None:
        """Take what became of a push. One that Redis refused is lost: its subscriber is told so, until it can be."""
        context = self._context
        if isinstance(answer, Refusal):
            context.refused(answer.reason)
            self._heads_at[about.name] = context.now + RETRY_EVERY
        elif about.expire:  # not before: what is refused is not ours to keep alive
            context.write("EXPIRE", context.keys.inbox(about.name), INBOX_TTL)

    def note_written(self, about: NoteWritten, answer: Answer) -> None:
        """Take what became of the note of an answer."""
        context = self._context
        if isinstance(answer, Refusal):
            context.refused(answer.reason)
            self._notes.append((context.now + RETRY_EVERY, about))
        else:
            context.write("EXPIRE", context.keys.inbox(about.name), INBOX_TTL, keep_until=about.until)

    def connected(self) -> None:
        """Pushes may be lost: tell those who look how far this computer is."""
        self._heads_at = dict.fromkeys(self.subscribers.names(), self._context.now)

    # Requests.

    def is_under_way(self, request_id: str, entry: bytes) -> bool:
        """Tell whether an entry was handed over before, and its request is not finished."""
        found = self._under_way.get(request_id)
        return found is not None and found.entry == entry

    def acknowledge(self, entry: bytes) -> None:
        """Be done with a message; its bytes go too."""
        context = self._context
        key, keep = context.keys.messages(context.me), context.now + ACKNOWLEDGE_FOR
        context.write("XACK", key, GROUP, entry, keep_until=keep)
        context.write("XDEL", key, entry, keep_until=keep)

    def pull(self, entry: bytes, envelope: Envelope, body: Pull) -> None:
        """Take a pull: answer it now, or after a look at this computer."""
        context, sender = self._context, envelope.sender
        if not permissions.may(context.settings.fleet, sender, "view"):
            self.subscribers.drop(sender)
            refused = f"{context.me} does not let {sender} look (its setting fleet.allow)"
            context.answer(sender, envelope.id, PullAnswer(request=envelope.id, refused=refused))
            self.acknowledge(entry)
            return
        self.subscribers.told(sender, envelope.epoch, body.interest, body.beat, context.now)
        if body.look:
            request = Request(id=envelope.id, computer=context.me, args=Refresh(), deadline=0.0, origin=sender)
            self._run(entry, request, "look", body, context.now + LOOK_WITHIN, journaled=False)
        else:
            self._answer_pull(sender, envelope.id, body)
            self.acknowledge(entry)

    def _answer_pull(self, sender: str, request: str, body: Pull) -> None:
        if not body.kinds:  # it asks for this computer's time, or whether it lives: nothing that would be kept for it
            self._context.push(sender, PullAnswer(request=request), expire=True)
            return
        if not self._context.own.is_filled:
            self._early = [*self._early, (sender, request, body)][-EARLY_LIMIT:]
            return
        self._push_changes()  # what comes before the snapshot lies before it in the inbox too
        parts = [self._part(kind, body.have.get(kind)) for kind in body.kinds if kind in OWN_KINDS]
        self._context.answer(sender, request, PullAnswer(request=request, parts=parts))

    def _part(self, kind: Kind, have: tuple[str, int] | None) -> PullPart:
        own = self._context.own
        seq, records = own.snapshot(kind)
        is_same = have == (own.epoch, seq)
        return PullPart(kind, seq, is_same, rows_of([] if is_same else records))

    def command(self, entry: bytes, envelope: Envelope, body: Command) -> None:
        """Take a command: run it, if its sender may do that here. It is acknowledged when its outcome is journaled."""
        context, sender, args = self._context, envelope.sender, body.args
        why = permissions.why_refused(context.settings, context.me, sender, args)
        if why:
            permissions.note(sender, envelope.id, args, "refused")
            context.numbers["commands_refused"] += 1
            self._finish(entry, sender, failed(envelope.id, Refused(why)))
            return
        try:
            check(args)
        except InvalidField as error:
            self._finish(entry, sender, failed(envelope.id, error))
            return
        request = Request(id=envelope.id, computer=context.me, args=args, deadline=0.0, origin=sender)
        lane = getattr(args, "session_id", "") or verb_name(args)
        self._run(entry, request, lane, args, body.fresh.expires, journaled=True)

    def _run(
        self, entry: bytes, request: Request, lane: str, work: Args | Pull, expires: float, *, journaled: bool
    ) -> None:
        self._under_way[request.id] = UnderWay(entry, request.origin, work)
        self._context.want(RunHere(request, lane, expires, journaled))

    def ran(self, outcome: Outcome, *, has_run: bool) -> None:
        """Take the outcome of a request that was to run here."""
        context, done = self._context, self._under_way.pop(outcome.id, None)
        if done is None:
            return
        if isinstance(done.work, Pull):
            self._answer_pull(done.sender, outcome.id, done.work)
            self.acknowledge(done.entry)
            return
        context.numbers["commands_run"] += has_run
        permissions.note(done.sender, outcome.id, done.work, outcome.code or outcome.status)
        self._finish(done.entry, done.sender, outcome)

    def _finish(self, entry: bytes, sender: str, outcome: Outcome) -> None:
        self._context.answer(sender, outcome.id, CommandAnswer(outcome=outcome))
        self.acknowledge(entry)
