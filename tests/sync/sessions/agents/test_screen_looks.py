"""A screen is looked at when that may tell something, and hardly ever otherwise."""

# ruff: noqa: RUF001  (the agents' own characters)

from __future__ import annotations

from teleclaude.sync.sessions.agents.agent_tables import TABLES
from teleclaude.sync.sessions.agents.evidence import ScreenSign
from teleclaude.sync.sessions.agents.screen_looks import FIRST, MOST, SETTLE, ScreenLooks, read_screen

NEVER = float("inf")


class Looks:
    """Looks, with the time and the last output of one pane."""

    def __init__(self) -> None:
        self.looks, self.now, self.output = ScreenLooks(), 100.0, 0.0

    def due(self) -> float:
        """When a look is due."""
        return self.looks.next(lambda _: self.output)[1]

    def look(self, asks: str = "") -> None:
        """Look, at the time when it is due."""
        self.now = max(self.now, self.due())
        self.looks.looked("%1", ScreenSign(self.now, asks), self.now)


def test_once_for_each_situation() -> None:
    """What happened once is looked at once, whatever is written afterwards."""
    looks = Looks()
    assert looks.due() == NEVER
    looks.looks.need("%1", "once", "a", looks.now)
    assert looks.due() == looks.now + SETTLE
    looks.look()
    looks.output = looks.now + 50.0
    looks.looks.need("%1", "once", "a", looks.now + 50.0)
    assert looks.due() == NEVER
    looks.looks.need("%1", "once", "b", looks.now + 60.0)
    assert looks.due() == looks.now + 60.0 + SETTLE
    looks.looks.need("%1", "", None, looks.now)
    assert looks.due() == NEVER


def test_a_menu_that_stands_still_is_looked_at_once() -> None:
    """Who waits and writes nothing costs nothing; when it writes, it is looked at again."""
    looks = Looks()
    looks.looks.need("%1", "follow", "a", looks.now)
    looks.look("1. Yes")
    assert looks.due() == NEVER
    looks.output = looks.now + 500.0
    assert looks.due() == looks.output + SETTLE


def test_one_that_writes_all_the_time_is_looked_at_ever_more_seldom() -> None:
    """However long it goes on, looks that show nothing new come a minute apart at most twice."""
    looks = Looks()
    looks.looks.need("%1", "follow", "a", looks.now)
    looks.look()
    gaps = []
    for _ in range(8):
        looks.output = looks.now + 0.1
        gaps.append(looks.due() - looks.now)
        looks.output = looks.due()
        looks.look()
    assert gaps == [min(MOST, FIRST * 2**n) for n in range(1, 9)]
    looks.output = looks.now + 0.1
    looks.look("1. Yes")
    looks.output = looks.now + 0.1
    assert looks.due() - looks.now == FIRST


def test_an_error_counts_in_the_last_turn_only() -> None:
    """The line of an error that an earlier turn left on the screen is not of this one; and menus are found."""
    failed = "› 1. hello\n\n■ last status: 429\n\n› Ask Codex to do anything\n"
    assert read_screen(TABLES["codex"], failed, 1.0).error == "■ last status: 429"
    assert read_screen(TABLES["codex"], failed.replace("› Ask", "› more\n\n• done\n\n› Ask"), 1.0).error == ""
    assert read_screen(TABLES["claude"], failed, 1.0).error == ""
    assert read_screen(TABLES["claude"], " trust?\n ❯ 1. Yes, I trust\n   2. No\n", 1.0).asks == "1. Yes, I trust"
    assert read_screen(TABLES["codex"], "", 1.0) == ScreenSign(1.0)
