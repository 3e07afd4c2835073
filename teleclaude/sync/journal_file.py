"""The file that the journal of sessions is kept in: written whole, soon after it changed, in a thread of its own.

A disk may be slow, and the loop that beats waits for none. Changes that come close together are written once.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import msgspec

from teleclaude.core.files import write_atomic
from teleclaude.sync.sessions.processes import read_process
from teleclaude.sync.sessions.session_journal import JournalClock, SessionJournal, StoredJournal
from teleclaude.sync.tmux.boot_clock import wall_offset

log = logging.getLogger(__name__)

PAUSE = 0.5  # seconds between two writes
_LIMIT = 4 * 1024 * 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class JournalFile:
    """`run` is the thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest: StoredJournal | None = None
        self._changed = threading.Condition()
        self._stopped = False
        self._error = ""

    def journal(self) -> SessionJournal:
        """Make the journal of what the file holds, by this computer's clock; of nothing when it cannot be read."""
        clock = JournalClock(time.time, _boot_id(), wall_offset(), _started)
        return SessionJournal(clock, self._read(), self.save)

    def save(self, journal: StoredJournal) -> None:
        """Have this written soon."""
        with self._changed:
            self._newest = journal
            self._changed.notify_all()

    def run(self) -> None:
        """Write what is new, until stopped and all is written."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._stopped)
                newest, self._newest = self._newest, None
            if newest is None:
                return
            self._write(newest)
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, PAUSE)

    def stop(self) -> None:
        """End `run` once all is written."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _write(self, journal: StoredJournal) -> None:
        try:
            write_atomic(self._path, msgspec.json.encode(journal))
        except OSError as error:
            if str(error) != self._error:
                log.warning("which sessions run is not kept, so they could not be brought back: %s", error)
            self._error = str(error)
        else:
            self._error = ""

    def _read(self) -> StoredJournal:
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_LIMIT), type=StoredJournal)
        except FileNotFoundError:
            return StoredJournal()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s tells nothing of the sessions before: %s", self._path, error)
            return StoredJournal()


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    process = read_process(pid)
    return process.started if process and not process.is_zombie else None
