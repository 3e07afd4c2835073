"""Delays between tries. It yields delays; the caller sleeps."""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Exponential delays with jitter: each is between half and all of its step.

    `first` and `most`: seconds. `reset` after a good try starts over. `draw` gives a number in [0, 1), by default a
    random one.
    """

    def __init__(
        self,
        first: float = 1.0,
        most: float = 30.0,
        *,
        factor: float = 2.0,
        draw: Callable[[], float] | None = None,
    ) -> None:
        self.first, self.most, self.factor, self._draw = first, most, factor, draw
        self._step = first

    def next(self) -> float:
        """Seconds to wait before the next try."""
        step = self._step
        self._step = min(self.most, step * self.factor)
        return step * (0.5 + 0.5 * self._drawn())

    def reset(self) -> None:
        """Start over: the last try was good."""
        self._step = self.first

    def _drawn(self) -> float:
        if self._draw is None:
            import random  # noqa: PLC0415  (1 ms, and a client that is answered at once never waits)

            self._draw = random.random
        return self._draw()
