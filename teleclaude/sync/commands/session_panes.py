"""Sessions of this computer as commands reach them: found by id, acted on through tmux, seen again afterwards.

Rules:
- Sessions are named by their id or a unique prefix of it, and reached by tmux' own ids in the server that the records
  come from, while tmux shows the session's mark there (pane_now.py): a restarted server refuses them.
- Nothing is said not to be there before the first look at tmux told what is: commands wait for it.
- What was done is shown before a command is answered: own records up to date, and flushed into the cache.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Protocol

from teleclaude.core.errors import Ambiguous, Conflict, NotFound, Unavailable
from teleclaude.core.records import Kind, Session
from teleclaude.sync.commands.pane_now import Target, refuse_other
from teleclaude.sync.local_loop import LocalLoop
from teleclaude.sync.own_records import OwnChange, OwnRecords
from teleclaude.sync.tmux.client import CommandFailed

STEP_TIMEOUT = 5.0  # seconds that one answer of tmux may take
FIRST_LOOK_EVERY = 0.2  # seconds between looks at how tmux is, while its first answer is awaited
ANSWER_IN = 0.5  # seconds before a deadline at which a command that waits gives up, so that its outcome is heard
ENDED_KEPT = 4096  # ids of sessions that have ended


class FlushedWrites(Protocol):
    """What commands need of the cache's writer."""

    def flush(self, timeout: float) -> bool:
        """Wait until all that was submitted can be read."""
        ...


class SessionPanes:
    """Usable from any thread. Methods raise Unavailable, OutcomeUnknown, or what their docstrings say."""

    def __init__(self, local: LocalLoop, own: OwnRecords, writer: FlushedWrites) -> None:
        self.local, self.own, self._writer = local, own, writer
        self._ended: OrderedDict[str, None] = OrderedDict()  # by id, oldest first
        own.listen(self._note_ended)

    def _note_ended(self, kind: Kind, change: OwnChange) -> None:
        if kind == "sessions":
            self._ended.update(dict.fromkeys(change.removes))
            while len(self._ended) > ENDED_KEPT:
                self._ended.popitem(last=False)

    def await_first_look(self, deadline: float) -> None:
        """Wait until it is known which sessions there are. Raises Unavailable when tmux does not say so in time."""
        until = deadline - ANSWER_IN
        while not self.own.wait_found("sessions", min(FIRST_LOOK_EVERY, left(until))):
            state, reason = self.local.state
            if state in {"hung", "down", "absent"} or not left(until):
                raise Unavailable(f"the command did not run: {reason or 'tmux was not looked at yet'}")

    def has_ended(self, session_id: str) -> bool:
        """Tell whether a session with that id was here, and has ended."""
        return session_id in self._ended

    def find(self, wanted: str) -> tuple[Session, Target]:
        """Find a session by id or unique prefix, and what its ids in tmux mean. Raises NotFound, Ambiguous, Conflict.

        The server is read first: read after a restart that came between, it would vouch for an old pane's number.
        """
        server = self.local.server
        unmarked = {key for key, _ in self.local.identities.unwritten()}
        session = self.record(wanted)
        if session.status == "lost":
            raise Conflict(f"the session was lost ({session.status_reason}): restore it first, or forget it")
        row, tmux = self.local.identities.row(session.session_id), session.tmux
        if not row:  # the record of what the last look did not show any more is just being taken away
            raise NotFound("the session has ended", field="session_id")
        return session, Target(session.session_id, row, tmux.session, tmux.pane, server, row not in unmarked)

    def record(self, wanted: str) -> Session:
        """Find a session's record by id or unique prefix. Raises NotFound, Ambiguous."""
        exact = self.own.get("sessions", wanted)
        if isinstance(exact, Session):
            return exact
        found = [r for r in self.own.snapshot("sessions")[1] if isinstance(r, Session)]
        found = [record for record in found if record.session_id.startswith(wanted)]
        if not found and any(session_id.startswith(wanted) for session_id in list(self._ended)):
            raise NotFound(f"the session {wanted} has ended", field="session_id")
        if not found:
            raise NotFound(f"no session here has the id {wanted!r}", field="session_id")
        if len(found) > 1:
            raise Ambiguous(f"{len(found)} sessions have an id that begins with {wanted!r}", field="session_id")
        return found[0]

    def alive(self, wanted: str) -> tuple[Session, Target]:
        """Find a session whose program runs. Raises NotFound, Ambiguous, Conflict."""
        session, target = self.find(wanted)
        if session.status == "ended":
            raise Conflict("the session has ended")
        return session, target

    def act(self, target: Target, *commands: list[str], deadline: float) -> bytes:
        """Run tmux commands on a session's pane, and on no other. Raises NotFound when it is gone, CommandFailed."""
        return refuse_other(self.tmux(*target.guarded(*commands), server=target.server, deadline=deadline))

    def tmux(self, *args: str, server: int, deadline: float, data: bytes = b"") -> bytes:
        """Run a tmux command in the server with that process. Raises NotFound, CommandFailed."""
        self.refuse_if_hung()
        try:
            return self.local.tmux.run(*args, timeout=min(STEP_TIMEOUT, left(deadline)), data=data, server=server)
        except CommandFailed as error:
            if "can't find" in error.message:
                raise NotFound("the session has ended", field="session_id") from error
            raise

    def screen(self, target: Target, deadline: float) -> str:
        """Give what stands on a pane's screen, as plain text."""
        screen = self.act(target, ["capture-pane", "-p", "-t", target.pane], deadline=deadline)
        return screen.decode("utf-8", "replace")

    def refuse_second_server(self) -> None:
        """Raise Unavailable while the tmux server runs on without its socket: a new session would start another."""
        if self.local.has_lost_tmux:
            raise Unavailable("the command did not run: tmux' socket was removed, and is being made anew; try again")

    def refuse_if_hung(self) -> None:
        """Raise Unavailable while tmux is known to hang."""
        state, reason = self.local.state
        if state == "hung":
            raise Unavailable(f"the command did not run: {reason}")

    def show(self, deadline: float) -> bool:
        """See what was done, and put it where clients read. False when that could not be done in time."""
        return self.local.look_now(min(STEP_TIMEOUT, left(deadline))) and self._writer.flush(left(deadline))


def left(deadline: float) -> float:
    """Seconds until a deadline, at least 0."""
    return max(0.0, deadline - time.monotonic())
