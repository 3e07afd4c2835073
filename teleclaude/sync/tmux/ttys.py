"""Tells which panes write and read, by inotify on their terminals: no process, no polling, no trace in tmux.

Reading counts because a shell that leaves the echo to the terminal starts a command without writing anything. A watch
is one-shot, so a flood costs nothing until it is armed again (pace.py says when). Writes through /dev/tty are not
seen; the safety look finds what they changed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from inotify_simple import INotify, flags

from teleclaude.sync.tmux.boot_clock import since_boot

log = logging.getLogger(__name__)

_MASK = flags.MODIFY | flags.ACCESS | flags.ONESHOT


class Ttys:
    """Watches terminals by path."""

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._watches: dict[int, str] = {}  # watch descriptor to terminal, armed
        self._armed: dict[str, int] = {}
        self._resting: dict[str, float] = {}  # terminal to the end of its rest (monotonic)
        self._wrote: dict[str, float] = {}  # terminal to the time of its last output seen, seconds since boot
        self.is_blind = False  # the system grants no more watches

    def fileno(self) -> int:
        """Readable when there is something to hear."""
        return int(self._inotify.fileno())

    def keep(self, ttys: Collection[str]) -> list[str]:
        """Know these, and no others. Gives those that are new: they are to be armed."""
        known = self._armed.keys() | self._resting.keys()
        for tty in known.difference(ttys):
            self._drop(tty)
        return [tty for tty in ttys if tty not in known]

    def receive_events(self) -> tuple[list[str], bool]:
        """Give the terminals heard of since the last call, no longer armed; and whether one has vanished."""
        heard: list[str] = []
        is_gone = False
        for event in self._inotify.read(timeout=0):
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
        self._inotify.close()

    def arm(self, tty: str) -> bool:
        """Watch a terminal until something is heard of it. False when that is not possible."""
        try:
            wd = self._inotify.add_watch(tty, _MASK)
        except FileNotFoundError:
            return False  # the pane is gone; the next look says so
        except OSError as error:
            if not self.is_blind:
                log.warning("cannot watch %s (%s): looking at tmux every second instead", tty, error.strerror)
            self.is_blind = True
            return False
        self._watches[wd] = tty
        self._armed[tty] = wd
        return True

    def _drop(self, tty: str) -> None:
        self._resting.pop(tty, None)
        self._wrote.pop(tty, None)
        wd = self._armed.pop(tty, None)
        if wd is not None:
            self._watches.pop(wd, None)
            try:
                self._inotify.rm_watch(wd)
            except OSError:
                log.debug("%s is gone already", tty)
