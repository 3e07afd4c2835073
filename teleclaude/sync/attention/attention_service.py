"""Attention, as the rest of the sync process sees it: own sessions in, a person told. A thread of its own.

What a session has to tell is decided by its owner, this computer, and only here (moments.py); so neither a replica that
is pulled again nor a second computer that sees the same session tells it twice. What was told is kept in the runtime
folder for the next daemon.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from teleclaude.core.files import write_atomic
from teleclaude.core.notify_settings import NotifyRule
from teleclaude.core.records import Kind, Service, Session
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.attention.gathering import Gathering
from teleclaude.sync.attention.lookers import is_on_screen
from teleclaude.sync.attention.moments import Moments, Remembered
from teleclaude.sync.attention.screens import Screens
from teleclaude.sync.attention.ways import Ways
from teleclaude.sync.own_records import OwnChange, OwnRecords

log = logging.getLogger(__name__)

KEEPS_FOR = 600.0  # seconds after which what an earlier daemon told is too old to go on from

Rows: TypeAlias = dict[str, Session | None]
_decode = msgspec.json.Decoder(dict[str, Remembered]).decode


class AttentionService:
    """`start` once; then any thread may call. `file`: where is kept what was told.

    `route` takes notices of this computer that are to go where the user is; False when there is nowhere but here.
    `key_in_tmux` gives when the last key came in tmux here, seconds since 1970.
    """

    def __init__(
        self,
        own: OwnRecords,
        screens: Screens,
        file: Path,
        threads: ThreadGroup,
        *,
        on_change: Callable[[], None],
        route: Callable[[list[SessionNotice]], bool],
        key_in_tmux: Callable[[], float],
    ) -> None:
        self._computer, self._screens, self._file, self._threads = own.computer, screens, file, threads
        self._route, self._key_in_tmux = route, key_in_tmux
        self._ways = Ways(screens, threads, on_change)
        self._moments = Moments(_load(file, time.time()))
        self._gathering = Gathering()
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._known: dict[str, tuple[object, ...]] = {}  # what matters here of each session, as it was handed on last
        self._kept: Mapping[str, Remembered] = {}
        own.listen(self._own_changed)

    # From other threads.

    def start(self) -> None:
        """Begin."""
        self._threads.start("attention", self._run)

    def stop(self) -> None:
        """Tell nothing more."""
        self._inbox.put(None)

    def use(self, rules: tuple[NotifyRule, ...]) -> None:
        """Take the rules of the settings, soon."""
        self._inbox.put(lambda: self._ways.use(rules))

    def services(self) -> list[Service]:
        """What does not work, for people."""
        return self._ways.services()

    def tell_here(self, notices: list[SessionNotice]) -> None:
        """Tell who uses this computer: of own sessions that came back from their way, or of another computer's."""
        self._inbox.put(lambda: self._gather(notices))

    def last_key(self) -> float:
        """When the user pressed a key here last: seconds since 1970, 0 for never."""
        return max([self._key_in_tmux(), *(one.last_key for one in self._screens.terminals())])

    def _own_changed(self, kind: Kind, change: OwnChange) -> None:
        """Hand on what matters here: most changes of a session are of its last output, and wake nobody."""
        if kind != "sessions":
            return
        rows: Rows = {}
        for key, row in change.rows.items():
            matters = _what_matters(row) if isinstance(row, Session) else ()
            if self._known.get(key) != matters:
                self._known[key] = matters
                rows[key] = row if isinstance(row, Session) else None
            if row is None:
                del self._known[key]
        if rows:
            self._inbox.put(lambda: self._moments.take(rows, time.monotonic()))

    # The thread.

    def _run(self) -> None:
        while True:
            try:
                work = self._inbox.get(timeout=self._pause())
            except queue.Empty:
                pass
            else:
                if work is None:
                    self._ways.stop()
                    return
                work()
            self._step()

    def _pause(self) -> float | None:
        due = [at for at in (self._moments.next_due(), self._gathering.due) if at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _step(self) -> None:
        now = time.monotonic()
        found = self._moments.due(now)
        self._keep()  # before anybody is told: better once too little, where this process dies, than twice
        if found and (unseen := self._unseen(found)) and not self._route(unseen):
            self._gather(unseen)
        gathered = [notice for notice in self._gathering.take(time.monotonic()) if self._is_so(notice)]
        if gathered and (unseen := self._unseen(gathered)):
            self._ways.tell(unseen, time.localtime())

    def _gather(self, notices: list[SessionNotice]) -> None:
        for notice in notices:
            self._gathering.add(notice, time.monotonic())

    def _is_so(self, notice: SessionNotice) -> bool:
        """Whether it still is as a notice says; another computer's is known to its owner alone."""
        return notice.computer != self._computer or self._moments.is_so(notice)

    def _unseen(self, notices: list[SessionNotice]) -> list[SessionNotice]:
        """Those of sessions that nobody looks at here."""
        attached, terminals, wall = self._screens.attached(), self._screens.terminals(), time.time()
        return [n for n in notices if not is_on_screen(n, n.computer == self._computer, attached, terminals, wall)]

    def _keep(self) -> None:
        told = self._moments.told()
        if told == self._kept:
            return
        try:
            write_atomic(self._file, msgspec.json.encode(told), durable=False)
        except OSError as error:
            log.warning("what was told is not kept: %s", error.strerror)
        self._kept = told


def _what_matters(session: Session) -> tuple[object, ...]:
    return session.status, session.status_reason, session.asks, session.background, session.last_answer, session.title


def _load(file: Path, wall: float) -> dict[str, Remembered]:
    """What the daemon before told, if that is not long ago."""
    try:
        if wall - file.stat().st_mtime > KEEPS_FOR:
            return {}
        return _decode(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("what was told before cannot be read: %s", error)
        return {}
