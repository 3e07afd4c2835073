"""When to look."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from teleclaude.sync.tmux.schedule import (
    BURST,
    GAP,
    RATE,
    SAFETY,
    SETTLE,
    SHARE,
    URGENT_GAP,
    URGENT_SETTLE,
    LookSchedule,
)


@pytest.fixture
def schedule() -> LookSchedule:
    """A schedule whose first look was at 100 and took a millisecond."""
    found = LookSchedule()
    assert found.due() < 0
    found.began(100.0)
    found.ended(100.001)
    return found


def test_safety(schedule: LookSchedule) -> None:
    """Without a trigger the next look is the slow one."""
    assert schedule.due() == 100.0 + SAFETY


def test_a_burst_is_one_look(schedule: LookSchedule) -> None:
    """A look follows the first trigger of a burst; later ones neither delay nor add."""
    schedule.trigger(101.0)
    schedule.trigger(101.04)
    assert schedule.due() == 101.0 + SETTLE
    schedule.began(101.05)
    assert schedule.due() == 101.05 + SAFETY


def test_gap(schedule: LookSchedule) -> None:
    """Looks keep a gap between them, a shorter one after what is urgent."""
    schedule.trigger(100.01)
    assert schedule.due() == 100.0 + GAP
    schedule.trigger(100.01, urgent=True)
    assert schedule.due() == max(100.0 + URGENT_GAP, 100.01 + URGENT_SETTLE)


def test_slow_looks_are_rare(schedule: LookSchedule) -> None:
    """Looking never takes more than a fifth of the time, however long a look takes."""
    schedule.ended(100.5)
    schedule.trigger(100.6, urgent=True)
    assert schedule.due() == 100.0 + SHARE * 0.5


def test_trigger_during_a_look_leads_to_another(schedule: LookSchedule) -> None:
    """What happens while a look is under way may not be in it."""
    schedule.began(102.0)
    schedule.trigger(102.005)
    schedule.ended(102.01)
    assert schedule.due() < 103


def test_at_once(schedule: LookSchedule) -> None:
    """A look that is asked for does not wait."""
    schedule.at_once(100.002)
    assert schedule.due() == 100.002


@pytest.mark.parametrize("asked", [LookSchedule.at_once, LookSchedule.trigger])
def test_looks_a_second_are_bounded(schedule: LookSchedule, asked: Callable[[LookSchedule, float], None]) -> None:
    """Whoever asks for a look after each look does not make the process spin."""
    now, looks = 100.001, 0
    while now < 160.0:
        asked(schedule, now)
        now = max(now, schedule.due())
        schedule.began(now)
        now += 0.001
        schedule.ended(now)
        looks += 1
    assert looks <= 60 * RATE + BURST + 1
