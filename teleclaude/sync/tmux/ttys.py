"""Tells which panes write and read, by inotify on their terminals: no process, no polling, no trace in tmux.

Reading counts because a shell that leaves the echo to the terminal starts a command without writing anything.
A terminal of which something was heard is left alone for `REST` seconds (its watch is one-shot), so a flood costs a
few wake-ups a second. What it does meanwhile is unknown, therefore it counts as heard of once more when the rest is
over. Writes through /dev/tty are not seen; the safety look finds what they changed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from inotify_simple import INotify, flags

log = logging.getLogger(__name__)

REST = 0.150  # seconds
WATCHED_REST = 0.100  # for a terminal whose output somebody watches
_MASK = flags.MODIFY | flags.ACCESS | flags.ONESHOT


class Ttys:
    """Watches terminals by path."""

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._watches: dict[int, str] = {}  # watch descriptor to terminal, armed
        self._armed: dict[str, int] = {}
        self._resting: dict[str, float] = {}  # terminal to the end of its rest, in order of that
        self._wrote: dict[str, float] = {}  # terminal to wall-clock seconds of its last output seen
        self.watched: frozenset[str] = frozenset()  # terminals whose output somebody watches
        self.is_blind = False  # the system grants no more watches

    def fileno(self) -> int:
        """Readable when there is something to hear."""
        return int(self._inotify.fileno())

    def keep(self, ttys: Iterable[str]) -> None:
        """Watch these, and no others."""
        wanted = {tty for tty in ttys if tty.startswith("/dev/")}
        for tty in (self._armed.keys() | self._resting.keys()) - wanted:
            self._drop(tty)
        for tty in wanted - self._armed.keys() - self._resting.keys():
            self._arm(tty)

    def receive_events(self, now: float) -> list[str]:
        """Give the terminals heard of since the last call. `now`: monotonic."""
        heard = []
        for event in self._inotify.read(timeout=0):
            tty = self._watches.pop(event.wd, None)
            if tty is None:
                continue
            self._armed.pop(tty, None)
            if event.mask & flags.MODIFY:
                self._wrote[tty] = time.time()
            if event.mask & (flags.MODIFY | flags.ACCESS):
                self._rest(tty, now)
                heard.append(tty)
        return heard

    def _rest(self, tty: str, now: float) -> None:
        self._resting[tty] = now + (WATCHED_REST if tty in self.watched else REST)

    def rested(self, now: float) -> list[str]:
        """Watch again those whose rest is over, and give them: they may have written meanwhile."""
        due = [tty for tty, end in self._resting.items() if end <= now]
        for tty in due:
            del self._resting[tty]
            self._arm(tty)
        return due

    def next_due(self) -> float | None:
        """When the next rest is over (monotonic), or None."""
        return min(self._resting.values(), default=None)

    def wrote_at(self, tty: str) -> float:
        """Seconds since 1970 of the last output seen; 0 for none."""
        return self._wrote.get(tty, 0.0)

    def close(self) -> None:
        """Watch nothing any more."""
        self._inotify.close()

    def _arm(self, tty: str) -> None:
        try:
            wd = self._inotify.add_watch(tty, _MASK)
        except FileNotFoundError:
            return  # the pane is gone; the next look says so
        except OSError as error:
            if not self.is_blind:
                log.warning("cannot watch %s (%s): looking at tmux every second instead", tty, error.strerror)
            self.is_blind = True
            return
        self._watches[wd] = tty
        self._armed[tty] = wd

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
