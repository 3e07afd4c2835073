"""inotify, and what stands for it where the system grants none: nothing is heard then, and the reason is told."""

from __future__ import annotations

import logging
import os
import select
import time
from pathlib import Path

from inotify_simple import Event, INotify

log = logging.getLogger(__name__)

TRY_AGAIN = 30.0  # seconds between two tries


class FileEvents:
    """One inotify instance. `reason`: why there is none; empty when there is."""

    def __init__(self) -> None:
        self.reason = ""
        self._poll = select.epoll()  # what is waited for stays the same when an instance is had only later
        self._inotify: INotify | None = None
        self._try_at = 0.0
        self.ensure()

    def ensure(self) -> bool:
        """Have an instance, if the system grants one by now. True when it is a new one, which watches nothing yet."""
        now = time.monotonic()
        if self._inotify is not None or now < self._try_at:
            return False
        self._try_at = now + TRY_AGAIN
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            if not self.reason:
                log.warning("no inotify (%s): looking at tmux by the clock", error.strerror)
            self.reason = f"the system grants no inotify instance ({error.strerror}; fs.inotify.max_user_instances)"
            return False
        self.reason = ""
        self._poll.register(self._inotify.fileno(), select.EPOLLIN)
        return True

    def fileno(self) -> int:
        """Readable when there is something to read."""
        return self._poll.fileno()

    def read(self) -> list[Event]:
        """Give what happened, without waiting."""
        return [] if self._inotify is None else list(self._inotify.read(timeout=0))

    def add_watch(self, path: str | Path, mask: int) -> int:
        """Watch a path; its watch descriptor. Raises OSError."""
        if self._inotify is None:
            raise OSError(0, self.reason, os.fspath(path))
        return int(self._inotify.add_watch(path, mask))

    def rm_watch(self, wd: int) -> None:
        """Watch no more. Raises OSError when that is so already."""
        if self._inotify is not None:
            self._inotify.rm_watch(wd)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._inotify is not None:
            self._inotify.close()
        self._poll.close()
