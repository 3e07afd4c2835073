"""One thread that keeps a catalogue, and can be abandoned while a system call in it does not return."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Collection
from typing import Protocol

from teleclaude.core.settings import ProjectSettings
from teleclaude.sync.projects.catalogue import Catalogue, CatalogueView
from teleclaude.sync.projects.progress import Abandoned, Progress


class ReaderHost(Protocol):
    """What a reader is told, and what it tells. All of it from the reader's thread."""

    def wanted(self) -> tuple[int, Collection[str]]:
        """Give the sessions' folders that a look is to show, and the number of that wish."""
        ...

    def is_avoided(self, path: str) -> bool:
        """Tell whether a place is to be left alone."""
        ...

    def show(self, reader: ProjectReader, view: CatalogueView, wish: int) -> None:
        """Take what a look found, by the wish it fulfils."""
        ...

    def reader_ended(self, reader: ProjectReader) -> None:
        """Take note that a reader's thread is at its end."""
        ...


class ProjectReader(Progress):
    """Reads projects for `host`; `run` is for a thread of its own. `before`: whose place it takes."""

    def __init__(
        self, host: ReaderHost, computer: str, settings: ProjectSettings, before: ProjectReader | None = None
    ) -> None:
        self._host, self._computer = host, computer
        self._settings = settings
        self.at: tuple[str, float] | None = None  # what it touches, and since when (monotonic)
        self.catalogue: Catalogue | None = before.catalogue if before else None
        self._is_abandoned = self._is_anew = False
        self._gate = threading.Lock()  # of the pipe's end
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._is_closed = False

    # From other threads.

    def read_anew(self, settings: ProjectSettings) -> None:
        """Look at everything soon, with other settings."""
        self._settings = settings
        self._is_anew = True
        self.wake()

    def wake(self) -> None:
        """Look soon."""
        with self._gate, contextlib.suppress(BlockingIOError):
            if not self._is_closed:
                os.write(self._wake_write, b"!")

    def abandon(self) -> None:
        """Let `run` end as soon as it touches nothing that hangs."""
        self._is_abandoned = True
        self.wake()

    # Progress, from its own thread.

    def begin(self, path: str) -> None:
        """Say what is touched now, and end here when this reader is given up."""
        if self._is_abandoned:
            raise Abandoned
        self.at = (path, time.monotonic()) if path else None

    def is_avoided(self, path: str) -> bool:
        """Tell whether a place is to be left alone."""
        return self._host.is_avoided(path)

    def run(self) -> None:
        """Keep a catalogue until abandoned."""
        catalogue: Catalogue | None = None
        try:
            while True:
                if catalogue is None or self._is_anew:
                    old, catalogue = catalogue, None
                    catalogue = self._new_catalogue(old)
                self._look(catalogue)
        except Abandoned:
            pass
        finally:
            self.at = None
            if catalogue:
                catalogue.close()
            with self._gate:
                self._is_closed = True
                os.close(self._wake_read)
                os.close(self._wake_write)
            self._host.reader_ended(self)

    def _new_catalogue(self, old: Catalogue | None) -> Catalogue:
        self._is_anew = False
        before = old or self.catalogue
        if old:
            old.close()
        self.catalogue = found = Catalogue(self._computer, self._settings, self, before)
        return found

    def _look(self, catalogue: Catalogue) -> None:
        """Look where something is due, show what there is, and sleep until something happens."""
        wish, cwds = self._host.wanted()
        catalogue.look(time.monotonic(), cwds)
        self.begin("")
        self._host.show(self, catalogue.view(), wish)
        due = catalogue.next_due()
        wait = None if due is None else max(0.0, due - time.monotonic())
        select.select([catalogue.fileno(), self._wake_read], [], [], wait)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass
