"""Notices on their way to the one computer where the user is. Pure.

Rules of this module:
- The owner of a session decides that there is something to tell, and where; one computer tells it.
- The user is where the last key came: here, by what this computer knows; elsewhere, by the heartbeats, which are looked
  at once more before it is decided. Where nobody pressed a key yet, and where no other computer can be reached, it is
  told here. So it is when the other one refuses it, or does not answer in time: better in a place where the user is not
  than nowhere.
- What leaves is what `[privacy] share` lets others have.
"""

from __future__ import annotations

from dataclasses import dataclass

from teleclaude.core.requests import Request, new_id
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.verbs import Notify
from teleclaude.sync.fleet.membership.heartbeat import Heartbeats
from teleclaude.sync.fleet.membership.peers import Peers
from teleclaude.sync.fleet.node_context import Context
from teleclaude.sync.fleet.node_effects import Effect, TellOutcome, TellPerson
from teleclaude.sync.fleet.node_events import CommandGiven
from teleclaude.sync.fleet.remote_commands import RemoteCommands
from teleclaude.sync.fleet.sharing import Sharing

CAME_AFTER = 60.0  # seconds without a key here, after which the next one is told to all at once
LOOK_WITHIN = 0.5  # seconds for the look at the others' heartbeats
ANSWER_WITHIN = 5.0  # seconds for the other computer to say that it tells
SAME = 5.0  # seconds by which another computer's key must be later than one here
AT_ONCE = 64  # notices in one message
NEVER = float("inf")


@dataclass(frozen=True)
class UndecidedNotices:
    """Notices of which it is not decided where they go, until `due`."""

    due: float
    notices: list[SessionNotice]


class NoticeRouter:
    """See the module."""

    def __init__(self, context: Context, peers: Peers, heartbeats: Heartbeats, commands: RemoteCommands) -> None:
        self._context, self._peers, self._heartbeats, self._commands = context, peers, heartbeats, commands
        self._undecided: list[UndecidedNotices] = []
        self._sent: dict[str, list[SessionNotice]] = {}  # by request

    def key_pressed(self, at: float) -> None:
        """The user pressed a key here: if he just came, the others are to know."""
        before, self._heartbeats.last_key = self._heartbeats.last_key, max(at, self._heartbeats.last_key)
        if at - before > CAME_AFTER or not before:
            self._heartbeats.soon()

    def given(self, notices: list[SessionNotice]) -> None:
        """Take notices of sessions here."""
        now = self._context.now
        is_alone = not self._context.is_connected or not any(peer.online for peer in self._peers.all.values())
        if is_alone or (self._heartbeats.last_key and now - self._heartbeats.last_key < SAME):
            self._context.want(TellPerson(notices))
            return
        self._heartbeats.look_soon()
        self._undecided.append(UndecidedNotices(now + LOOK_WITHIN, notices))

    def due(self) -> float:
        """Send what is decided by now; give the time when more is."""
        now = self._context.now
        ready = [one for one in self._undecided if one.due <= now]
        self._undecided = [one for one in self._undecided if one.due > now]
        for one in ready:
            self._send(one.notices)
        return min((one.due for one in self._undecided), default=NEVER)

    def _send(self, notices: list[SessionNotice]) -> None:
        name = self.place_of_user()
        if name == self._context.me:
            self._context.want(TellPerson(notices))
            return
        self._heartbeats.soon()  # it counts what waits
        sharing = Sharing(self._context.settings)
        for start in range(0, len(notices), AT_ONCE):
            some = notices[start : start + AT_ONCE]
            args = Notify(notices=[sharing.notice(notice) for notice in some])
            request = Request(id=new_id(), computer=name, args=args, deadline=0.0)
            self._sent[request.id] = some
            self._commands.give(CommandGiven(request, self._context.now + ANSWER_WITHIN))

    def place_of_user(self) -> str:
        """Name of the computer where the last key came."""
        context = self._context
        now, here = context.now, self._heartbeats.last_key
        best, age = context.me, now - here - SAME if here else NEVER
        for peer in self._peers.all.values():
            if peer.online and peer.last_key:
                there = max(0.0, peer.clock.estimate(now) - peer.last_key)
                if there < age:
                    best, age = peer.name, there
        return best

    def sift(self, wanted: list[Effect]) -> list[Effect]:
        """Take out the outcomes of what was sent from here; what did not arrive is told here."""
        return [kept for effect in wanted for kept in self._kept(effect)] if self._sent else wanted

    def _kept(self, effect: Effect) -> list[Effect]:
        if not isinstance(effect, TellOutcome) or effect.outcome.id not in self._sent:
            return [effect]
        notices = self._sent.pop(effect.outcome.id)
        return [] if effect.outcome.status == "ok" else [TellPerson(notices)]
