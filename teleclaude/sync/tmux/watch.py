"""The watch on one tmux server: wakes on events, looks, and says how the server is.

How: the notifier, the terminals and the socket's folder tell *that* something happened (notifier.py, ttys.py); one
look at all panes tells *what*. A look is one conversation in tmux' own protocol (imsg.py): 0.9 ms of CPU in all at
20 sessions where a forked `list-panes` takes 5, and unlike a control client that stays, which could ask as cheaply,
it is nobody's client a moment later, so a daemon that hangs never keeps a server from ending. An attached control
client, hooks, pipes and a session of our own would all be seen or felt by the server's user.

Contract of `on_look`: it is given every look that was answered, in order; None means that no server runs, and is
said only when nobody listens on its socket. An answer that is late, cut short or an error is no look: what was there
stays, and `state` and `reason` say why. States are those of core.records.Service.
"""

from __future__ import annotations

import logging
import selectors
import shutil
import time
from collections.abc import Callable
from typing import Literal

from teleclaude.core.errors import PeerError, TeleclaudeError
from teleclaude.sync.tmux.client import DIRECT_VERSIONS, NoServer, NotInstalled, NotTaking, Query, Tmux
from teleclaude.sync.tmux.imsg import OtherProtocol
from teleclaude.sync.tmux.notifier import ClientWatch, Notifier, SocketWatch
from teleclaude.sync.tmux.panes import Look, PaneReader, Server
from teleclaude.sync.tmux.schedule import SAFETY, LookSchedule
from teleclaude.sync.tmux.ttys import Ttys

log = logging.getLogger(__name__)

HUNG_AFTER = 2.0  # seconds without an answer
ASK_AGAIN_AFTER = 30.0  # a question to a hung server is left standing that long, and answered when it wakes
FAILURES = 3  # looks in a row that failed, until it is said
BLIND_SAFETY = 1.0  # seconds between looks where not all changes are told of
FOLLOW_UP = 0.350  # seconds
NOTIFIER_PAUSE = 1.0  # seconds between two starts of the notifier

State = Literal["ok", "off", "absent", "down", "hung"]
_ABSENT = "tmux is not installed, or not in PATH"
_OFF = "no tmux server is running"


class TmuxWatch:
    """Watches `tmux`. All of it runs in the thread of `selector`'s loop: call `step` after each turn."""

    def __init__(self, tmux: Tmux, selector: selectors.BaseSelector, on_look: Callable[[Look | None], None]) -> None:
        self.tmux = tmux
        self.state: State = "off"
        self.reason = ""
        self.server: Server | None = None
        self.begun = 0  # number of the last look that began
        self.done = 0  # number of the last one that was answered, or shown to be unnecessary
        self.ttys = Ttys()
        self.on_output: Callable[[list[str]], None] = lambda _: None
        self.on_state: Callable[[], None] = lambda: None  # `state` or `reason` changed
        self._on_look = on_look
        self._selector = selector
        self._schedule = LookSchedule()
        self._reader = PaneReader()
        self._socket = SocketWatch(tmux.path)
        self._notifier: Notifier | None = None
        self._notifier_after = 0.0
        self._query: Query | None = None
        self._asked_at = 0.0
        self._failures = 0
        self._runs: frozenset[tuple[str, str, int | None]] = frozenset()
        self._follow_at: float | None = None
        self._clients = ClientWatch()
        self._register(self.ttys.fileno(), self._on_tty)
        self._register(self._socket.fileno(), self._on_socket)

    # What happened.

    def look_now(self) -> None:
        """Look as soon as no other look is under way."""
        self._schedule.at_once(time.monotonic())

    def look_soon(self) -> None:
        """Look again as soon as looks may follow one another."""
        self._schedule.trigger(time.monotonic(), urgent=True)

    def _on_tty(self) -> None:
        heard = self.ttys.receive_events(time.monotonic())
        if heard:
            self._heard(heard)

    def _heard(self, ttys: list[str]) -> None:
        now = time.monotonic()
        self._schedule.trigger(now)
        self._follow_at = now + FOLLOW_UP
        self.on_output(ttys)

    def _on_socket(self) -> None:
        if self._socket.receive():
            self._schedule.trigger(time.monotonic(), urgent=True)

    def _on_notifier(self) -> None:
        assert self._notifier is not None
        if not self._notifier.receive():
            self._end_notifier()
        self._schedule.trigger(time.monotonic(), urgent=True)

    # One turn.

    def step(self, now: float) -> None:
        """Do what is due."""
        rested = self.ttys.rested(now)
        if rested:
            self._heard(rested)
        if self._clients.is_due(now) and self._clients.have_changed(now):
            self._schedule.trigger(now, urgent=True)
        if self._follow_at is not None and now >= self._follow_at:
            self._follow_at = None
            self._schedule.trigger(now)
        if self._query is not None:
            self._check_patience(now)
        elif now >= self._schedule.due():
            self._begin(now)

    def next_due(self) -> float:
        """When `step` has something to do (monotonic)."""
        if self._query is None:
            due = self._schedule.due()
        else:
            due = self._asked_at + (ASK_AGAIN_AFTER if self.state == "hung" else HUNG_AFTER)
        others = (self.ttys.next_due(), self._clients.next_due(), self._follow_at)
        return min([due, *(other for other in others if other is not None)])

    def close(self) -> None:
        """End all of it."""
        self._end_query()
        self._end_notifier()
        for watch in (self.ttys, self._socket):
            self._selector.unregister(watch.fileno())
            watch.close()

    # A look.

    def _begin(self, now: float) -> None:
        self._schedule.began(now)
        self._schedule.safety = SAFETY if self._is_told() else BLIND_SAFETY
        self.begun += 1
        self._asked_at = now
        try:
            self._query = self.tmux.ask(*self._reader.command())
        except NoServer:
            self._note_no_server()
        except NotInstalled:
            self._set("absent", _ABSENT)
            self.done = self.begun
        except NotTaking as error:
            self._set("hung", error.message)
        except (TeleclaudeError, OSError) as error:
            self._failed(str(error))
        else:
            self._selector.register(self._query.fileno(), self._query.mask(), self._on_answer)
            self._on_answer()

    def _on_answer(self) -> None:
        assert self._query is not None
        try:
            answer = self._query.advance()
            if answer is None:
                self._selector.modify(self._query.fileno(), self._query.mask(), self._on_answer)
                return
            look = self._reader.read(answer)
        except OtherProtocol as error:
            log.info("%s: forking tmux for each look instead", error.message)
            self.tmux.direct = False
            self._end_query()
            self.look_now()
        except (PeerError, OSError) as error:
            self._end_query()
            self._failed(str(error))
        else:
            self._end_query()
            self._looked(look)

    def _looked(self, look: Look) -> None:
        self._failures = 0
        if look.spoilt:
            log.warning("%d panes could not be read", look.spoilt)
        if self.server is None or (self.server.pid, self.server.started) != (look.server.pid, look.server.started):
            self._meet(look.server)
        self._set("ok", "")
        self.ttys.keep(pane.tty for pane in look.panes if not pane.is_dead)
        self._ensure_notifier()
        self._schedule.ended(time.monotonic())
        self._follow_up(look)
        self._on_look(look)
        self.done = self.begun

    def _follow_up(self, look: Look) -> None:
        """Look again a little after the last that was heard or started: a shell or a script goes on silently."""
        # A pane that is dead is told before its exit status is.
        runs = frozenset((pane.id, pane.command, pane.is_dead and pane.exit_status) for pane in look.panes)
        if runs != self._runs:
            self._runs = runs
            self._follow_at = time.monotonic() + FOLLOW_UP
        self._clients.note(look.server.pid, is_attached=any(pane.attached for pane in look.panes), now=time.monotonic())

    def _meet(self, server: Server) -> None:
        log.info("tmux %s, server %d", server.version, server.pid)
        self.server = server
        self.tmux.direct = server.version in DIRECT_VERSIONS
        self._end_notifier()
        self.ttys.keep([])

    def _note_no_server(self) -> None:
        self._failures = 0
        self.server = None
        self._clients.note(0, is_attached=False, now=0.0)
        self._end_notifier()
        self.ttys.keep([])
        self._socket.renew()
        is_installed = shutil.which("tmux") is not None
        self._set("off" if is_installed else "absent", _OFF if is_installed else _ABSENT)
        self._on_look(None)
        self.done = self.begun

    def _failed(self, reason: str) -> None:
        """Keep what is there; try again soon. Servers that end, and load, make a look fail."""
        self._failures += 1
        log.log(logging.WARNING if self._failures == FAILURES else logging.DEBUG, "a look at tmux failed: %s", reason)
        if self._failures >= FAILURES:
            self._set("down", reason)
        else:
            self._schedule.trigger(time.monotonic(), urgent=True)

    def _check_patience(self, now: float) -> None:
        waited = now - self._asked_at
        if waited >= ASK_AGAIN_AFTER:
            self._end_query()
            self.look_now()
        elif waited >= HUNG_AFTER and self.state != "hung":
            self._set("hung", f"tmux has not answered for {HUNG_AFTER:.0f} s: it hangs, or is stopped")

    def _set(self, state: State, reason: str) -> None:
        if (state, reason) != (self.state, self.reason):
            log.info("tmux is %s%s", state, f": {reason}" if reason else "")
            self.state, self.reason = state, reason
            self.on_state()

    # Parts.

    def _register(self, fd: int, callback: Callable[[], None]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def _end_query(self) -> None:
        if self._query is not None:
            self._selector.unregister(self._query.fileno())
            self._query.close()
            self._query = None

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
        self._register(self._notifier.fileno(), self._on_notifier)
        # What changed between the look and the notifier's start is seen by the look that its first words trigger.

    def _is_told(self) -> bool:
        """Tell whether all that can tell of a change does. A forked tmux cannot (imsg.py, control_opening)."""
        return not self.ttys.is_blind and (self.server is None or self.tmux.direct)

    def _end_notifier(self) -> None:
        if self._notifier is not None:
            self._selector.unregister(self._notifier.fileno())
            self._notifier.close()
            self._notifier = None
