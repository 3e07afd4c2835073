"""A client that comes back shows what there is: the product's own hub, frames, position and model."""

from __future__ import annotations

import pytest

from teleclaude.core.records import Computer, Scope
from tests.make import session
from tests.replication.connection import Follower, Served

SESSIONS: Scope = ("a", "sessions")


@pytest.fixture
def served() -> Served:
    """Make a cache with two sessions, and its hub."""
    found = Served()
    found.write(lambda: found.cache.put([session("keep", "a"), session("ghost", "a")]))
    return found


@pytest.fixture
def follower(served: Served) -> Follower:
    """Make a client that shows both."""
    found = Follower(served, SESSIONS)
    found.connect()
    found.read_all()
    assert found.differences() == []
    return found


def test_a_change_right_behind_the_hello_hides_nothing_that_was_missed(served: Served, follower: Follower) -> None:
    """A session that ended while the client was away is gone, though a computer changed before the client spoke."""
    follower.lose()
    served.write(lambda: served.cache.remove("sessions", "a", ["ghost"]))
    follower.connect()
    served.write(lambda: served.cache.put([Computer(name="a", is_local=True, counts={"idle": 1})]))
    follower.read_all()
    assert follower.differences() == []


def test_what_came_and_went_between_two_tries_is_gone(served: Served, follower: Follower) -> None:
    """A try that broke off may have told of a session; the next one tells that it is gone."""
    follower.lose()
    served.write(lambda: served.cache.put([session("new", "a"), session("other", "a")]))
    follower.connect()
    follower.read()  # the hello; what was missed is on its way
    follower.read(1)  # of which one event arrives
    assert "new" in follower.model.machines["a"].sessions
    follower.lose()
    served.write(lambda: served.cache.remove("sessions", "a", ["new"]))
    follower.connect()
    follower.read_all()
    assert follower.differences() == []


def test_a_connection_that_breaks_behind_a_lost_feed_misses_nothing(served: Served, follower: Follower) -> None:
    """What the web process learnt by a snapshot is told as a state, and half of a state is not taken for all."""
    served.cache.put([session("new", "a"), session("more", "a")])
    served.cache.remove("sessions", "a", ["ghost"])
    served.show_snapshot()
    follower.read(1)
    follower.connect()
    follower.read_all()
    assert follower.differences() == []


def test_a_scope_that_was_closed_and_opened_is_not_resumed_from_too_late(served: Served, follower: Follower) -> None:
    """The snapshot of an earlier subscription, read late, does not stand for the later one."""
    follower.want()
    follower.want(SESSIONS)
    follower.want()
    served.write(
        lambda: served.cache.remove("sessions", "a", ["ghost"]),
        lambda: served.cache.put([Computer(name="a", is_local=True, role="x")]),
    )
    follower.want(SESSIONS)
    follower.read(2)  # the first snapshot and the computer's change; the connection breaks before the second snapshot
    follower.connect()
    follower.read_all()
    assert follower.differences() == []


def test_a_computer_that_is_gone_is_shown_no_more_after_a_state_anew(served: Served, follower: Follower) -> None:
    """A state for what the client still follows does not bring a computer back, and when it is back it is followed."""
    served.write(lambda: served.cache.put([Computer(name="b"), session("r", "b")]))
    follower.want(SESSIONS, ("b", "sessions"))
    follower.read_all()
    served.write(lambda: served.cache.forget("b"))
    served.show_snapshot()
    follower.read_all()
    assert follower.differences() == []
    served.write(lambda: served.cache.put([Computer(name="b"), session("q", "b")]))
    follower.read_all()
    assert follower.differences() == []
