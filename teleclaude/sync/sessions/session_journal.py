"""Which agents run on this computer, kept so that they can be brought back when it, or its tmux server, was lost.

Rules:
- There is an entry for each pane with an agent, for as long as the agent is in it. What ends by itself, or is ended, is
  gone: it is not lost.
- Entries are lost when the computer was started anew while they ran, or when their tmux server died without taking
  leave (one whose last session ends, or that is told to end, takes leave). A daemon that ends loses none.
- A computer that shuts down ends its sessions orderly, and the daemon may see that: what ended in the last seconds
  before it was started anew counts as lost with it.
- What was resumed and ends within seconds is lost once more, and is to be started afresh; never a third time.

No file and no clock of its own here: `save` is given what is to be kept. Usable from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from teleclaude.core.records import Session, Tmux, utc_text
from teleclaude.sync.sessions.known_panes import NO_AGENTS

SHUTDOWN = 5.0  # seconds that a shutdown takes from the end of an agent to the end of the daemon
BOOT = 120.0  # seconds that a computer takes to come back, at most
TRIAL = 10.0  # seconds that what is resumed must last
LOST_MOST, LIVE_MOST = 200, 2000
LOST_FOR = 30 * 24 * 3600.0  # seconds that the lost are kept
_AT_BOOT, _WITH_SERVER = "the computer was started anew", "the tmux server died"


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One agent. `session_id`: ours; `agent_session`: the agent's own; `own_title`: given to it by a user.

    `name`: of its tmux session. `ended`, `lost`: seconds since 1970, 0 while it is not. `failed`: it was resumed, and
    ended at once.
    """

    session_id: str
    agent: str
    agent_session: str = ""
    cwd: str = ""
    title: str = ""
    own_title: str = ""
    mode: str = ""
    parent: str = ""
    name: str = ""
    created_at: str = ""
    ended: float = 0.0
    lost: float = 0.0
    reason: str = ""
    failed: bool = False


class StoredJournal(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept. `boot`: the start of the computer, by its kernel's id; `server`, `started`: tmux' process.

    `closed`: the daemon ended orderly, at `saved` (seconds since 1970).
    """

    boot: str = ""
    saved: float = 0.0
    closed: bool = False
    server: int = 0
    started: int = 0
    entries: tuple[JournalEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalClock:
    """`wall`: seconds since 1970 now; `boot`: which start of the computer this is, and `booted` when it was.

    `server`: when a tmux server's process started, None for one that does not run.
    """

    wall: Callable[[], float]
    boot: str
    booted: float
    server: Callable[[int], int | None]


def nothing_kept(_: StoredJournal) -> None:
    """Keep nothing."""


class SessionJournal:
    """The journal of one computer. `save` is called under its lock: it must be quick."""

    def __init__(
        self, clock: JournalClock, stored: StoredJournal, save: Callable[[StoredJournal], None] = nothing_kept
    ) -> None:
        self._clock, self._save = clock, save
        self._lock = threading.RLock()
        self._live: dict[str, JournalEntry] = {}
        self._ended: list[JournalEntry] = []
        self._lost: dict[str, JournalEntry] = {}
        self._trials: dict[str, float] = {}  # what was resumed, until when it is on trial (wall)
        self._server = self._started = 0
        self.version = 0  # of the lost
        self._read(stored)

    def _read(self, stored: StoredJournal) -> None:
        now = self._clock.wall()
        lost = [entry for entry in stored.entries if entry.lost and now - entry.lost < LOST_FOR]
        self._lost = {entry.session_id: entry for entry in lost}
        live = [entry for entry in stored.entries if not entry.lost and not entry.ended]
        if stored.boot != self._clock.boot:
            ended = [entry for entry in stored.entries if self._ended_with_computer(entry, stored)]
            self._lose([*live, *ended], _AT_BOOT)
        elif stored.server and self._clock.server(stored.server) != stored.started:
            self._lose(live, _WITH_SERVER)
        else:
            self._live = {entry.session_id: entry for entry in live}
            self._server, self._started = stored.server, stored.started
        self._keep()

    def _ended_with_computer(self, entry: JournalEntry, stored: StoredJournal) -> bool:
        if not (stored.closed and entry.ended):
            return False
        return stored.saved - entry.ended < SHUTDOWN and self._clock.booted - entry.ended < BOOT

    # What is seen.

    def met(self, server: int) -> None:
        """Take that this tmux server answered. Entries of another one are lost: it was not heard to take leave."""
        with self._lock:
            if server == self._server:
                return
            self.parted(is_orderly=False)
            self._server, self._started = server, self._clock.server(server) or 0
            self._keep()

    def parted(self, *, is_orderly: bool) -> None:
        """Take that the tmux server ended. `is_orderly`: it took leave."""
        with self._lock:
            live, self._live = list(self._live.values()), {}
            self._server = self._started = 0
            if is_orderly:
                self._end(live)
            else:
                self._lose(live, _WITH_SERVER)
            if live:
                self._keep()

    def leave(self) -> None:
        """Take that another tmux server is watched from now on: that one runs on."""
        with self._lock:
            self._live, self._server, self._started = {}, 0, 0
            self._keep()

    def saw(self, session: Session, agent_session: str, own_title: str) -> None:
        """Take a row as it is now. What an agent said of its own session before holds until it says another."""
        with self._lock:
            key, before = session.session_id, self._live.get(session.session_id)
            if session.status == "lost":
                return
            if session.agent in NO_AGENTS or session.status == "ended":
                self.gone(key)
                return
            entry = JournalEntry(
                session_id=key,
                agent=session.agent,
                agent_session=agent_session or (before.agent_session if before else ""),
                cwd=session.cwd,
                title=session.title,
                own_title=own_title,
                mode=session.thinking_mode,
                parent=session.parent,
                name=session.tmux.name,
                created_at=session.created_at,
            )
            was_lost = self._lost.pop(key, None)
            if was_lost:
                self.version += 1
                entry = replace(entry, agent_session=entry.agent_session or was_lost.agent_session)
            if entry != before and (before or len(self._live) < LIVE_MOST):
                self._live[key] = entry
                self._keep()

    def gone(self, session_id: str) -> None:
        """Take that a row is no more, or that no agent runs in it."""
        with self._lock:
            entry = self._live.pop(session_id, None)
            if entry is not None:
                self._end([entry])
                self._keep()

    def keep_only(self, session_ids: Collection[str]) -> None:
        """Take which rows there are at all."""
        with self._lock:
            for key in [key for key in self._live if key not in session_ids]:
                self.gone(key)

    # What is done.

    def lost(self, session_id: str) -> JournalEntry | None:
        """Give a lost one."""
        with self._lock:
            return self._lost.get(session_id)

    def forget(self, session_id: str) -> bool:
        """Forget one, lost or not: it is not to come back. False when there is none."""
        with self._lock:
            self._trials.pop(session_id, None)
            found = bool(self._lost.pop(session_id, None)) | bool(self._live.pop(session_id, None))
            if found:
                self.version += 1
                self._keep()
            return found

    def resumed(self, session_id: str) -> None:
        """Take that one is being resumed: it is on trial for some seconds."""
        with self._lock:
            self._trials[session_id] = self._clock.wall() + TRIAL

    def fail(self, session_id: str) -> None:
        """Take that one could not be resumed, whether or not it was seen to run."""
        with self._lock:
            self.gone(session_id)
            entry = self._lost.get(session_id)
            if entry and not entry.failed:
                self._lose([replace(entry, failed=True)], f"{entry.agent} ended as soon as it was resumed")
                self._keep()

    # What is shown and kept.

    def folders(self) -> set[str]:
        """Folders in which the lost were."""
        with self._lock:
            return {entry.cwd for entry in self._lost.values() if entry.cwd}

    def records(self, computer: str, project_of: Callable[[str], str]) -> list[Session]:
        """Give the records of the lost."""
        with self._lock:
            entries = list(self._lost.values())
        return [_record(entry, computer, project_of(entry.cwd) if entry.cwd else "") for entry in entries]

    def close(self) -> None:
        """Keep all as it is now: what ended a while ago did not end with the computer."""
        with self._lock:
            self._keep(closed=True)

    def _end(self, entries: list[JournalEntry]) -> None:
        """Take that these ended: what is on trial has failed by that."""
        now = self._clock.wall()
        for entry in entries:
            if now < self._trials.pop(entry.session_id, 0.0):
                self._lose([replace(entry, failed=True)], f"{entry.agent} ended as soon as it was resumed")
            else:
                self._ended.append(replace(entry, ended=now))

    def _lose(self, entries: list[JournalEntry], reason: str) -> None:
        now = self._clock.wall()
        for entry in entries:
            self._lost[entry.session_id] = replace(entry, lost=now, ended=0.0, reason=reason)
        while len(self._lost) > LOST_MOST:
            del self._lost[next(iter(self._lost))]
        self.version += 1

    def _keep(self, *, closed: bool = False) -> None:
        now = self._clock.wall()
        self._ended = [entry for entry in self._ended if now - entry.ended < SHUTDOWN]
        entries = (*self._lost.values(), *self._ended, *self._live.values())
        kept = StoredJournal(boot=self._clock.boot, saved=now, closed=closed, server=self._server, entries=entries)
        self._save(replace(kept, started=self._started))


def _record(entry: JournalEntry, computer: str, project: str) -> Session:
    how = "" if entry.agent_session and not entry.failed else "; it can only be started afresh"
    return Session(
        session_id=entry.session_id,
        computer=computer,
        project=project,
        cwd=entry.cwd,
        title=entry.own_title or entry.title or entry.name,
        agent=entry.agent,
        thinking_mode=entry.mode,
        status="lost",
        status_reason=entry.reason + how,
        status_since=utc_text(entry.lost),
        created_at=entry.created_at,
        last_activity=utc_text(entry.lost),
        parent=entry.parent,
        tmux=Tmux(name="", session="", window="", pane=""),
    )
