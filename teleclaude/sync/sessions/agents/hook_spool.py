"""The folder in which hooks leave their reports (hooks/teleclaude-hook), read as soon as there is something in it.

Rules:
- A file is whole when it was closed or moved there, as inotify tells, or when nobody wrote to it for `SETTLED` seconds:
  what lies there at the start, what an overflow of inotify hid, and all of it where the system grants no inotify.
- What was read is deleted before it is told, so that no event comes twice; what cannot be deleted is not told.
- Events come in the order of their files' times, at most `PER_TURN` at once: the rest follows in the next turn.
- Anybody of this user can write here, and anything: a file is read to a limit, and nothing but plain files is opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from inotify_simple import flags

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.files import private_folder
from teleclaude.sync.sessions.agents.hook_event import BODY_LIMIT, HookEvent, read_hook_file
from teleclaude.sync.tmux.file_events import FileEvents

log = logging.getLogger(__name__)

PER_TURN: Final = 64
SETTLED: Final = 1.0  # seconds
PIPES_FOR: Final = 900.0  # seconds; no hook waits that long
TRY_AGAIN: Final = 30.0  # seconds, where there is no such folder and none can be made
_LIMIT: Final = BODY_LIMIT + 16 * 1024  # bytes of a file that are read
_MOST: Final = 4096  # files that are looked at; the script leaves no more than 512
_WATCHED: Final = flags.CLOSE_WRITE | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR


class _Report(NamedTuple):
    """A file in the order in which they are read. `at`: nanoseconds since 1970."""

    at: int
    name: str


class HookSpool:
    """Reads the folder `path`, which it makes. Times are time.monotonic(), unless said otherwise."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events = FileEvents()
        self._watch: int | None = None
        self._closed: set[str] = set()  # files that are whole
        self._refused: set[str] = set()  # what lies there and is no report, or cannot be deleted
        self._due = 0.0
        self._complaint = ""

    def fileno(self) -> int:
        """Readable when something happened in the folder; call `heard` then."""
        return self._events.fileno()

    def heard(self) -> None:
        """Take note of what happened."""
        for event in self._events.read():
            if event.mask & (flags.IGNORED | flags.DELETE_SELF | flags.MOVE_SELF):
                self._watch = None
            elif event.name:
                self._closed.add(event.name)
        self._due = 0.0

    def next_due(self) -> float:
        """When `take` is to be called, at the latest."""
        return self._due

    def take(self, now: float, boot: float, offset: float) -> list[HookEvent]:
        """Give what was reported since the last time, oldest first, if it is time to look.

        `boot`: seconds since the computer's start; `offset`: what makes seconds since 1970 of it.
        """
        if now < self._due:
            return []
        if not self._is_watched():
            self._due = now + TRY_AGAIN
            return []
        found, has_unsettled = self._whole(boot + offset)
        unheard = bool(self._events.reason) or has_unsettled
        self._due = now if len(found) > PER_TURN else now + (SETTLED if unheard else TRY_AGAIN)
        events = [self._read(report, boot, offset) for report in sorted(found)[:PER_TURN]]
        self._closed = {report.name for report in sorted(found)[PER_TURN:]}
        return [event for event in events if event is not None]

    def close(self) -> None:
        """Hear no more."""
        self._events.close()

    def _is_watched(self) -> bool:
        """Have the folder, and hear of it where the system lets us. False where there is none."""
        if self._events.ensure():
            self._watch = None
        try:
            private_folder(self._path)
            if self._watch is None and not self._events.reason:
                self._watch = self._events.add_watch(self._path, _WATCHED)
        except (TeleclaudeError, OSError) as error:
            self._complain(f"no hook is heard: {error}")
            return False
        self._complaint = ""
        return True

    def _whole(self, wall: float) -> tuple[list[_Report], bool]:
        """Give the files that are whole, and whether there are others."""
        found: list[_Report] = []
        has_unsettled = False
        for name, status in self._files():
            age = wall - status.st_mtime
            if stat.S_ISFIFO(status.st_mode):
                self._sweep(name, age)
            elif not stat.S_ISREG(status.st_mode):
                self._refused.add(name)
            elif name in self._closed or not -SETTLED < age < SETTLED:
                found.append(_Report(status.st_mtime_ns, name))
            else:
                has_unsettled = True
        return found, has_unsettled

    def _sweep(self, name: str, age: float) -> None:
        """Remove a pipe of a hook that was ended before anybody heard of it."""
        if age > PIPES_FOR:
            with contextlib.suppress(OSError):
                os.unlink(self._path / name)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        try:
            with os.scandir(self._path) as entries:
                names = [entry.name for entry in islice(entries, _MOST)]
        except OSError as error:
            self._complain(f"hooks cannot be read: {error}")
            return
        self._refused.intersection_update(names)
        for name in names:
            if name in self._refused or name.startswith("."):
                continue
            with contextlib.suppress(OSError):
                yield name, os.lstat(self._path / name)

    def _read(self, report: _Report, boot: float, offset: float) -> HookEvent | None:
        path = self._path / report.name
        try:
            data = _content(path)
            path.unlink()
        except OSError as error:
            self._refused.add(report.name)
            self._complain(f"{path} is left where it is: {error}")
            return None
        at = report.at / 1e9 - offset
        if at < 0:  # before this computer's start: what it tells of is no more
            return None
        event = read_hook_file(data, min(at, boot))
        if event is None:
            log.debug("no report of a hook: %s", report.name)
        return event

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            self._complaint = complaint
            log.warning("%s", complaint)


def _content(path: Path) -> bytes:
    """Read a plain file of ours. Raises OSError for anything else."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(1, "no plain file of this user")
        return file.read(_LIMIT)
