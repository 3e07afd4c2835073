"""When to ask tmux about panes that write, and when to listen to them again. Pure: events and the clock in.

Output says that a pane is alive, and hardly ever that something changed which a row shows. So the first output after
a rest is followed by a question at once; while output goes on, questions that find nothing new come more and more
seldom (`STEPS`); and when a pane pauses for longer than it is used to, it is asked once more, so that what it said
last is not missed. Panes that would be asked soon anyway are asked along with one that is due.

A pane that was heard is not listened to for a moment (`RESTS`), longer while it goes on. What it writes meanwhile is
unknown, so an answer counts as the last word only when the pane was being listened to as it was asked. And output
takes a moment through the kernel to tmux, and a program one to answer its first line, so what was written less than
`YOUNG` before is asked about again, each time after twice as long, until an answer has something new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

SETTLE = 0.012  # seconds from the first output to the question, so that it sees all of a burst
RESTS = (0.010, 0.100, 0.150, 0.250, 0.400)  # seconds after the first, second, … event in a row
STEPS = (0.150, 0.300, 0.600, 1.000)  # seconds between questions, by how many in a row found nothing new
PAUSE = 0.250  # seconds without output, at least, that end what a pane was saying
YOUNG, AGAIN = 0.200, 0.060  # seconds; after how many, at least, it is asked about again
FIRST = 2  # events in a row for which that is so, and which wait for no step; who goes on is asked again anyway
FORGET = 5.0  # seconds of quiet after which all starts anew
AT_ONCE = 40  # panes in one question; more is a look at all
_NEVER = float("inf")


@dataclass(slots=True)
class _Pace:
    """Of one terminal. Times are monotonic seconds; `heard_first`: the first output that no answer covers."""

    armed_at: float | None = None  # listened to since; None while it rests
    heard_first: float | None = None
    heard_last: float = -_NEVER
    asked_at: float = -_NEVER
    ask_at: float = _NEVER  # asked for by something else than output
    is_again: bool = False  # that is, because an answer came too soon
    events: int = 0  # in a row
    nothing_new: int = 0  # answers in a row
    usual_wait: float = 0.0  # how long it has lately been listened to until it wrote

    def due(self) -> float:
        if self.heard_first is None:
            return self.ask_at
        is_first = self.events <= FIRST and self.heard_last > self.asked_at
        step = 0.0 if is_first else STEPS[min(self.nothing_new, len(STEPS) - 1)]
        at = max(self.heard_first + SETTLE, self.asked_at + step)
        if self.armed_at is not None and self.asked_at > -_NEVER:
            at = min(at, max(self.armed_at + PAUSE, self.armed_at + 2 * self.usual_wait, self.asked_at + STEPS[0]))
        return min(at, self.ask_at)


class PanePaces:
    """The pace of each terminal."""

    def __init__(self) -> None:
        self._paces: dict[str, _Pace] = {}
        self._open: set[str] = set()  # terminals with something due
        self._next: float | None = None
        self._is_stale = False  # `_next` is to be reckoned anew

    def keep(self, ttys: Collection[str]) -> None:
        """Know these terminals, and no others."""
        self._paces = {tty: self._paces.get(tty) or _Pace() for tty in ttys}
        self._open.intersection_update(self._paces)
        self._is_stale = True

    def armed(self, tty: str, now: float) -> None:
        """Note that a terminal is listened to from now on."""
        if tty in self._paces:
            self._paces[tty].armed_at = now
            self._is_stale = True

    def heard(self, tty: str, now: float) -> float:
        """Note that a terminal wrote or read, and is not listened to from now on. Gives seconds until it is again."""
        pace = self._paces.setdefault(tty, _Pace())
        waited = 0.0 if pace.armed_at is None else now - pace.armed_at
        if now - pace.heard_last > FORGET:
            pace.events, pace.nothing_new, pace.usual_wait = 0, 0, 0.0
        else:
            pace.usual_wait = max(waited, 0.7 * pace.usual_wait)
        pace.armed_at, pace.heard_last = None, now
        pace.heard_first = now if pace.heard_first is None else pace.heard_first
        pace.events += 1
        self._open.add(tty)
        self._is_stale = True
        return RESTS[min(pace.events, len(RESTS)) - 1]

    def ask(self, tty: str, at: float) -> None:
        """Have a terminal asked at `at`, whatever it writes."""
        if tty in self._paces:
            self._paces[tty].ask_at, self._paces[tty].is_again = min(self._paces[tty].ask_at, at), False
            self._open.add(tty)
            self._is_stale = True

    @property
    def busy(self) -> int:
        """How many terminals have written what no answer covers yet."""
        return len(self._open)

    def next_due(self) -> float | None:
        """When the first terminal is to be asked; None for never."""
        if self._is_stale:
            self._next, self._is_stale = min((self._paces[tty].due() for tty in self._open), default=None), False
        return self._next

    def begin(self, now: float) -> list[str]:
        """Give the terminals to ask now: those that are due, and those that were heard and would be due soon."""
        due = [tty for tty in self._open if self._paces[tty].due() <= now]
        if due:
            due += [tty for tty in self._open.difference(due) if _goes_along(self._paces[tty], now)]
        self.asked(due, now)
        return due

    def asked(self, ttys: Iterable[str], now: float) -> None:
        """Note that terminals are asked now, be it by a look at all."""
        self._is_stale = True
        for tty in ttys:
            pace = self._paces.get(tty)
            if pace is not None:
                is_young = now - pace.heard_last < YOUNG and pace.events <= FIRST
                pace.asked_at, pace.is_again = now, is_young
                pace.ask_at = now + max(AGAIN, now - pace.heard_last) if is_young else _NEVER
                is_covered = pace.heard_first is None or pace.armed_at is not None
                pace.heard_first = None if is_covered else now
                (self._open.discard if is_covered and not is_young else self._open.add)(tty)

    def answered(self, tty: str, *, is_new: bool) -> None:
        """Note whether an answer held something new of what a row shows."""
        if tty in self._paces:
            pace = self._paces[tty]
            self._is_stale = True
            pace.nothing_new = 0 if is_new else pace.nothing_new + (not pace.is_again)
            if is_new and pace.is_again:
                pace.ask_at, pace.is_again = _NEVER, False
                if pace.heard_first is None:
                    self._open.discard(tty)


def _goes_along(pace: _Pace, now: float) -> bool:
    step = STEPS[min(pace.nothing_new, len(STEPS) - 1)]
    return pace.heard_first is not None and now >= pace.asked_at + step / 2
