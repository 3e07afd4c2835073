"""Listens to panes: to terminals by inotify (ttys.py), to what is in their foreground by glances; and says whom to ask.

A glance compares what a pane's process has in the foreground with what it had; it costs no tmux. There is one whenever
a terminal is listened to again after it was heard, and some a little later, because a shell goes on silently.

Where many write all the time, being woken is what costs: their rests end together, and then what is heard is taken
many at a time.
"""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Callable, Collection, Mapping

from teleclaude.sync.tmux.pace import PanePaces
from teleclaude.sync.tmux.panes import Pane
from teleclaude.sync.tmux.ttys import Ttys

LATER = (0.060, 0.300, 1.0, 2.5)  # seconds to the second glance, and to those after it while nothing else is heard
TOGETHER = 0.250  # seconds: rests that are longer end at a multiple of it
MANY, HUSH = 4, 0.050  # terminals that write, from which on what is heard waits so many seconds for more
SHORT = 0.150  # seconds of rest up to which a second glance follows; who is heard again and again is glanced at anyway
WATCHED_REST = 0.100  # seconds, for a terminal whose output somebody watches


class Listening:
    """Listens to terminals. `on_heard` is told which wrote or read; `glance` gives a process' foreground."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        on_heard: Callable[[list[str]], None],
        glance: Callable[[int], object],
    ) -> None:
        self.watched: frozenset[str] = frozenset()  # terminals whose output somebody watches
        self._selector, self._on_heard, self._glance = selector, on_heard, glance
        self._ttys = Ttys()
        self._paces = PanePaces()
        self._panes: dict[str, Pane] = {}  # by terminal
        self._glanced: dict[str, object] = {}
        self._later: dict[str, tuple[float, int]] = {}  # terminals to the time of their next glance, and its number
        self._changed: set[str] = set()  # terminals with another foreground than tmux has told
        self._is_gone = False  # a terminal has vanished
        self._hush_until: float | None = None
        selector.register(self._ttys.fileno(), selectors.EVENT_READ, self._on_event)

    @property
    def blindness(self) -> str:
        """Why not all terminals can be listened to; empty when they can."""
        return self._ttys.blindness

    def wrote_at(self, tty: str) -> float:
        """When a terminal was last heard to write: seconds since the computer's start; 0 for never."""
        return self._ttys.wrote_at(tty)

    def keep(self, panes: Collection[Pane]) -> None:
        """Listen to the terminals of these panes, and to no others."""
        self._panes = {pane.tty: pane for pane in panes if pane.tty.startswith("/dev/")}
        for tty in self._glanced.keys() - self._panes.keys():
            del self._glanced[tty]
            self._later.pop(tty, None)
            self._changed.discard(tty)
        self._paces.keep(self._panes)
        for tty in self._ttys.keep(self._panes):
            self._arm(tty, time.monotonic())
        for tty in self._panes.keys() - self._glanced.keys():
            self._glanced[tty] = self._glance(self._panes[tty].pid)

    def follow_up(self, tty: str, at: float) -> None:
        """Glance at a terminal's foreground at `at`, and ask about it if that is another."""
        if tty in self._panes:
            self._later[tty] = (at, 0)

    def _on_event(self) -> None:
        now = time.monotonic()
        if self._paces.busy >= MANY:
            self._hush(now)
        else:
            self._take_events(now)

    def _hush(self, now: float) -> None:
        self._hush_until = now + HUSH
        self._selector.unregister(self._ttys.fileno())

    def _take_events(self, now: float) -> None:
        heard, is_gone = self._ttys.receive_events()
        self._is_gone = self._is_gone or is_gone
        for tty in heard:
            rest = self._paces.heard(tty, now)
            if rest <= SHORT:
                self._later[tty] = (now + LATER[0], 0)
            self._ttys.rest(tty, _end(now, min(rest, WATCHED_REST) if tty in self.watched else rest))
        if heard:
            self._on_heard(heard)

    def step(self, now: float) -> bool:
        """Do what is due. True when a terminal has vanished, so that all should be looked at."""
        if self._hush_until is not None and self._hush_until <= now:
            self._hush_until = None
            self._selector.register(self._ttys.fileno(), selectors.EVENT_READ, self._on_event)
            self._take_events(now)
        rested = self._ttys.rested(now)
        if len(rested) >= MANY and self._hush_until is None:
            self._hush(now)  # the first of them would wake us in a moment
        for tty in rested:
            self._arm(tty, now)
        if self.watched and (maybe := [tty for tty in rested if tty in self.watched]):
            self._on_heard(maybe)  # what they wrote while they rested is unknown
        later = {tty: number + 1 for tty, (at, number) in self._later.items() if at <= now}
        for tty, number in later.items():
            if number < len(LATER):
                self._later[tty] = (now + LATER[number], number)
            else:
                del self._later[tty]
        for tty in {*rested, *later}:
            self._compare(tty, now)
        is_gone, self._is_gone = self._is_gone, False
        return is_gone

    def _arm(self, tty: str, now: float) -> None:
        if self._ttys.arm(tty):
            self._paces.armed(tty, now)

    def _compare(self, tty: str, now: float) -> None:
        pane = self._panes.get(tty)
        if pane is None:
            return
        found = self._glance(pane.pid)
        if found != self._glanced.get(tty):
            self._glanced[tty] = found
            self._changed.add(tty)
            self._later[tty] = (now + LATER[0], 0)
            self._paces.ask(tty, now)

    def next_due(self) -> float | None:
        """When `step` has something to do (monotonic)."""
        dues = [at for at, _ in self._later.values()]
        dues += [at for at in (self._ttys.next_due(), self._hush_until) if at is not None]
        return min(dues, default=None)

    # Asking.

    def next_peek(self) -> float | None:
        """When panes are to be asked about (monotonic)."""
        return self._paces.next_due()

    def begin_peek(self, now: float) -> list[tuple[str, bool]]:
        """Give the panes to ask about now, by id, and whether all is to be asked, or only what glances do not tell."""
        wanted = [(self._panes[tty].id, tty in self._changed) for tty in self._paces.begin(now) if tty in self._panes]
        self._changed.difference_update(tty for tty, pane in self._panes.items() if (pane.id, True) in wanted)
        return wanted

    def asked_all(self, now: float) -> None:
        """Note that a look at all panes begins."""
        self._changed.clear()
        self._paces.asked(self._panes, now)

    def answered(self, panes: Mapping[str, bool]) -> None:
        """Note for panes, by id, whether what was said of them is something new of what a row shows."""
        for tty, pane in self._panes.items():
            if pane.id in panes:
                self._paces.answered(tty, is_new=panes[pane.id])

    def close(self) -> None:
        """Listen to nothing any more."""
        if self._hush_until is None:
            self._selector.unregister(self._ttys.fileno())
        self._ttys.close()


def _end(now: float, rest: float) -> float:
    """When a rest ends that begins now."""
    return now + rest if rest < TOGETHER else math.ceil((now + rest) / TOGETHER) * TOGETHER
