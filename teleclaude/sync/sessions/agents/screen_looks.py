"""When to look at an agent's screen, and what a look showed. Pure: needs and the clock in.

Rules: only where nothing else tells what an agent does (judge.py says so), once for each situation; and where a menu
may stand, again after it wrote, ever more seldom while that shows nothing new. Who writes nothing is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from teleclaude.sync.sessions.agents.agent_question import choice
from teleclaude.sync.sessions.agents.agent_table import AgentTable
from teleclaude.sync.sessions.agents.evidence import ScreenSign
from teleclaude.sync.sessions.agents.judge import ScreenNeed

SETTLE = 0.3  # seconds from what makes a look worth while to the look
FIRST, MOST = 1.0, 32.0  # seconds between two looks, at first and at most
_NEVER = float("inf")


@dataclass(slots=True)
class _Look:
    """Of one pane. `situation`: anything that is the same for as long as one look is enough."""

    need: ScreenNeed
    situation: object
    since: float
    looked: float = 0.0
    pace: float = FIRST
    shown: tuple[str, str] = ("", "")

    def due(self, output: float) -> float:
        if not self.looked:
            return self.since + SETTLE
        return (
            max(self.looked + self.pace, output + SETTLE) if self.need == "follow" and output > self.looked else _NEVER
        )


class ScreenLooks:
    """The looks at all panes. Times are seconds since the computer's start."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}

    def need(self, pane: str, need: ScreenNeed, situation: object, now: float) -> None:
        """Say what is needed of a pane now."""
        known = self._looks.get(pane)
        if not need:
            self._looks.pop(pane, None)
        elif known is None or known.situation != situation:
            self._looks[pane] = _Look(need, situation, now)
        else:
            known.need = need

    def keep(self, panes: Collection[str]) -> None:
        """Forget other panes."""
        self._looks = {pane: look for pane, look in self._looks.items() if pane in panes}

    def __contains__(self, pane: str) -> bool:
        return pane in self._looks

    def next(self, output: Callable[[str], float]) -> tuple[str, float]:
        """Give the pane to be looked at next, and when: never, for none. `output`: when a pane last wrote."""
        due = [(look.due(output(pane)), pane) for pane, look in self._looks.items()]
        at, pane = min(due, default=(_NEVER, ""))
        return pane, at

    def looked(self, pane: str, sign: ScreenSign | None, now: float) -> None:
        """Take what a look showed; None: nothing, it failed."""
        look = self._looks.get(pane)
        if look is None:
            return
        shown = (sign.asks, sign.error) if sign else look.shown
        look.pace = FIRST if shown != look.shown else min(MOST, look.pace * 2)
        look.looked, look.shown = now, shown


def read_screen(table: AgentTable, screen: str, now: float) -> ScreenSign:
    """Read what tells on a screen: the marked line of a menu, and an error in the last turn."""
    lines = screen.split("\n")
    marked = [at for at, line in enumerate(lines) if table.pointer and line.startswith(table.pointer)]
    turn = lines[marked[-2] :] if len(marked) > 1 else lines  # the last mark is the prompt's own
    errors = [line for line in turn if table.error_line and line.startswith(table.error_line)]
    return ScreenSign(now, choice(table.pointer, screen), errors[-1] if errors else "")
