"""The three workers together: started at once, stopped in order, forgiven together. Pure.

They start together because each copes with the absence of the others. They stop against the flow of data, web before
sync before cache, so that nobody works for somebody who is gone; one deadline is spread over the three.
"""

from __future__ import annotations

from teleclaude.daemon.life import NEVER, Action, Life, LifeState

STOP_ORDER = ("web", "sync", "cache")
_KILL_AT = (2.0, 3.2, 4.4)  # seconds after the stop began; all is over within 5
AWAY = 1.0  # seconds late; so late a judge was away himself

Order = tuple[str, Action]


class Crew:
    """The lives of the workers, by name."""

    def __init__(self, lives: dict[str, Life]) -> None:
        self.lives = lives
        self.stopping = False
        self._stop_began = 0.0
        self._due = NEVER

    def start(self, now: float) -> list[Order]:
        """Start all."""
        return [(name, action) for name, life in self.lives.items() for action in life.start(now)]

    def stop(self, now: float) -> list[Order]:
        """Begin to stop all; again changes nothing."""
        if not self.stopping:
            self.stopping = True
            self._stop_began = now
        return self._stop_next(now)

    def step(self, now: float) -> list[Order]:
        """Do what is due at `now`."""
        if now - self._due > AWAY:
            for life in self.lives.values():
                life.forgive(now)
        orders = self._stop_next(now) if self.stopping else []  # first, or one that just died would start again
        orders += [(name, action) for name, life in self.lives.items() for action in life.step(now)]
        self._due = self.deadline
        return orders

    @property
    def deadline(self) -> float:
        """When `step` must be called again at the latest. The beats are read then: each says when it was."""
        return min(life.deadline for life in self.lives.values())

    @property
    def over(self) -> bool:
        """Whether the stop is complete."""
        return self.stopping and all(life.state is LifeState.STOPPED for life in self.lives.values())

    @property
    def working(self) -> bool:
        """Whether every worker is running."""
        return all(life.state is LifeState.RUNNING for life in self.lives.values())

    @property
    def settled(self) -> bool:
        """Whether every worker is running or given up, so that waiting longer changes nothing."""
        return all(life.state in {LifeState.RUNNING, LifeState.FATAL} for life in self.lives.values())

    def summary(self) -> str:
        """One line for a person: how the workers are."""
        if self.stopping:
            return "stopping"
        odd = [
            f"{name} is {life.state.value}" for name, life in self.lives.items() if life.state is not LifeState.RUNNING
        ]
        return ", ".join(odd) if odd else f"{', '.join(self.lives)} are running"

    def _stop_next(self, now: float) -> list[Order]:
        """Stop the first that is not stopped yet; those behind it wait, but are not started again."""
        orders: list[Order] = []
        for name, kill_at in zip(STOP_ORDER, _KILL_AT, strict=True):
            life = self.lives[name]
            if not life.alive:
                life.stop(now, 0.0)
            elif not orders and not self._waiting(name):
                orders += [(name, action) for action in life.stop(now, max(0.0, self._stop_began + kill_at - now))]
        return orders

    def _waiting(self, name: str) -> bool:
        """Whether somebody before `name` is still stopping."""
        before = STOP_ORDER[: STOP_ORDER.index(name)]
        return any(self.lives[other].alive for other in before)
