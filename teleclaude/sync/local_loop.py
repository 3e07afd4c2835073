"""The local loop: watches this computer and keeps its own records up to date.

It sleeps until something happens: in tmux (watch.py), in an agent that has hooks, or in another thread (a pipe).
Projects and todos are read in threads of their own (projects/project_service.py): this one touches no file that is not
the daemon's or the kernel's.
The loop that does the work is the one that beats, so a beat proves that it works. Nothing in it waits for tmux: a
question is asked, and its answer is taken when it comes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from teleclaude.core.errors import Unavailable
from teleclaude.core.explanation import SessionExplanation
from teleclaude.core.lifeline import BEAT_EVERY
from teleclaude.core.records import Service, Session, key_of, utc_text
from teleclaude.core.settings import Settings
from teleclaude.sync.answers.awaited_answers import AwaitedAnswers
from teleclaude.sync.journal_notes import notes_of
from teleclaude.sync.own_computer import describe
from teleclaude.sync.own_records import OwnRecords
from teleclaude.sync.projects.catalogue import CatalogueView
from teleclaude.sync.projects.project_service import ProjectService
from teleclaude.sync.sessions.agent_screens import AgentScreens
from teleclaude.sync.sessions.agents.hook_spool import HookSpool
from teleclaude.sync.sessions.agents.state_files import StateFiles
from teleclaude.sync.sessions.identities import Identities
from teleclaude.sync.sessions.identity_writer import IdentityWriter
from teleclaude.sync.sessions.session_journal import SessionJournal
from teleclaude.sync.sessions.session_records import SessionBook
from teleclaude.sync.tmux.boot_clock import since_boot, wall_offset
from teleclaude.sync.tmux.client import TmuxClient
from teleclaude.sync.tmux.last_key import LastKey
from teleclaude.sync.tmux.panes import Look, Peek
from teleclaude.sync.tmux.watch import TmuxWatch

log = logging.getLogger(__name__)

LAST_WORDS = 0.5  # seconds that tmux may take for what is written at the end
JUDGE_EVERY = 0.5  # seconds, at least, between records that change by time or output alone


class LocalLoop:
    """Watches this computer. `run` is the loop; the other methods may be called from any thread.

    `spool`: the folder in which hooks leave their reports.
    """

    def __init__(
        self,
        settings: Settings,
        tmux_socket: str,
        own: OwnRecords,
        projects: ProjectService,
        spool: Path,
        state_files: StateFiles,
        journal: SessionJournal,
    ) -> None:
        self._settings, self._own = settings, own
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain)
        self.identities = Identities()
        self.tmux = TmuxClient(tmux_socket)
        self._book = SessionBook(own.computer, settings.agents, self.identities)
        self._watch = self._new_watch()
        self._hooks = HookSpool(spool)
        self.answers = AwaitedAnswers(spool, self.changed)
        for part in (self._hooks, self.answers):
            self._selector.register(part, selectors.EVENT_READ, part.heard)
        self._projects, self._state_files = projects, state_files
        self._shown: CatalogueView | None = None  # of the projects, in the own records
        self._self = own.described = describe(own, settings, tmux_socket)
        self.journal = journal
        own.listen(notes_of(journal, self._book.agent_session, self.identities))
        self._server = 0
        self._panes: dict[str, str] = {}  # by terminal
        self._last_key = LastKey()
        self._identity_writes = IdentityWriter(self._selector, self.identities, self._look_soon)
        self._screens = AgentScreens(self._selector, self._book, self._ask_publish)
        self._judge_at: float | None = None
        self._publish_due = False
        self._was_answered = False  # tmux was asked, and said what there is, or is verified not to run
        self._tmux_since = utc_text(time.time())
        self._turns: list[Callable[[], None]] = []  # what other threads want done in this one
        self._looked = threading.Condition()
        self._told = 0  # number of the last look that was published
        self._stopped = self._closed = False
        self._gate = threading.RLock()  # the pipe's end; a signal handler may come while it is held
        self.services: Callable[[], list[Service]] = list
        self.on_output: Callable[[list[str]], None] = lambda _: None  # panes that wrote

    # From other threads.

    def stop(self) -> None:
        """End `run`."""
        self._stopped = True
        self._wake()

    def reload(self, settings: Settings, tmux_socket: str) -> None:
        """Take other settings, soon. The computer's name stays until the next start."""
        self.call(lambda: self._reload(settings, tmux_socket))

    def changed(self) -> None:
        """Publish this computer's record anew, soon: one of its services changed."""
        self.call(self._ask_publish)

    def look_now(self, timeout: float) -> bool:
        """Look at tmux now, and wait until what is seen is among the own records. False after `timeout` seconds."""
        goal: list[int] = []

        def ask() -> None:
            goal.append(self._watch.begun + 1)
            self._watch.look_now()

        self.call(ask)
        with self._looked:
            return self._looked.wait_for(lambda: bool(goal) and self._told >= goal[0], timeout)

    def look_at_projects(self, timeout: float) -> bool:
        """Read projects and todos anew, and wait for it. False after `timeout` seconds."""
        return self._projects.look_again(timeout)

    def note_input(self, pane: str) -> None:
        """Note that a command wrote to a pane now."""
        when = since_boot()
        self.call(lambda: self._book.note_input(pane, when))

    def last_key(self) -> float:
        """When a key came last in a client of tmux, as looks and peeks tell: seconds since 1970, 0 for never."""
        return self._last_key.at

    def watch_output(self, panes: frozenset[str]) -> None:
        """Tell of output in these panes more promptly than of that in others."""
        self._watch.listening.watched = frozenset(tty for tty, pane in self._panes.items() if pane in panes)

    def has_pane(self, pane: str) -> bool:
        """Tell whether the last look showed this pane."""
        return pane in self._panes.values()

    def explain(self, session_id: str, timeout: float, *, with_title: bool) -> SessionExplanation | None:
        """Say why a session is said to do what it does; None for one that is not there. Raises Unavailable."""
        done = threading.Event()
        found: list[SessionExplanation | None] = []

        def turn() -> None:
            found.append(self._book.explain(session_id, since_boot(), with_title=with_title))
            done.set()

        self.call(turn)
        if not done.wait(timeout):
            raise Unavailable("this computer's own view did not answer in time")
        return found[0]

    @property
    def state(self) -> tuple[str, str]:
        """How tmux is: a state of core.records.Service, and its reason."""
        return self._watch.state, self._watch.reason

    @property
    def has_lost_tmux(self) -> bool:
        """Whether the tmux server runs on without its socket: whoever starts one now has two."""
        return self._watch.has_lost_its_socket

    @property
    def server(self) -> int:
        """Process of the tmux server whose ids the records hold; 0 for none."""
        return self._server

    def call(self, turn: Callable[[], None]) -> None:
        """Do something in the loop's thread, soon; also from a signal handler."""
        self._turns.append(turn)  # append and pop(0) are atomic
        self._wake()

    def _wake(self) -> None:
        with self._gate, contextlib.suppress(BlockingIOError):
            if not self._closed:
                os.write(self._wake_write, b"!")

    # The loop.

    def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Watch until stopped, calling `beat` at least every `BEAT_EVERY` seconds."""
        next_beat = 0.0
        self.answers.use_agents(self._settings.agents)
        self._projects.start(self.changed)
        self._state_files.start(lambda: self.call(self._take_files))
        while not self._stopped:
            now = time.monotonic()
            if now >= next_beat:
                beat()
                next_beat = now + BEAT_EVERY
            self._step(now)
            wait = max(0.0, min(self._next_due(), next_beat) - time.monotonic())
            for key, _ in self._selector.select(wait):
                key.data()
        self._close()

    def _step(self, now: float) -> None:
        while self._turns:
            self._turns.pop(0)()
        self._watch.step(now)
        self._projects.check(now)
        self._take_hooks(now)
        self._state_files.check(now)
        self._screens.step(self.tmux, self._server)
        if self._publish_due or _is_due(self._judge_at, now):
            self._publish()
        if self._told != self._watch.done:
            with self._looked:
                self._told = self._watch.done
                self._looked.notify_all()

    def _take_hooks(self, now: float) -> None:
        """Take what agents told by hooks, once it is known which panes there are."""
        boot, offset = since_boot(), wall_offset()
        events = self._hooks.take(now, boot, offset) if self._was_answered else []
        self.answers.asked(events, now, boot)
        self.answers.step(now)
        if events and self._book.hooked(events, boot, offset):
            self._publish_due = True

    def _next_due(self) -> float:
        hooks = self._hooks.next_due() if self._was_answered else None
        due = [self._watch.next_due(), self._judge_at, hooks, self._screens.next_due()]
        due.append(self.answers.next_due(time.monotonic()))
        return min(at for at in due if at is not None)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass

    def _close(self) -> None:
        if self._was_answered and self._watch.state == "ok":
            self._book.keep_statuses(float("inf"))  # also those that have not lasted yet: no age starts anew
            self._identity_writes.write_now(self.tmux, self._server, LAST_WORDS)
        self._identity_writes.close()
        self._screens.close()
        parts = (
            self._watch,
            self._projects,
            self._hooks,
            self._state_files,
            self.answers,
            self.journal,
            self._selector,
        )
        for part in parts:
            part.close()
        with self._gate:
            self._closed = True
            os.close(self._wake_read)
            os.close(self._wake_write)
        with self._looked:
            self._looked.notify_all()

    # What was seen.

    def looked(self, look: Look | None) -> None:
        """Take a look at all panes; None: no server runs."""
        self._was_answered = True
        server = look.server.pid if look else 0
        if server != self._server:
            if self._server:
                self.journal.parted(is_orderly=self._watch.died != self._server)
            self._server = server
            self._book.forget()
        if server:
            self.journal.met(server)
        self._panes = {pane.tty: pane.id for pane in look.panes} if look else {}
        if look:
            self._last_key.looked(look)
            self.identities.meet(server)
            if not self._book.take(look, self._watch.listening.wrote_at, since_boot(), wall_offset()):
                self._watch.look_soon()
        else:
            self._book.forget()
        self._publish()
        if server:
            self.journal.keep_only({key_of(row) for row in self._own.snapshot("sessions")[1]})

    def peeked(self, peeks: list[Peek]) -> Collection[str]:
        """Take a peek at some panes; give the ids of those of which a row shows something new."""
        self._last_key.peeked(peeks)
        new = self._book.peek(peeks, since_boot(), wall_offset())
        self._publish()
        return new

    def wrote(self, ttys: list[str]) -> None:
        """Hear that terminals wrote or read."""
        panes = [self._panes[tty] for tty in ttys if tty in self._panes]
        if self._book.heard(panes, since_boot()):
            soon = time.monotonic() + JUDGE_EVERY
            self._judge_at = soon if self._judge_at is None else min(self._judge_at, soon)
        self.on_output(panes)

    def _take_files(self) -> None:
        if self._book.take_files(self._state_files.signs()):
            self._publish_due = True

    def tmux_state_changed(self) -> None:
        """Hear that tmux is in another state."""
        self._tmux_since = utc_text(time.time())
        self._publish_due = True

    def _look_soon(self) -> None:
        self._watch.look_soon()

    def _ask_publish(self) -> None:
        self._publish_due = True

    def _publish(self) -> None:
        """Bring the own records up to date with what is known now."""
        self._publish_due = False
        now = time.monotonic()
        view = self._projects.view(self._book.folders() | self.journal.folders())
        is_all_new = view is not None and view is not self._shown
        if view is not None and is_all_new:
            self._shown = view
            self._own.update("projects", view.projects)
            self._own.update("todos", view.todos)
        project_of = view.project_of if view else lambda _: ""
        boot = since_boot()
        judged, expires = self._book.records(project_of, boot, is_all_new=is_all_new)
        sessions = self.answers.noted(judged, now)
        self._state_files.want(self._book.processes_of("claude"))
        kept_at = self._book.keep_statuses(boot)
        self._identity_writes.write(self.tmux, self._server)
        due = [at for at in (expires, kept_at) if at is not None]
        self._judge_at = now + max(min(due) - boot, JUDGE_EVERY) if due else None
        before, lost = self.journal.version, self.journal.records(self._own.computer, project_of)
        sessions = [*lost, *sessions]
        if self._was_answered:
            self._own.update("sessions", sessions)
        self._publish_due = self.journal.version != before  # one that was resumed ended at once, or is there
        self._update_computer(sessions)
        if self._was_answered or self._watch.state != "off":
            self._own.filled()

    def _update_computer(self, sessions: list[Session]) -> None:
        tmux = Service(name="tmux", state=self._watch.state, reason=self._watch.reason, since=self._tmux_since)
        me = msgspec.structs.replace(
            self._self,
            counts=dict(sorted(Counter(session.status for session in sessions).items())),
            services=(tmux, *self._projects.services(), *self.services()),
        )
        old = self._own.me
        if old is None or msgspec.structs.replace(old, last_seen="") != me:
            self._own.update_computer(msgspec.structs.replace(me, last_seen=utc_text(time.time())))

    # Settings.

    def _reload(self, settings: Settings, tmux_socket: str) -> None:
        old, self._settings = self._settings, settings
        self._self = describe(self._own, settings, tmux_socket)
        if settings.agents != old.agents:
            self.answers.use_agents(settings.agents)
            self._book.use_agents(settings.agents)
        if settings.projects != old.projects:
            self._projects.reload(settings.projects)
        if TmuxClient(tmux_socket).path != self.tmux.path:
            self._watch.close()
            self.journal.leave()
            self._server = 0
            self.tmux = TmuxClient(tmux_socket)
            self._watch = self._new_watch()
        self._watch.look_now()

    def _new_watch(self) -> TmuxWatch:
        return TmuxWatch(self.tmux, self._selector, self, self._book.glance)


def _is_due(at: float | None, now: float) -> bool:
    return at is not None and at <= now
