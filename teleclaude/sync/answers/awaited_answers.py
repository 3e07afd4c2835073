"""Agents' questions whose hooks await an answer here, and what becomes of each.

Rules:
- A hook waits on a pipe in the spool, by whose name its question is known (`Ask.id`). The pipe is held open from when
  it is heard of: the kernel tells either side that the other is gone, however it went. So no hook waits for a daemon
  that is not there, and a new daemon finds none that waits for an old one.
- An empty line, or the pipe's end, leaves the question to the agent's own dialog: after the agent's `wait_for_answer`,
  and as soon as nobody who may answer looks at this computer.
- A question is answered once. Whether that was in time is told by the session's record: where it went on before the
  answer was given, it was answered at its own terminal, and that counts.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import shlex
import stat
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from msgspec.structs import replace

from teleclaude.core.errors import Conflict, NotFound, TeleclaudeError
from teleclaude.core.files import private_folder, write_atomic
from teleclaude.core.records import Ask, Session, utc_seconds
from teleclaude.core.settings import AgentProfile
from teleclaude.core.verbs import Approve
from teleclaude.sync.answers.hook_decision import AGENTS, decision_line
from teleclaude.sync.sessions.agents.hook_event import HookEvent
from teleclaude.sync.sessions.processes import read_process
from teleclaude.sync.sessions.program_names import signature

log = logging.getLogger(__name__)

OPENED_WITHIN: Final = 2.0  # seconds from a report to its hook's waiting
MATCHED_WITHIN: Final = 10.0  # seconds from there to the session in which it is asked
KNOWN_AFTER: Final = 5.0  # seconds from the start until all who look have said so
OPEN_EVERY: Final = 0.01
LOOK_EVERY: Final = 1.0  # at whether somebody is there
TAKEN_WITHIN: Final = 5.0  # seconds for an agent to go on once it was answered
TOLD_WITHIN: Final = 3.0  # seconds that who answers waits to be told
KEPT: Final = 60.0  # seconds that it is known what became of a question
_EARLIER: Final = 0.03  # seconds by which a session that went on was surely quicker
_MOST: Final = 256

Stage = Literal["opening", "open", "sent", "over"]


@dataclass(slots=True)
class AwaitedAnswer:
    """One question. `until`, `since`: of its stage, time.monotonic(); `outcome`: what became of it, in words."""

    event: HookEvent
    until: float
    since: float
    stage: Stage = "opening"
    fd: int = -1
    session_id: str = ""
    asked_at: float = 0.0  # since when the session waits, seconds since 1970
    given: str = ""  # which answer, and by whom
    given_at: float = 0.0  # seconds since 1970
    outcome: str = ""


class AwaitedAnswers:
    """The questions that hooks left in `spool`. `changed` is called, from any thread, when records are others by that.

    `is_anybody_there` tells whether somebody looks who may answer. `give` is for any thread, the rest for one.
    """

    def __init__(self, spool: Path, changed: Callable[[], None]) -> None:
        self._spool, self._changed = spool, changed
        self._announcement = spool.parent / "answers"
        self.is_anybody_there: Callable[[], bool] = lambda: False
        self._waits: dict[str, float] = {}  # seconds, by the agent's program
        self._asks: dict[str, AwaitedAnswer] = {}
        self._since = float("inf")  # when it began
        self._poll = select.epoll()
        self._lock = threading.Condition()

    def fileno(self) -> int:
        """Readable when a hook that waited is gone; call `heard` then."""
        return self._poll.fileno()

    def use_agents(self, agents: Mapping[str, AgentProfile]) -> None:
        """Wait for answers as these profiles say, and tell the hooks' script for which agents somebody does."""
        waits: dict[str, float] = {}
        for profile in agents.values():
            program = signature(shlex.split(profile.command)) if profile.command else ""
            if program in AGENTS and profile.wait_for_answer:
                waits[program] = max(profile.wait_for_answer, waits.get(program, 0.0))
        self._waits = waits
        me = read_process(os.getpid())
        try:
            if waits and me is not None:
                private_folder(self._announcement.parent)
                text = f"{me.pid} {me.started} {' '.join(sorted(waits))}\n"
                write_atomic(self._announcement, text.encode(), durable=False)
            else:
                self._announcement.unlink(missing_ok=True)
        except (OSError, TeleclaudeError) as error:
            log.warning("no agent will wait for an answer from afar: %s", error)

    # In the loop.

    def asked(self, events: Iterable[HookEvent], now: float, boot: float) -> None:
        """Take the reports whose hooks await an answer. `boot`: seconds since the computer's start, now."""
        with self._lock:
            for event in events:
                if event.pipe and event.pipe not in self._asks and self._has_room():
                    left = self._waits.get(event.agent, 0.0) - (boot - event.at)
                    self._asks[event.pipe] = AwaitedAnswer(event, until=now + left, since=now)

    def _has_room(self) -> bool:
        """Forget the oldest that is over where there are too many."""
        if len(self._asks) >= _MOST:
            over = next((key for key, ask in self._asks.items() if ask.stage == "over"), None)
            if over is None:
                return False
            del self._asks[over]
        return True

    def heard(self) -> None:
        """Take note of hooks that are gone."""
        with self._lock:
            gone = {fd for fd, _ in self._poll.poll(0)}
            for ask in [ask for ask in self._asks.values() if ask.fd in gone]:
                self._let_go(ask)
                if ask.stage == "open":
                    self._end(ask, _GONE, time.monotonic())

    def step(self, now: float) -> None:
        """Do what is due."""
        self._since = min(self._since, now)
        is_there = now < self._since + KNOWN_AFTER or self.is_anybody_there()
        with self._lock:
            for ask in self._asks.values():
                if ask.stage == "opening":
                    self._open(ask, now)
                if ask.stage == "open" and now >= ask.until:
                    self._end(ask, "expired", now)
                if ask.stage == "open" and not is_there:
                    self._end(ask, "nobody was there to answer", now)
                if ask.stage == "open" and not ask.session_id and now >= ask.since + MATCHED_WITHIN:
                    self._end(ask, "it is in no session that is seen", now)
                if ask.stage == "sent" and now >= ask.since + TAKEN_WITHIN:
                    self._end(ask, "not taken", now)
            over = [key for key, ask in self._asks.items() if ask.stage == "over" and now >= ask.since + KEPT]
            for key in over:
                del self._asks[key]

    def next_due(self, now: float) -> float | None:
        """When `step` is to be called."""
        stages = {ask.stage for ask in self._asks.values()}
        if "opening" in stages:
            return now + OPEN_EVERY
        return now + LOOK_EVERY if stages & {"open", "sent"} else None

    def _open(self, ask: AwaitedAnswer, now: float) -> None:
        path = self._spool / ask.event.pipe
        try:
            fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO or now >= ask.since + OPENED_WITHIN:
                self._end(ask, "its hook waits no more", now)
            return
        found = os.fstat(fd)
        if not stat.S_ISFIFO(found.st_mode) or found.st_uid != os.geteuid():
            os.close(fd)
            self._end(ask, "its hook waits on no pipe", now)
            return
        with contextlib.suppress(OSError):  # its hook removes it too
            path.unlink()
        self._poll.register(fd, 0)  # that the other side is gone is told all the same
        ask.fd, ask.stage, ask.since = fd, "open", now
        self._changed()

    def _end(self, ask: AwaitedAnswer, outcome: str, now: float) -> None:
        if ask.fd >= 0:
            with contextlib.suppress(OSError):
                os.write(ask.fd, b"\n")
            self._let_go(ask)
        ask.stage, ask.outcome, ask.since = "over", outcome, now
        log.info("question %s of %s: %s", ask.event.pipe, ask.event.agent, outcome)
        self._lock.notify_all()
        self._changed()

    def _let_go(self, ask: AwaitedAnswer) -> None:
        if ask.fd >= 0:
            self._poll.unregister(ask.fd)
            os.close(ask.fd)
            ask.fd = -1

    def noted(self, sessions: list[Session], now: float) -> list[Session]:
        """Give the records with what becomes of their questions; and learn from them what became of some."""
        with self._lock:
            known = [ask for ask in self._asks.values() if ask.session_id and ask.stage in {"open", "sent"}]
            by_id = {session.session_id: session for session in sessions} if known else {}
            for ask in known:
                self._learn(ask, by_id.get(ask.session_id), now)
            return [self._with_answer(session) if session.asks and session.asks.id else session for session in sessions]

    def _learn(self, ask: AwaitedAnswer, session: Session | None, now: float) -> None:
        asks_still = session is not None and session.asks is not None and session.asks.id == ask.event.pipe
        if asks_still:
            return
        since = (utc_seconds(session.status_since) or 0.0) if session else 0.0
        if ask.stage == "sent" and session is not None and session.asks is not None and since <= ask.given_at:
            return  # its evidence comes in parts: it waits by one, and is over by the other
        if ask.stage == "sent":
            # What it does now may go on since before it asked: that tells nothing of when it went on.
            is_late = session is None or ask.asked_at < since < ask.given_at - _EARLIER
            self._end(ask, "answered at its own terminal first" if is_late else "taken", now)
        elif session is None or session.asks is None:
            self._end(ask, "answered at its own terminal", now)

    def _with_answer(self, session: Session) -> Session:
        asks = session.asks
        assert asks is not None
        ask = self._asks.get(asks.id)
        if ask is None or ask.stage == "opening":
            return replace(session, asks=replace(asks, id=""))
        if ask.stage == "open":
            ask.session_id, ask.asked_at = session.session_id, utc_seconds(session.status_since) or 0.0
            return session
        answered = f"{ask.given}, sent" if ask.stage == "sent" else _words(ask)
        closed: Ask = replace(asks, id="", answered=answered)
        return replace(session, asks=closed)

    def close(self) -> None:
        """Leave all questions to the agents' own dialogs."""
        with self._lock:
            self._announcement.unlink(missing_ok=True)
            for ask in self._asks.values():
                if ask.fd >= 0:
                    self._end(ask, "the daemon ended", time.monotonic())
            self._poll.close()

    # For any thread.

    def give(self, session: Session, args: Approve, by: str, deadline: float) -> str:
        """Answer a session's question; give what became of it: taken, or sent when that is not known in time.

        `by`: the computer that answers, empty for this one; `deadline`: time.monotonic(). Raises InvalidField, NotFound
        for a question that is not this session's, and Conflict for one that is answered or left to its terminal.
        """
        with self._lock:
            ask = self._asks.get(args.ask)
            if ask is None or ask.session_id != session.session_id:
                raise NotFound("the session asks nothing by that id now", field="ask")
            if ask.stage != "open":
                raise Conflict(f"it is too late: {_words(ask)}")
            line = decision_line(args, ask.event)
            ask.given = f"{_DONE[args.decision]} by {by or 'its own computer'}"
            self._write(ask, line)
            until = min(time.monotonic() + TOLD_WITHIN, deadline)
            self._changed()
            self._lock.wait_for(lambda: bool(ask.outcome), max(0.0, until - time.monotonic()))
        if ask.outcome not in {"", "taken"}:
            raise Conflict(f"it was too late: {ask.outcome}")
        return ask.outcome or "sent"

    def _write(self, ask: AwaitedAnswer, line: bytes) -> None:
        now = time.monotonic()
        ask.given_at = time.time()
        try:
            written = os.write(ask.fd, line)
        except OSError:
            written = 0
        if written < len(line):  # who reads has no whole line, and prints nothing
            self._let_go(ask)
            self._end(ask, "its hook waits no more", now)
            raise Conflict("it is too late: its hook waits no more")
        ask.stage, ask.since = "sent", now


_GONE: Final = "the agent waits no more: it was answered at its own terminal, or ended"
_DONE: Final = {"allow": "allowed", "deny": "denied", "suggested": "allowed for the session"}


def _words(ask: AwaitedAnswer) -> str:
    return ", ".join(part for part in (ask.given, ask.outcome) if part)
