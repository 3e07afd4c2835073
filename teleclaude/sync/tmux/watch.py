"""The watch on one tmux server: wakes on events, asks, and says how the server is.

How: the notifier, the terminals and the socket's folder tell *that* something happened (notifier.py, ttys.py), /proc
tells whether a terminal's foreground is another, and tmux tells *what*: one look at all panes after the notifier or
when nothing told for long, one peek at the few panes that wrote (pace.py says when). Both are one conversation in
tmux' own protocol (imsg.py), which forks nothing; and unlike a control client that stays, which could ask as cheaply,
it is nobody's client a moment later, so a daemon that hangs never keeps a server from ending. An attached control
client, hooks, pipes and a session of our own would all be seen or felt by the server's user.

Contract of `Listener`: it is given every look and peek that was answered, in order; None means that no server runs,
and is said only when nobody listens on its socket. An answer that is late, cut short or an error is none: what was
there stays, and `state` and `reason` say why. States are those of core.records.Service.
"""

from __future__ import annotations

import logging
import os
import selectors
import shutil
import time
from collections.abc import Callable, Collection
from typing import Literal, Protocol

from teleclaude.core.errors import PeerError, TeleclaudeError
from teleclaude.sync.tmux.asking import Question
from teleclaude.sync.tmux.client import DIRECT_VERSIONS, NoServer, NotInstalled, NotTaking, TmuxClient
from teleclaude.sync.tmux.imsg import Answer, OtherProtocol
from teleclaude.sync.tmux.listening import Listening
from teleclaude.sync.tmux.notifier import ClientWatch, Notifier, SocketWatch
from teleclaude.sync.tmux.pace import AT_ONCE
from teleclaude.sync.tmux.panes import Look, Pane, PaneReader, Peek, Server
from teleclaude.sync.tmux.schedule import SAFETY, LookSchedule
from teleclaude.sync.tmux.server_process import ServerProcess, server_process

log = logging.getLogger(__name__)

HUNG_AFTER = 2.0  # seconds without an answer
ASK_AGAIN_AFTER = 30.0  # a question to a hung server is left standing that long, and answered when it wakes
FAILURES = 3  # looks in a row that failed, until it is said
BLIND_SAFETY = 1.0  # seconds between looks where not all changes are told of
END_TOLD = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # seconds between looks at a pane that is dead and tells no status
FOLLOW_UP = 0.350  # seconds until a pane that changed is asked again: a shell or a script goes on silently
ASK_FOR_SOCKET = 1.0  # seconds until a server is asked for its socket again
LEAVES_WITHIN, LEAVE_EVERY = 0.5, 0.02  # seconds from when a server cannot be reached until it has said so
NOTIFIER_PAUSE = 1.0  # seconds between two starts of the notifier

State = Literal["ok", "off", "absent", "down", "hung"]
_ABSENT = "tmux is not installed, or not in PATH"
_OFF = "no tmux server is running"


class Listener(Protocol):
    """Who is told of what the watch finds."""

    def looked(self, look: Look | None) -> None:
        """Take a look at all panes; None: no server runs."""
        ...

    def peeked(self, peeks: list[Peek]) -> Collection[str]:
        """Take a peek at some panes; give the ids of those of which a row shows something new."""
        ...

    def wrote(self, ttys: list[str]) -> None:
        """Hear that terminals wrote or read."""
        ...

    def tmux_state_changed(self) -> None:
        """Hear that `state` or `reason` changed."""
        ...


class TmuxWatch:
    """Watches `tmux`. All of it runs in the thread of `selector`'s loop: call `step` after each turn.

    `glance` gives what a pane's process (by id) has in the foreground now, to be compared.
    """

    def __init__(
        self, tmux: TmuxClient, selector: selectors.BaseSelector, listener: Listener, glance: Callable[[int], object]
    ) -> None:
        self.tmux = tmux
        self.state: State = "off"
        self.reason = ""
        self.server: Server | None = None
        self._process: ServerProcess | None = None
        self.begun = 0  # number of the last look that began
        self.done = 0  # number of the last one that was answered, or shown to be unnecessary
        self.listening = Listening(selector, self._heard, glance)
        self._listener = listener
        self._selector = selector
        self._schedule = LookSchedule()
        self._reader = PaneReader()
        self._socket = SocketWatch(tmux.path)
        self._notifier: Notifier | None = None
        self._notifier_after = 0.0
        self._question: Question | None = None
        self._asked_at = 0.0
        self._failures = 0
        self._runs: dict[str, tuple[str, bool, int | None]] = {}
        self._ends: dict[str, int] = {}  # by dead pane of which tmux tells no end: looks
        self._clients = ClientWatch()
        self.died = 0  # process of a server that broke off without a word; it counts once that one is gone
        self._leaving: float | None = None
        self._selector.register(self._socket.fileno(), selectors.EVENT_READ, self._on_socket)

    # What happened.

    def look_now(self) -> None:
        """Look as soon as no other look is under way."""
        self._schedule.at_once(time.monotonic())

    def look_soon(self) -> None:
        """Look again as soon as looks may follow one another."""
        self._schedule.trigger(time.monotonic())

    def _heard(self, ttys: list[str]) -> None:
        self._listener.wrote(ttys)

    def _on_socket(self) -> None:
        if self._socket.receive():
            self.look_soon()

    def _on_notifier(self) -> None:
        assert self._notifier is not None
        if not self._notifier.receive():
            self._end_notifier()
        self.look_soon()

    # One turn.

    def step(self, now: float) -> None:
        """Do what is due."""
        if self.listening.step(now):
            self._schedule.trigger(now)
        if self._clients.is_due(now) and self._clients.have_changed(now):
            self._schedule.trigger(now)
        if self._question is not None:
            self._check_patience(now)
        elif now >= self._schedule.due():
            self._begin(now)
        elif self.server and now >= self._schedule.peek_due(self.listening.next_peek()):
            self._begin_peek(now)

    def next_due(self) -> float:
        """When `step` has something to do (monotonic)."""
        if self._question is None:
            due = min(self._schedule.due(), self._schedule.peek_due(self.listening.next_peek()))
        else:
            due = self._asked_at + (ASK_AGAIN_AFTER if self.state == "hung" else HUNG_AFTER)
        others = (self.listening.next_due(), self._clients.next_due())
        return min([due, *(other for other in others if other is not None)])

    def close(self) -> None:
        """End all of it."""
        self._end_question()
        self._end_notifier()
        self.listening.close()
        self._selector.unregister(self._socket.fileno())
        self._socket.close()

    # A look at all panes.

    def _begin(self, now: float) -> None:
        self._schedule.began(now)
        self._schedule.safety = SAFETY if self._is_told() else BLIND_SAFETY
        self.begun += 1
        self.listening.asked_all(now)
        self._ask(now, self._reader.command(), self._on_look)

    def _ask(self, now: float, words: list[str], on_end: Callable[[Answer | PeerError | OSError], None]) -> None:
        self._asked_at = now
        try:
            query = self.tmux.ask(*words)
        except NoServer:
            if not self._asked_for_its_socket(now):
                self._note_no_server(now)
        except NotInstalled:
            self._set("absent", _ABSENT)
            self.done = self.begun
        except NotTaking as error:
            self._set("hung", error.message)
        except (TeleclaudeError, OSError) as error:
            self._failed(str(error))
        else:
            self._question = Question(self._selector, query, on_end)
            self._question.advance()

    def _on_look(self, answer: Answer | PeerError | OSError) -> None:
        self._question = None
        if isinstance(answer, OtherProtocol):
            log.info("%s: forking tmux for each look instead", answer.message)
            self.tmux.direct = False
            self.look_now()
            return
        try:
            if not isinstance(answer, Answer):
                raise answer
            look = self._reader.read(answer)
        except (PeerError, OSError) as error:
            self._failed(str(error))
        else:
            self._looked(look)

    def _looked(self, look: Look) -> None:
        self._failures = 0
        if look.spoilt:
            log.warning("%d panes could not be read", look.spoilt)
        if self.server is None or (self.server.pid, self.server.started) != (look.server.pid, look.server.started):
            self._meet(look.server)
        if self._socket.blindness:
            self._socket.renew()
        self._set("ok", self._blindness())
        self.listening.keep([pane for pane in look.panes if not pane.is_dead])
        self._ensure_notifier()
        now = time.monotonic()
        self._schedule.ended(now)
        self._follow_up(look.panes, now)
        self._clients.note(look.server.pid, is_attached=any(pane.attached for pane in look.panes), now=now)
        self._listener.looked(look)
        self.done = self.begun

    def _follow_up(self, panes: list[Pane], now: float) -> None:
        """See to it that a pane that runs something else is asked again."""
        before = self._runs
        self._runs = {pane.id: (pane.command, pane.is_dead, pane.exit_status) for pane in panes}
        for pane in panes:
            if before.get(pane.id) != self._runs[pane.id]:
                self.listening.follow_up(pane.tty, now + FOLLOW_UP)
        self._await_ends(panes, now)

    def _await_ends(self, panes: list[Pane], now: float) -> None:
        """Look again for what ended a pane: it is dead as its terminal closes, before its process ends."""
        self._ends = {pane.id: self._ends.get(pane.id, 0) + 1 for pane in panes if _is_end_unknown(pane)}
        tries = [number for number in self._ends.values() if number <= len(END_TOLD)]
        if tries and self._process:
            self._process.ask_who_ended()
            self._schedule.trigger_at(now + END_TOLD[min(tries) - 1])

    # A peek at some.

    def _begin_peek(self, now: float) -> None:
        wanted = self.listening.begin_peek(now)
        if len(wanted) > AT_ONCE or not self.tmux.direct:
            self.look_soon()
            return
        self._schedule.began_peek(now)
        self._ask(now, self._reader.peek_command(wanted), self._on_peek)

    def _on_peek(self, answer: Answer | PeerError | OSError) -> None:
        self._question = None
        self._schedule.ended_peek(time.monotonic())
        peeks = self._reader.read_peek(answer) if isinstance(answer, Answer) else None
        if peeks is None:  # a pane is gone, or the server is: all is looked at
            self.look_soon()
            return
        self._set("ok", self._blindness())
        new = self._listener.peeked(peeks)
        if any(_is_end_unknown(peek) for peek in peeks):
            self._schedule.trigger_at(time.monotonic() + END_TOLD[0])
        self.listening.answered({peek.id: peek.id in new for peek in peeks})

    # How the server is.

    def _meet(self, server: Server) -> None:
        log.info("tmux %s, server %d", server.version, server.pid)
        if self._notifier is not None:
            self._notifier.receive()
            self._end_notifier()
        self.server, self._process = server, server_process(server.pid)
        self.tmux.direct = server.version in DIRECT_VERSIONS
        self._runs.clear()
        self.listening.keep([])

    def _note_no_server(self, now: float) -> None:
        if self._may_take_leave(now):
            self._schedule.trigger_at(now + LEAVE_EVERY)
            return
        self._failures = 0
        self.server, self._process = None, None
        self._runs.clear()
        self._clients.note(0, is_attached=False, now=0.0)
        self._end_notifier()
        self.listening.keep([])
        self._socket.renew()
        is_installed = shutil.which("tmux") is not None
        self._set("off" if is_installed else "absent", _OFF if is_installed else _ABSENT)
        self._listener.looked(None)
        self.done = self.begun

    @property
    def has_lost_its_socket(self) -> bool:
        """Whether the server that is known runs on, and only its socket is gone. From any thread."""
        process = self._process
        return process is not None and not os.path.lexists(self.tmux.path) and process.is_running()

    def _asked_for_its_socket(self, now: float) -> bool:
        """Ask a server that lost its socket for another. False when it is not so."""
        if not self.has_lost_its_socket or self._process is None or not self._process.make_socket_anew():
            return False
        self._socket.renew()
        self._set("down", f"tmux' socket {self.tmux.path} was removed; its server was asked to make it anew")
        self._schedule.trigger_at(now + ASK_FOR_SOCKET)
        return True

    def _failed(self, reason: str) -> None:
        """Keep what is there; try again soon. Servers that end, and load, make a look fail."""
        self._failures += 1
        log.log(logging.WARNING if self._failures == FAILURES else logging.DEBUG, "a look at tmux failed: %s", reason)
        if self._failures >= FAILURES:
            self._set("down", reason)
        else:
            self.look_soon()

    def _check_patience(self, now: float) -> None:
        waited = now - self._asked_at
        if waited >= ASK_AGAIN_AFTER:
            self._end_question()
            self.look_now()
        elif waited >= HUNG_AFTER and self.state != "hung":
            self._set("hung", f"tmux has not answered for {HUNG_AFTER:.0f} s: it hangs, or is stopped")

    def _set(self, state: State, reason: str) -> None:
        if (state, reason) != (self.state, self.reason):
            log.info("tmux is %s%s", state, f": {reason}" if reason else "")
            self.state, self.reason = state, reason
            self._listener.tmux_state_changed()

    # Parts.

    def _end_question(self) -> None:
        if self._question is not None:
            self._question.close()
            self._question = None

    def _ensure_notifier(self) -> None:
        now = time.monotonic()
        if self._notifier is not None or now < self._notifier_after or not self.tmux.direct:
            return
        self._notifier_after = now + NOTIFIER_PAUSE
        try:
            self._notifier = Notifier(self.tmux)
        except (TeleclaudeError, OSError) as error:
            log.warning("tmux cannot tell of changes (%s); looking now and then instead", error)
            return
        self.died = 0
        self._selector.register(self._notifier.fileno(), selectors.EVENT_READ, self._on_notifier)
        # What changed between the look and the notifier's start is seen by the look that its first words trigger.

    def _is_told(self) -> bool:
        """Tell whether all that can tell of a change does. A forked tmux cannot (imsg.py, control_opening)."""
        return not self._blindness() and (self.server is None or self.tmux.direct)

    def _blindness(self) -> str:
        """Why looks come by the clock, as a person reads it; empty when they need not."""
        reason = self.listening.blindness or self._socket.blindness
        return f"changes are looked for once a second: {reason}" if reason else ""

    def _may_take_leave(self, now: float) -> bool:
        """Tell whether a server that cannot be reached is still to say that it ends, as it does unless it died."""
        if self._notifier is None:
            self._leaving = None
            return False
        self._leaving = now if self._leaving is None else self._leaving
        if self._notifier.receive() and now - self._leaving < LEAVES_WITHIN:
            return True
        self._end_notifier()
        self._leaving = None
        return False

    def _end_notifier(self) -> None:
        if self._notifier is not None:
            if self.server and not self._notifier.was_told_to_go:
                self.died = self.server.pid
            self._selector.unregister(self._notifier.fileno())
            self._notifier.close()
            self._notifier = None


def _is_end_unknown(pane: Pane | Peek) -> bool:
    return pane.is_dead and pane.exit_status is None and not pane.signal
