"""Who is online, by beats and the receiver's clock."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from teleclaude.core.records import Computer
from teleclaude.core.text import has_control
from teleclaude.sync.fleet.membership.peers import Freshness, Peers
from teleclaude.sync.fleet.wire.messages import Envelope, Heartbeat


def beat(
    number: int, *, name: str = "far", epoch: str = "e1", generation: int = 1, **info: Any
) -> tuple[Envelope, Heartbeat]:
    """Beat `number` of a computer."""
    envelope = Envelope(1, name, "*", f"{epoch}{number}", epoch, generation, 0.0, msgspec.Raw(b"\xc0"))
    return envelope, Heartbeat(beat=number, home="h", heads={}, info=Computer(name=name, **info))


def heard(roster: Peers, at: float, number: int, *, is_proven: bool = True, **more: Any) -> Freshness:
    """Let a roster hear a beat, of one that answered then, too."""
    found = roster.receive(*beat(number, **more), at, "then")
    if is_proven:
        roster.prove(more.get("name", "far"), more.get("epoch", "e1"), 0.0, at)
    return found


@pytest.mark.parametrize(("seconds", "is_online"), [(59.9, True), (60.0, False), (60.1, False)])
def test_online_until_the_lease_runs_out(seconds: float, is_online: bool) -> None:
    """A computer is online until 60 s after its last beat, and its row stays."""
    roster = Peers("near")
    heard(roster, 0.0, 1)
    roster.expire(seconds)
    assert (roster.online("far") is not None) is is_online
    assert "far" in roster.all


def test_the_same_or_an_older_beat_is_no_sign_of_life() -> None:
    """Beats that are read again or replayed do not prolong the lease."""
    roster = Peers("near")
    assert heard(roster, 0.0, 5) is Freshness.NEW
    assert heard(roster, 50.0, 5) is Freshness.REPEATED
    assert heard(roster, 50.0, 4) is Freshness.OLD
    assert [peer.name for peer in roster.expire(60.0)] == ["far"]


def test_a_beat_that_lay_in_redis_counts_from_when_it_was_written() -> None:
    """The lease does not begin anew because somebody looks late; and only of the beat that was meant."""
    roster = Peers("near")
    heard(roster, 100.0, 5)
    roster.aged("far", 1, 5, 60.0)
    roster.aged("far", 1, 5, 90.0)  # never later than was known
    assert roster.next_change(100.0) == 20.0
    heard(roster, 110.0, 6)
    roster.aged("far", 1, 5, 60.0)
    assert not roster.expire(169.0)
    assert [peer.name for peer in roster.expire(170.0)] == ["far"]


def test_beats_of_who_never_answered_prolong_nothing() -> None:
    """They may be old ones that somebody kept: the first counts, no other does until its computer was heard to live."""
    roster = Peers("near")
    assert heard(roster, 0.0, 1, is_proven=False) is Freshness.NEW
    assert heard(roster, 50.0, 2, is_proven=False) is Freshness.UNPROVEN
    assert [peer.name for peer in roster.expire(60.0)] == ["far"]
    assert heard(roster, 70.0, 3, is_proven=False) is Freshness.UNPROVEN
    assert not roster.online("far")
    assert not roster.prove("far", "another epoch", 75.0, 75.0)
    assert heard(roster, 80.0, 4, is_proven=False) is Freshness.UNPROVEN
    assert roster.prove("far", "e1", 84.0, 85.0), "that brings it back"
    assert roster.online("far")
    assert heard(roster, 90.0, 5, is_proven=False) is Freshness.BEAT


def test_what_an_earlier_start_said_is_old() -> None:
    """After a restart no beat of the run before counts, whatever its number."""
    roster = Peers("near")
    heard(roster, 0.0, 5)
    assert heard(roster, 1.0, 1, epoch="e2", generation=2) is Freshness.NEW
    assert heard(roster, 2.0, 99, epoch="e1", generation=1) is Freshness.OLD
    assert roster.all["far"].epoch == "e2"


def test_back_online_is_new_and_the_next_beat_is_not() -> None:
    """Coming back is told once."""
    roster = Peers("near")
    heard(roster, 0.0, 1)
    roster.expire(61.0)
    assert heard(roster, 70.0, 2) is Freshness.NEW
    assert heard(roster, 90.0, 3) is Freshness.BEAT


def test_known_is_never_overwritten_by_nothing() -> None:
    """A beat that does not tell user, host and tmux leaves them as they were, so attaching still works."""
    roster = Peers("near")
    heard(roster, 0.0, 1, user="anna", host="far.lan", tmux_socket="own")
    heard(roster, 1.0, 2)
    record = roster.all["far"].record()
    assert (record.user, record.host, record.tmux_socket) == ("anna", "far.lan", "own")
    heard(roster, 2.0, 3, tmux_socket="default")
    assert roster.all["far"].record().tmux_socket == "default"


def test_a_goodbye_counts_once_and_an_old_one_does_not() -> None:
    """Who said goodbye is offline until a new beat; a goodbye of an earlier run changes nothing."""
    roster = Peers("near")
    heard(roster, 0.0, 3)
    assert roster.leave(beat(0)[0])
    assert not roster.leave(beat(0)[0])
    assert heard(roster, 1.0, 3) is Freshness.OLD
    heard(roster, 2.0, 1, epoch="e2", generation=2)
    assert not roster.leave(beat(0)[0])
    assert roster.online("far")


def test_forgotten_after_a_time_offline_only() -> None:
    """A computer leaves the view after the time that is set, if it is offline."""
    roster = Peers("near")
    heard(roster, 0.0, 1)
    assert roster.forget(100.0, 50.0) == []
    roster.expire(100.0)
    assert roster.forget(100.0, 101.0) == []
    assert roster.forget(100.0, 100.0) == ["far"]
    assert roster.all == {}


def test_shown_as_the_reader_sees_it() -> None:
    """What an owner says of `status`, `is_local` and `name` does not count: that is the reader's to say."""
    roster = Peers("near")
    heard(roster, 0.0, 1, status="offline", is_local=True, awaited=("todos",))
    assert roster.all["far"].record(("sessions",)) == Computer(
        name="far", status="online", last_seen="then", epoch="e1", awaited=("sessions",)
    )
    roster.expire(60.0)
    assert roster.all["far"].record(("sessions",)).awaited == ()


def test_what_a_computer_says_of_itself_is_bounded_and_safe() -> None:
    """No text in a heartbeat is long, or acts on a terminal."""
    roster = Peers("near")
    heard(roster, 0.0, 1, host="h" * 10_000, tmux_socket="a\nb\x1b[2J", role="\x1b]52;c;x\x07", user="u\u202e")
    found = roster.all["far"].record()
    assert len(found.host) == 256
    assert not any(has_control(text) for text in (found.host, found.tmux_socket, found.role, found.user))
