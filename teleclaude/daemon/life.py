"""The life of one worker, as a table of state and event. Pure: it is told what happened and when, and says what to do.

What must live here: when a worker is hung, when it starts again, when it is given up. What this module must not know:
processes, signals, sockets, the other workers.

    STOPPED ─START→ STARTING ─READY→ RUNNING          STARTING, RUNNING ─DIED→ BACKOFF ─START→ STARTING
    BACKOFF ─GIVE_UP→ FATAL ─REVIVE→ BACKOFF          STARTING, RUNNING ─END→ ENDING ─DIED→ BACKOFF
    STARTING, RUNNING, ENDING ─STOP→ STOPPING ─DIED→ STOPPED          BACKOFF, FATAL ─STOP→ STOPPED
"""

from __future__ import annotations

from enum import Enum, auto

from teleclaude.core.backoff import Backoff

READY_WITHIN = 30.0  # seconds from start to `ready`
SUSPECT_AFTER, SURE_AFTER = 2.5, 0.5  # seconds without a beat, and more of them with us awake: all may have slept
HUNG_AFTER = SUSPECT_AFTER + SURE_AFTER
QUICK = 30.0  # a death within so many seconds of its start is a quick one
GIVE_UP_AFTER = 5  # quick deaths in a row
GOOD_AFTER = 60.0  # seconds of running after which the delays start over
KILLED_MOST = 1.0  # longest delay after somebody else's SIGKILL
NEVER = float("inf")


class LifeState(Enum):
    """Where a worker is. ENDING: it was killed, and shall come back."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    BACKOFF = "backoff"
    FATAL = "fatal"
    STOPPING = "stopping"


class Event(Enum):
    """What happens to a worker."""

    START = auto()
    READY = auto()
    END = auto()
    DIED = auto()
    GIVE_UP = auto()
    REVIVE = auto()
    STOP = auto()


class Action(Enum):
    """What the shell has to do now."""

    START = auto()
    TERMINATE = auto()
    KILL = auto()


TABLE: dict[tuple[LifeState, Event], LifeState] = {
    (LifeState.STOPPED, Event.START): LifeState.STARTING,
    (LifeState.STOPPED, Event.STOP): LifeState.STOPPED,
    (LifeState.STARTING, Event.READY): LifeState.RUNNING,
    (LifeState.STARTING, Event.END): LifeState.ENDING,
    (LifeState.STARTING, Event.DIED): LifeState.BACKOFF,
    (LifeState.STARTING, Event.STOP): LifeState.STOPPING,
    (LifeState.RUNNING, Event.READY): LifeState.RUNNING,
    (LifeState.RUNNING, Event.END): LifeState.ENDING,
    (LifeState.RUNNING, Event.DIED): LifeState.BACKOFF,
    (LifeState.RUNNING, Event.STOP): LifeState.STOPPING,
    (LifeState.ENDING, Event.READY): LifeState.ENDING,
    (LifeState.ENDING, Event.END): LifeState.ENDING,
    (LifeState.ENDING, Event.DIED): LifeState.BACKOFF,
    (LifeState.ENDING, Event.STOP): LifeState.STOPPING,
    (LifeState.BACKOFF, Event.START): LifeState.STARTING,
    (LifeState.BACKOFF, Event.GIVE_UP): LifeState.FATAL,
    (LifeState.BACKOFF, Event.REVIVE): LifeState.BACKOFF,
    (LifeState.BACKOFF, Event.STOP): LifeState.STOPPED,
    (LifeState.FATAL, Event.REVIVE): LifeState.BACKOFF,
    (LifeState.FATAL, Event.STOP): LifeState.STOPPED,
    (LifeState.STOPPING, Event.READY): LifeState.STOPPING,
    (LifeState.STOPPING, Event.DIED): LifeState.STOPPED,
    (LifeState.STOPPING, Event.STOP): LifeState.STOPPING,
}

ALIVE = frozenset({LifeState.STARTING, LifeState.RUNNING, LifeState.ENDING, LifeState.STOPPING})  # there is a process


class Life:
    """One worker's life. Times are seconds of the monotonic clock."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.state = LifeState.STOPPED
        self.since = 0.0
        self.starts = 0
        self.reason = ""
        self._backoff = backoff or Backoff(0.5, 30.0)
        self._deadline = NEVER  # of the present state: READY, a beat, the next start, or the SIGKILL
        self._started = 0.0
        self._ready = NEVER  # when it became ready; NEVER while it has not
        self._is_suspect = False  # it gave no sign of life, and has until the deadline to give one
        self._quick = 0  # quick deaths in a row
        self._good = True  # nothing went wrong since the last good running, so the next restart is at once

    @property
    def deadline(self) -> float:
        """When `step` has something to do at the latest; `NEVER` when nothing is due."""
        return self._deadline

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        return self.state in ALIVE

    def start(self, now: float) -> list[Action]:
        """Start a stopped worker."""
        self._enter(Event.START, now, now + READY_WITHIN)
        self._started, self._ready = now, NEVER
        self.starts += 1
        return [Action.START]

    def ready(self, now: float) -> None:
        """Take the worker's word that it works now."""
        first = self.state is LifeState.STARTING
        if first:
            self.reason, self._ready = "", now
        self._enter(Event.READY, now, now + SUSPECT_AFTER if first else self._deadline)

    def beat(self, at: float) -> None:
        """Take a sign of life, given at `at`."""
        if self.state is LifeState.RUNNING:
            self._is_suspect = False
            self._deadline = max(self._deadline, at + SUSPECT_AFTER)

    def forgive(self, now: float) -> None:
        """Start all waiting anew: the judge himself was away, and what he missed is nobody's fault."""
        self._is_suspect = False
        if self.state is LifeState.RUNNING:
            self._deadline = now + SUSPECT_AFTER
        elif self.state is LifeState.STARTING:
            self._deadline = now + READY_WITHIN

    def stop(self, now: float, patience: float) -> list[Action]:
        """End a worker for good; SIGKILL after `patience` seconds."""
        if self.state is LifeState.STOPPING:
            return []
        self._enter(Event.STOP, now, now + patience if self.alive else NEVER)
        return [Action.TERMINATE] if self.alive else []

    def revive(self, now: float) -> None:
        """Give a worker that was given up, or that waits, a new try at once."""
        if self.state in {LifeState.FATAL, LifeState.BACKOFF}:
            self._forget()
            self._enter(Event.REVIVE, now, now)

    def died(self, now: float, reason: str, *, killed: bool = False) -> None:
        """Take the news that the process ended. `killed`: by a SIGKILL that was not ours.

        A working process that somebody else killed (the kernel short of memory, a person) is no evidence of a fault
        in it: it comes back soon and is not given up for that.
        """
        if self.state is LifeState.STOPPING:
            self._enter(Event.DIED, now, NEVER)
            return
        by_others = killed and self.state is LifeState.RUNNING
        self.reason = self.reason if self.state is LifeState.ENDING else reason
        self._enter(Event.DIED, now, now + self._delay(now, by_others=by_others))
        if self._quick >= GIVE_UP_AFTER:
            self._enter(Event.GIVE_UP, now, NEVER)

    def step(self, now: float) -> list[Action]:
        """Do what is due: start again, or kill what is hung or would not end."""
        if now < self._deadline:
            return []
        if self.state is LifeState.BACKOFF:
            return self.start(now)
        if self.state is LifeState.RUNNING and not self._is_suspect:
            self._is_suspect, self._deadline = True, now + SURE_AFTER
            return []
        if self.state in {LifeState.STARTING, LifeState.RUNNING}:
            self.reason = _late(self.state)
            self._enter(Event.END, now, NEVER)
        self._deadline = NEVER
        return [Action.KILL]

    def _delay(self, now: float, *, by_others: bool) -> float:
        """Seconds until the next start, after a death."""
        if now - self._ready >= GOOD_AFTER:
            self._forget()
        if not by_others:
            quick = self._ready == NEVER or now - self._started < QUICK
            self._quick = self._quick + 1 if quick else 0
        if self._good:
            self._good = False
            return 0.0
        return min(self._backoff.next(), KILLED_MOST if by_others else NEVER)

    def _forget(self) -> None:
        self._backoff.reset()
        self._quick, self._good = 0, True

    def _enter(self, event: Event, now: float, deadline: float) -> None:
        """Take the table's way; a KeyError is a bug of the caller."""
        after = TABLE[self.state, event]
        if after is not self.state:
            self.since, self._is_suspect = now, False
        self.state = after
        self._deadline = deadline


def _late(state: LifeState) -> str:
    if state is LifeState.STARTING:
        return f"was not ready after {READY_WITHIN:.0f} s"
    return f"gave no sign of life for {HUNG_AFTER:.0f} s"
