"""Tells which panes write and read, by inotify on their terminals: no process, no polling, no trace in tmux.

Reading counts because a shell that leaves the echo to the terminal starts a command without writing anything. A watch
is one-shot, so a flood costs nothing until it is armed again (pace.py says when). Writes through /dev/tty are not
seen; the safety look finds what they changed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from inotify_simple import flags

from teleclaude.sync.tmux.boot_clock import since_boot
from teleclaude.sync.tmux.file_events import FileEvents

log = logging.getLogger(__name__)

_MASK = flags.MODIFY | flags.ACCESS | flags.ONESHOT


class Ttys:
    """Watches terminals by path."""

    def __init__(self) -> None:
        self._events = FileEvents()
        self._watches: dict[int, str] = {}  # watch descriptor to terminal, armed
        self._armed: dict[str, int] = {}
        self._resting: dict[str, float] = {}  # terminal to the end of its rest (monotonic)
        self._wrote: dict[str, float] = {}  # terminal to the time of its last output seen, seconds since boot
        self._unwatched: dict[str, str] = {}  # terminals that cannot be watched, and why

    def fileno(self) -> int:
        """Readable when there is something to hear."""
        return self._events.fileno()

    @property
    def blindness(self) -> str:
        """Why not all terminals can be watched; empty when they can."""
        return self._events.reason or next(iter(self._unwatched.values()), "")

    def keep(self, ttys: Collection[str]) -> list[str]:
        """Know these, and no others. Gives those that are new, or could not be watched: they are to be armed."""
        self._events.ensure()
        known = self._armed.keys() | self._resting.keys()
        for tty in (known | self._unwatched.keys()).difference(ttys):
            self._drop(tty)
        return [tty for tty in ttys if tty not in known]

    def receive_events(self) -> tuple[list[str], bool]:
        """Give the terminals heard of since the last call, no longer armed; and whether one has vanished."""
        heard: list[str] = []
        is_gone = False
        for event in self._events.read():
            tty = self._watches.pop(event.wd, None)
            if tty is None:
                continue
            self._armed.pop(tty, None)
            if event.mask & flags.MODIFY:
                self._wrote[tty] = since_boot()
            if event.mask & (flags.MODIFY | flags.ACCESS):
                heard.append(tty)
            elif event.mask & flags.IGNORED:
                is_gone = True
        return heard, is_gone

    def rest(self, tty: str, until: float) -> None:
        """Leave a terminal alone until then (monotonic)."""
        self._resting[tty] = until

    def rested(self, now: float) -> list[str]:
        """Give those whose rest is over: they are to be armed."""
        due = [tty for tty, end in self._resting.items() if end <= now]
        for tty in due:
            del self._resting[tty]
        return due

    def next_due(self) -> float | None:
        """When the next rest is over (monotonic), or None."""
        return min(self._resting.values(), default=None)

    def wrote_at(self, tty: str) -> float:
        """When it was last heard to write: seconds since the computer's start; 0 for never."""
        return self._wrote.get(tty, 0.0)

    def close(self) -> None:
        """Watch nothing any more."""
        self._events.close()

    def arm(self, tty: str) -> bool:
        """Watch a terminal until something is heard of it. False when that is not possible."""
        try:
            wd = self._events.add_watch(tty, _MASK)
        except FileNotFoundError:
            return False  # the pane is gone; the next look says so
        except OSError as error:
            if not self.blindness:
                log.warning("cannot watch %s (%s): looking at tmux by the clock", tty, error.strerror)
            self._unwatched[tty] = f"not all terminals can be watched ({error.strerror}; fs.inotify.max_user_watches)"
            return False
        self._unwatched.pop(tty, None)
        self._watches[wd] = tty
        self._armed[tty] = wd
        return True

    def _drop(self, tty: str) -> None:
        self._resting.pop(tty, None)
        self._unwatched.pop(tty, None)
        self._wrote.pop(tty, None)
        wd = self._armed.pop(tty, None)
        if wd is not None:
            self._watches.pop(wd, None)
            try:
                self._events.rm_watch(wd)
            except OSError:
                log.debug("%s is gone already", tty)
