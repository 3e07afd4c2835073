"""The state files of all Claude Codes in panes, heard by inotify, in a thread of their own.

Rules: the folders are their users', and a dead mount may hold a system call for ever. So the loop that beats touches
none of them: it says which panes it wants to know of, and takes what is known. A thread that is stuck is left behind,
its folder is avoided, and another goes on without it; what was known of it is forgotten. Where a folder or inotify is
not to be had, nothing is said: hooks and titles tell all the same.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from inotify_simple import INotify, flags

from teleclaude.core.text import visible
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.sessions.agents.claude_state import ClaudeState, descendants, read_state, started_of, state_folder
from teleclaude.sync.sessions.agents.evidence import FileSign
from teleclaude.sync.sessions.agents.transcript import last_words, transcript_path
from teleclaude.sync.sessions.lineage import is_alive, lineage
from teleclaude.sync.tmux.boot_clock import since_boot, wall_offset

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds in one folder
STUCK_LIMIT = 4
FILES_MOST = 512  # of a folder
READ_AGAIN, TRIES = 0.03, 10  # seconds until a file that was not whole is read again, and how often it is
_MASK = flags.CLOSE_WRITE | flags.MOVED_TO | flags.DELETE | flags.MOVED_FROM | flags.DELETE_SELF | flags.ONLYDIR
_MADE = flags.CREATE | flags.MOVED_TO | flags.ONLYDIR


class StateFiles:
    """`start` and `close` once; `want`, `check` and `signs` from the loop. `changed` is called from the thread."""

    def __init__(self, threads: ThreadGroup) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._changed: Callable[[], None] = lambda: None
        self._wanted: frozenset[int] = frozenset()
        self._signs: Mapping[int, FileSign] = {}
        self._reader: _Reader | None = None
        self._avoided: dict[_Reader, Path] = {}

    def start(self, changed: Callable[[], None]) -> None:
        """Begin; `changed` says that `signs` gives something else."""
        self._changed = changed

    def want(self, panes: Collection[int]) -> None:
        """Say which panes, by process, are to be known of; the first wish begins the thread."""
        wanted = frozenset(panes)
        with self._lock:
            if wanted == self._wanted:
                return
            self._wanted = wanted
            if self._reader is None:
                self._begin()
            elif self._reader:
                self._reader.wake()

    def signs(self) -> Mapping[int, FileSign]:
        """What the files say, by pane process."""
        return self._signs

    def check(self, now: float) -> None:
        """Leave a thread behind that is stuck. `now`: seconds, monotonic."""
        reader = self._reader
        at = reader.at if reader else None
        if reader is None or at is None or now - at[1] < PATIENCE or len(self._avoided) >= STUCK_LIMIT:
            return
        log.warning("%s does not answer: the state of the agents there is told by hooks and titles", _shown(at[0]))
        with self._lock:
            self._avoided[reader] = at[0]
            reader.abandon()
            self._signs = {}
            self._begin()
        self._changed()

    def close(self) -> None:
        """End the thread; one that is stuck ends with the process."""
        with self._lock:
            reader, self._reader = self._reader, None
        if reader:
            reader.abandon()

    def _begin(self) -> None:
        self._reader = _Reader(self)
        self._threads.start("state files", self._reader.run)

    # For readers.

    def wanted(self) -> frozenset[int]:
        """Panes that are to be known of."""
        return self._wanted

    def is_avoided(self, folder: Path) -> bool:
        """Tell whether a folder is left alone."""
        return folder in tuple(self._avoided.values())

    def show(self, reader: _Reader, signs: Mapping[int, FileSign]) -> None:
        """Take what the files say."""
        with self._lock:
            if reader is not self._reader or signs == self._signs:
                return
            self._signs = signs
        self._changed()

    def ended(self, reader: _Reader) -> None:
        """Look again at a folder in which a thread was stuck."""
        with self._lock:
            self._avoided.pop(reader, None)
            if self._reader:
                self._reader.wake()


class _Reader:
    """One thread. `at`: the folder that is touched now, and since when; None while it waits."""

    def __init__(self, owner: StateFiles) -> None:
        self._owner = owner
        self._gate = threading.Lock()  # the descriptor's end
        self._wake: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_abandoned = False
        self._folders: dict[int, Path] = {}  # by watch
        self._awaited: dict[int, Path] = {}  # by watch: a folder that is to be made there
        self._known: dict[int, tuple[int, FileSign]] = {}  # by the agent's process: pane process, sign
        self._unread: dict[Path, int] = {}  # files that were not whole: tries left
        self._seen: frozenset[int] | None = None
        self.at: tuple[Path, float] | None = None

    def wake(self) -> None:
        """Look whether another thing is wanted."""
        with self._gate:
            if self._wake is not None:
                os.eventfd_write(self._wake, 1)

    def abandon(self) -> None:
        """End soon."""
        self._is_abandoned = True
        self.wake()

    def run(self) -> None:
        """Work until abandoned."""
        wake = self._wake
        assert wake is not None
        try:
            with INotify(nonblocking=True) as inotify:
                self._work(inotify, wake)
        except OSError as error:
            log.info("no inotify for the agents' state files: %s", error.strerror)
        finally:
            with self._gate:
                os.close(wake)
                self._wake = None
            self._owner.ended(self)

    def _work(self, inotify: INotify, wake: int) -> None:
        poll = select.poll()
        poll.register(inotify.fileno(), select.POLLIN)
        poll.register(wake, select.POLLIN)
        while not self._is_abandoned:
            self._turn(inotify)
            poll.poll(READ_AGAIN * 1000 if self._unread else None)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(wake)
                self._seen = None

    def _turn(self, inotify: INotify) -> None:
        if self._seen is None:
            self._seen = self._owner.wanted()
            self._look(inotify, self._seen)
        for path in [path for path, tries in self._unread.items() if tries]:
            self._read(path)
        for wd, mask, _, name in inotify.read(timeout=0):
            folder = self._folders.get(wd)
            if mask & (flags.IGNORED | flags.DELETE_SELF):
                self._folders.pop(wd, None)
                self._awaited.pop(wd, None)
                self._seen = None  # it may be made anew: look once more
            elif wd in self._awaited and name == self._awaited[wd].name:
                self._seen = None
            elif folder:
                self._heard(folder / name, is_gone=bool(mask & (flags.DELETE | flags.MOVED_FROM)))
        self._owner.show(self, self._best())
        if self._seen is None:
            self.wake()

    def _best(self) -> dict[int, FileSign]:
        """Of several agents in a pane, the one that tells its state, and began first: others run below it."""
        living = [(pane, sign) for pane, sign in self._known.values() if is_alive(sign.process, sign.started)]
        return dict(sorted(living, key=lambda each: (bool(each[1].status), -each[1].started)))

    def _look(self, inotify: INotify, wanted: frozenset[int]) -> None:
        """Watch the folders of all agents that are wanted, and read what is there."""
        self._known = {pid: known for pid, known in self._known.items() if known[0] in wanted}
        folders = {folder for pane in wanted for pid in descendants(pane) if (folder := state_folder(pid))}
        for folder in folders:
            if self._owner.is_avoided(folder):
                continue
            self.at = folder, time.monotonic()
            names = self._watch(inotify, folder)
            self.at = None
            for name in names:
                self._heard(folder / name, is_gone=False)

    def _watch(self, inotify: INotify, folder: Path) -> list[str]:
        """Watch a folder; give the names in it. One that is not there is awaited, with the one that it is to be in."""
        try:
            self._folders[inotify.add_watch(folder, _MASK)] = folder
            return os.listdir(folder)[:FILES_MOST]
        except OSError:
            self._await(inotify, folder)
            return []

    def _await(self, inotify: INotify, folder: Path) -> None:
        for path in (folder, folder.parent):
            with contextlib.suppress(OSError):
                self._awaited[inotify.add_watch(path.parent, _MADE)] = path
                if path.exists():  # made before it was awaited
                    self.wake()
                return

    def _heard(self, path: Path, *, is_gone: bool) -> None:
        if path.suffix != ".json" or not path.stem.isascii() or not path.stem.isdigit():
            return
        if is_gone:
            self._known.pop(int(path.stem), None)
            self._unread.pop(path, None)
        elif self._pane_of(int(path.stem)):
            self._unread[path] = TRIES
            self._read(path)

    def _pane_of(self, pid: int) -> int:
        return next((each.pid for each in lineage(pid) if each.pid in (self._seen or ())), 0)

    def _read(self, path: Path) -> None:
        if self._owner.is_avoided(path.parent):
            return
        self.at = path.parent, time.monotonic()
        state = read_state(path)
        self.at = None
        pid = int(path.stem)
        pane = self._pane_of(pid)
        if state is None and pane and self._unread.get(path, 0) > 1:
            self._unread[path] -= 1
            return
        self._unread.pop(path, None)
        started = started_of(state, pid) if state else 0
        if state is None or not pane or not started:
            self._known.pop(pid, None)
            return
        now = since_boot()
        told = state.statusUpdatedAt / 1000 - wall_offset()
        known = self._known.get(pid)
        same = known and (known[1].status, known[1].waiting_for) == (state.status, state.waitingFor)
        since = told if 0 < told <= now else known[1].since if known and same else now
        words = self._last_words(path, state)
        sign = FileSign(state.status, since, state.waitingFor, state.sessionId, pid, started, *words)
        self._known[pid] = pane, sign

    def _last_words(self, path: Path, state: ClaudeState) -> tuple[str, str]:
        """Read the transcript, which is below the same folder as the state file."""
        transcript = transcript_path(path.parent.parent, state.cwd, state.sessionId)
        self.at = path.parent, time.monotonic()
        words = last_words(transcript) if transcript else ("", "")
        self.at = None
        return words


def _shown(folder: Path) -> str:
    return visible(str(folder))
