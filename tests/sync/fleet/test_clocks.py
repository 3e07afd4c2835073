"""Clocks: the estimate of another computer's clock errs to one side only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.sync.fleet.owner.replay_guard import Guard
from teleclaude.sync.fleet.wire.clock import DRIFT, PeerClock
from teleclaude.sync.fleet.wire.messages import Fresh
from teleclaude.sync.fleet.wire.sealing import Dropped

ages = st.lists(st.tuples(st.floats(0, 600), st.floats(0, 120)), min_size=1, max_size=20)


@given(ages, st.floats(-1e6, 1e6), st.floats(-DRIFT, DRIFT), st.floats(0, 3600))
def test_never_ahead_of_the_truth(
    samples: list[tuple[float, float]], offset: float, drift: float, later: float
) -> None:
    """However old the messages were that told a clock, the estimate is never ahead of that clock."""
    clock, mine = PeerClock(), 0.0
    for pause, age in samples:
        mine += pause
        told_at = mine - age
        clock.sample(told_at * (1 + drift) + offset, mine)
    mine += later
    assert clock.estimate(mine) <= mine * (1 + drift) + offset + 1e-6 * abs(offset) + 1e-6


def test_an_answer_bounds_the_error() -> None:
    """After an answer that took 20 ms the clock is known to 20 ms; an hour later to some seconds."""
    clock = PeerClock()
    clock.sample(1000.0, 0.0)
    assert clock.error(0.0) == float("inf")
    clock.sample(1030.0, 0.02, error=0.02)
    assert clock.error(0.02) == pytest.approx(0.02)
    assert clock.error(3600.0) < 4.0


def dropped(guard: Guard, request: str, fresh: Fresh, now: float) -> str:
    """Why a request is dropped; empty when it passes."""
    try:
        guard.check(request, fresh, now)
    except Dropped as error:
        return error.reason
    return ""


@pytest.mark.parametrize(
    ("fresh", "now", "reason"),
    [
        (Fresh("e", 100.0, 110.0), 109.9, ""),
        (Fresh("e", 100.0, 110.0), 110.0, "expired"),
        (Fresh("e", 100.0, 160.0), 100.0, ""),
        (Fresh("e", 100.0, 160.1), 100.0, "future"),
        (Fresh("e", 101.0, 110.0), 100.0, ""),
        (Fresh("e", 101.1, 110.0), 100.0, "future"),
        (Fresh("before", 100.0, 110.0), 100.0, "epoch"),
    ],
)
def test_only_a_fresh_request_passes(fresh: Fresh, now: float, reason: str) -> None:
    """A request passes in its recipient's epoch, from its issue to its end, which are at most 60 s apart."""
    assert dropped(Guard("e"), "id", fresh, now) == reason


def test_a_request_passes_once() -> None:
    """The same id again is a replay while it is fresh, and expired after that."""
    guard, fresh = Guard("e"), Fresh("e", 0.0, 60.0)
    assert [dropped(guard, "id", fresh, now) for now in (1.0, 2.0, 59.0, 61.0)] == [
        "",
        "replayed",
        "replayed",
        "expired",
    ]
