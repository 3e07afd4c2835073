"""Projects and todos for a loop that touches no file of theirs: threads read, and hand over what they found.

Rules: one reader reads. When it is stuck in a place for longer than `PATIENCE`, it is abandoned, that place is avoided
(all of its mount, where it is a remote one), and another reader goes on with the rest; what was known of the place
stays. When the stuck one returns, the place is looked at again. At most `STUCK_LIMIT` are stuck; then the last one is
waited for. A place that was slow, not dead, is given more time each time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from teleclaude.core.records import Service, utc_text
from teleclaude.core.settings import ProjectSettings
from teleclaude.core.text import visible
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.projects.catalogue import CatalogueView
from teleclaude.sync.projects.progress import covers, mount_table, place_of
from teleclaude.sync.projects.project_reader import ProjectReader

log = logging.getLogger(__name__)

PATIENCE, PATIENCE_MOST = 2.0, 60.0  # seconds in one place
STUCK_LIMIT = 8
FIRST_WITHIN = 1.0  # seconds that the first look is waited for
CLOSE_WITHIN = 0.2  # seconds
ANSWER_WITHIN = 0.1  # seconds that the project of a new folder is waited for, while the reader is not busy


class ProjectService:
    """`start` and `close` once; `check` from the loop, at least every second; the rest from any thread."""

    def __init__(self, computer: str, settings: ProjectSettings, threads: ThreadGroup) -> None:
        self._computer, self._settings, self._threads = computer, settings, threads
        self._lock = threading.Condition()
        self._changed: Callable[[], None] = lambda: None
        self._reader: ProjectReader | None = None
        self._thread: threading.Thread | None = None  # the reader's
        self._stuck: dict[ProjectReader, str] = {}  # the place where each is stuck
        self._patience: dict[str, float] = {}  # by place that did not answer before
        self._cwds: frozenset[str] = frozenset()
        self._wish = self._shown = 0  # number of the last wish, and of the last one that `_view` fulfils
        self._awaited = -1  # number of the last wish that was waited for
        self._view: CatalogueView | None = None
        self._first_by: float | None = None
        self._since = ""

    # For the loop.

    def start(self, changed: Callable[[], None]) -> None:
        """Begin; `changed` is called, from any thread, when `view` or `services` gives something else."""
        with self._lock:
            self._changed = changed
            self._begin(None)

    def close(self) -> None:
        """End the reader; those that are stuck end with the process."""
        with self._lock:
            reader, thread, self._reader = self._reader, self._thread, None
        if reader and thread:
            reader.abandon()
            thread.join(CLOSE_WITHIN)

    def view(self, cwds: Collection[str]) -> CatalogueView | None:
        """Give what there is, with the projects of these folders; None before the first look is done.

        It waits for a moment for a folder that is new, and for the first look, and never for one that hangs.
        """
        wanted = frozenset(cwds)
        with self._lock:
            if wanted != self._cwds:
                self._wish += 1
                self._cwds = wanted
                if self._reader:
                    self._reader.wake()
            is_known = self._view is not None and wanted <= self._view.homes.keys()
            if not is_known and self._awaited != self._wish:
                self._lock.wait_for(lambda: self._shown >= self._wish, self._worth_waiting())
                self._awaited = self._wish if self._view else -1  # once for each wish: the loop has other things to do
            return self._view

    def check(self, now: float) -> None:
        """Abandon a reader that is stuck. `now`: seconds, monotonic."""
        with self._lock:
            reader = self._reader
            at = reader.at if reader else None
            if reader is None or at is None or now - at[1] < PATIENCE or len(self._stuck) >= STUCK_LIMIT:
                return
            place = place_of(at[0], mount_table())
            if now - at[1] < self._patience.get(place, PATIENCE):
                return
            log.warning("projects: %s does not answer; going on without it", visible(place))
            self._patience[place] = min(PATIENCE_MOST, 2 * self._patience.get(place, PATIENCE))
            self._stuck[reader] = place
            self._since = utc_text(time.time())
            reader.abandon()
            self._begin(reader)
        self._changed()

    def services(self) -> list[Service]:
        """Tell what does not answer; nothing when all is well."""
        with self._lock:
            places = sorted({visible(place) for place in self._stuck.values()})
        if not places:
            return []
        return [
            Service(name="projects", state="hung", reason=f"{', '.join(places)} does not answer", since=self._since)
        ]

    # From other threads.

    def reload(self, settings: ProjectSettings) -> None:
        """Take other settings, soon."""
        with self._lock:
            self._settings = settings
            self._anew()

    def look_again(self, timeout: float) -> bool:
        """Look at everything anew, and wait for it. False after `timeout` seconds."""
        with self._lock:
            self._wish += 1
            wish = self._wish
            self._anew()
            return self._lock.wait_for(lambda: self._shown >= wish, timeout)

    def _anew(self) -> None:
        if self._reader:
            self._reader.read_anew(self._settings)

    def _begin(self, before: ProjectReader | None) -> None:
        self._reader = ProjectReader(self, self._computer, self._settings, before)
        self._thread = self._threads.start("projects", self._reader.run)

    def _worth_waiting(self) -> float:
        """Seconds that the reader may be waited for now."""
        now = time.monotonic()
        if self._view is None:
            self._first_by = now + FIRST_WITHIN if self._first_by is None else self._first_by
            return max(0.0, self._first_by - now)
        at = self._reader.at if self._reader else None
        return 0.0 if at and now - at[1] > ANSWER_WITHIN else ANSWER_WITHIN

    # For readers.

    def wanted(self) -> tuple[int, Collection[str]]:
        """Give the sessions' folders that a look is to show, and the number of that wish."""
        with self._lock:
            return self._wish, self._cwds

    def is_avoided(self, path: str) -> bool:
        """Tell whether a place is to be left alone: it did not answer."""
        return any(covers(place, path) for place in tuple(self._stuck.values()))

    def show(self, reader: ProjectReader, view: CatalogueView, wish: int) -> None:
        """Take what a look found."""
        with self._lock:
            if reader is not self._reader:
                return
            is_new = view != self._view
            self._shown = max(self._shown, wish)
            self._view = view if is_new else self._view
            self._lock.notify_all()
        if is_new:
            self._changed()

    def reader_ended(self, reader: ProjectReader) -> None:
        """Look again at a place in which a reader was stuck."""
        with self._lock:
            place = self._stuck.pop(reader, None)
            if place is None:
                return
            log.warning("projects: %s answers again", visible(place))
            self._anew()
        self._changed()
