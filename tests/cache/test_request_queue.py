"""The lane back: each request is handed over at most once, and never late."""

from __future__ import annotations

import pytest

from teleclaude.cache.request_queue import QUEUE_LIMIT, Lane
from teleclaude.core.errors import Unavailable
from teleclaude.core.requests import Outcome, Refresh, Request


def request(name: str, deadline: float = 10.0) -> Request:
    """A request that matters only by its name."""
    return Request(id=name, computer="here", args=Refresh(), deadline=deadline)


def test_a_request_is_handed_over_once() -> None:
    """Taking empties the lane; the outcome finds its asker once."""
    lane = Lane()
    lane.submit("web", request("r1"))
    assert [r.id for r in lane.take(1.0)] == ["r1"]
    assert lane.take(1.0) == []
    assert lane.finish(Outcome(id="r1", status="ok")) == "web"
    assert lane.finish(Outcome(id="r1", status="ok")) is None


def test_a_late_request_never_runs_and_its_asker_hears_so() -> None:
    """An expired request is not handed over; the outcome says that it did not run."""
    lane = Lane()
    lane.submit("web", request("late", 5.0))
    lane.submit("web", request("good", 50.0))
    assert lane.next_deadline() == 5.0
    told = lane.expire(5.0)
    assert [(who, outcome.id, outcome.status, outcome.code) for who, outcome in told] == [
        ("web", "late", "error", "unavailable")
    ]
    assert [r.id for r in lane.take(5.0)] == ["good"]


def test_the_lane_is_bounded() -> None:
    """When nobody takes requests, the next one is refused with a reason."""
    lane = Lane()
    for number in range(QUEUE_LIMIT):
        lane.submit("web", request(str(number)))
    with pytest.raises(Unavailable, match="does not keep up"):
        lane.submit("web", request("one more"))
