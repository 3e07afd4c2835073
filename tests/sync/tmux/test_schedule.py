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
    SLOWEST_SAFETY,
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
    """Without a trigger the next look is the slow one; the slower the more looks usually cost, up to a limit."""
    assert schedule.due() == 100.0 + SAFETY
    schedule.began(200.0)
    schedule.ended(202.0)  # one that had to wait is not what looks cost
    assert schedule.due() == 200.0 + SAFETY
    dear = LookSchedule()
    dear.began(100.0)
    assert dear.due() == 100.0 + SAFETY, "what looks cost is not known yet"
    for took, least, most in ((0.01, SAFETY, SLOWEST_SAFETY), (3.0, SAFETY, SLOWEST_SAFETY)):
        dear.began(100.0)
        dear.ended(100.0 + took)
        assert 100.0 + least < dear.due() <= 100.0 + most


def test_a_burst_is_one_look(schedule: LookSchedule) -> None:
    """A look follows the first trigger of a burst; later ones neither delay nor add."""
    schedule.trigger(101.0)
    schedule.trigger(101.005)
    assert schedule.due() == 101.0 + SETTLE
    schedule.began(101.01)
    assert schedule.due() == 101.01 + SAFETY


def test_gap(schedule: LookSchedule) -> None:
    """Looks keep a gap between them."""
    schedule.trigger(100.01)
    assert schedule.due() == max(100.0 + GAP, 100.01 + SETTLE)


def test_slow_looks_are_rare(schedule: LookSchedule) -> None:
    """Looking never takes more than a fifth of the time, however long a look or a peek takes."""
    schedule.ended(100.5)
    schedule.trigger(100.6)
    assert schedule.due() == 100.0 + SHARE * 0.5
    schedule.began_peek(103.0)
    schedule.ended_peek(103.1)
    assert schedule.peek_due(103.1) == pytest.approx(103.0 + SHARE * 0.1)
    assert schedule.peek_due(None) > 1e9


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


def look(schedule: LookSchedule, now: float) -> float:
    """Ask for a look at once, and do it; when it ended."""
    schedule.at_once(now)
    at = max(now, schedule.due())
    schedule.began(at)
    schedule.ended(at + 0.001)
    return at + 0.001


def peek(schedule: LookSchedule, now: float) -> float:
    """Ask for a peek, and do it; when it ended."""
    at = max(now, schedule.peek_due(now))
    schedule.began_peek(at)
    schedule.ended_peek(at + 0.001)
    return at + 0.001


@pytest.mark.parametrize("asks", [[look], [peek], [look, peek]])
def test_looks_a_second_are_bounded(schedule: LookSchedule, asks: list[Callable[[LookSchedule, float], float]]) -> None:
    """Whoever asks again after each answer does not make the process spin."""
    now, count = 100.001, 0
    while now < 160.0:
        now = asks[count % len(asks)](schedule, now)
        count += 1
    assert count <= 60 * RATE + BURST + 1
