"""The journal of commands that came from other computers: SQLite in the state folder.

A command is written down before it runs, so its id runs at most once, through crashes and restarts too. Who comes
back for the outcome of a command that began and never ended is told *unknown*. It also counts the starts of this
computer (`generation`), which never goes back.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import msgspec

from teleclaude.core.errors import OutcomeUnknown
from teleclaude.core.requests import Outcome, failed

KEEP = 24 * 3600.0  # seconds
PRUNE_EVERY = 1000  # commands
ROWS = 100_000  # the newest that are kept, at most
_TABLES = """
create table if not exists requests (
    id text primary key, sender text not null, verb text not null, at real not null, outcome blob);
create index if not exists requests_at on requests (at);
create table if not exists starts (one integer primary key check (one = 1), generation integer not null);
"""


class Journal:
    """Raises sqlite3.Error where the disk fails: then nothing may run. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=2.0)
        path.chmod(0o600)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")  # a power cut ends the epoch, and with it every request
        self._db.executescript(_TABLES)
        self._since_pruned = 0

    def next_generation(self) -> int:
        """Count a start. Later starts get higher numbers, also after the state folder was lost."""
        with self._lock:
            row = self._db.execute("select generation from starts").fetchone()
            generation = max(row[0] + 1 if row else 0, int(time.time()))
            self._db.execute("insert or replace into starts values (1, ?)", (generation,))
            return generation

    def begin(self, request_id: str, sender: str, verb: str) -> Outcome | None:
        """Write a command down. None: run it, now. Else it is known: its outcome, or *unknown*."""
        with self._lock:
            self._since_pruned += 1
            if self._since_pruned >= PRUNE_EVERY:
                self._prune()
            found = self._db.execute("select outcome from requests where id = ?", (request_id,)).fetchone()
            if found is None:
                row = (request_id, sender, verb, time.time())
                self._db.execute("insert into requests values (?, ?, ?, ?, null)", row)
                return None
        if found[0] is None:
            return failed(request_id, OutcomeUnknown("it began, and this computer stopped before it ended"))
        return msgspec.msgpack.decode(found[0], type=Outcome)

    def finish(self, outcome: Outcome) -> None:
        """Write an outcome down. The text of a screen is not kept."""
        kept = msgspec.structs.replace(outcome, data={k: v for k, v in outcome.data.items() if k != "text"})
        with self._lock:
            self._db.execute("update requests set outcome = ? where id = ?", (msgspec.msgpack.encode(kept), outcome.id))

    def prune(self) -> None:
        """Drop what is older than a day, and what is over ROWS; done now and then while it is used too."""
        with self._lock:
            self._prune()

    def _prune(self) -> None:
        self._since_pruned = 0
        self._db.execute("delete from requests where at < ?", (time.time() - KEEP,))
        newest = "select rowid from requests order by rowid desc limit -1 offset ?"
        self._db.execute(f"delete from requests where rowid in ({newest})", (ROWS,))  # noqa: S608  (words of our own)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
