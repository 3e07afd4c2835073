"""Who is pushed to, and what waits to be pushed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.records import Computer, Kind, Record, key_of
from teleclaude.replication.version import Verdict, Version
from teleclaude.sync.fleet.membership.peers import LEASE, Peer
from teleclaude.sync.fleet.owner.subscribers import Subscribers, event_of
from teleclaude.sync.fleet.replication.replicas import Replicas
from teleclaude.sync.fleet.wire.messages import PullPart, read_rows, rows_of
from teleclaude.sync.own_records import OwnRecords
from tests import make


def peer(beat: int, heard: float, interest: dict[str, list[Kind]], *, epoch: str = "e") -> Peer:
    """A computer that beats."""
    return Peer("far", epoch, 1, beat, heard, Computer(name="far"), "", {}, interest)


def test_pushed_to_while_the_lease_runs() -> None:
    """A pull gives a lease of 60 s; heartbeats that list this computer renew it; one that does not ends it."""
    subscribers = Subscribers("near")
    subscribers.told("far", "e", ["sessions"], 5, 0.0)
    assert subscribers.of("sessions") == ["far"]
    assert subscribers.of("todos") == []
    subscribers.beat(peer(5, 50.0, {"near": ["sessions", "todos"]}))
    subscribers.expire(LEASE + 1)
    assert subscribers.of("todos") == ["far"]
    subscribers.beat(peer(6, 70.0, {"third": ["sessions"]}))
    assert not subscribers


def test_the_lease_runs_out() -> None:
    """Who is not heard of any more gets no more pushes."""
    subscribers = Subscribers("near")
    subscribers.beat(peer(1, 0.0, {"*": ["sessions"]}))
    subscribers.expire(59.9)
    assert subscribers
    subscribers.expire(60.0)
    assert not subscribers


def test_a_heartbeat_from_before_the_pull_does_not_end_it() -> None:
    """The interest of a pull is newer than that of a beat which was written before it."""
    subscribers = Subscribers("near")
    subscribers.told("far", "e", ["sessions"], 6, 0.0)
    subscribers.beat(peer(5, 1.0, {}))
    assert subscribers.of("sessions") == ["far"]
    subscribers.told("far", "e", [], 4, 2.0)
    assert subscribers.of("sessions") == ["far"]
    subscribers.beat(peer(1, 3.0, {}, epoch="a new run"))
    assert not subscribers


def test_an_inbox_gets_its_expiry_now_and_then() -> None:
    """The expiry of a subscriber's inbox is set with the first push, and once a minute."""
    subscribers = Subscribers("near")
    subscribers.told("far", "e", ["sessions"], 1, 0.0)
    assert [subscribers.inbox_expiry_due("far", now) for now in (0.0, 1.0, 59.0, 60.0)] == [True, False, False, True]


TITLES = st.lists(st.sampled_from("abcd"), unique=True, max_size=3)


@given(st.lists(st.tuples(TITLES, st.booleans()), max_size=12), st.integers(0, 11))
def test_merged_changes_say_the_same_as_each_in_turn(steps: list[tuple[list[str], bool]], snapshot_at: int) -> None:
    """However changes are merged, and wherever a snapshot falls between them, the reader has what the owner has."""
    own, replicas = OwnRecords("far", lambda _ops: None), Replicas()
    told = Version(own.epoch, 0)
    replicas.want("far", ["sessions"])

    def pull() -> None:
        replicas.lost("far")
        [needed] = replicas.due(["far"], 0.0)
        (_, seq), records = own.snapshot("sessions")
        replicas.land("far", own.epoch, needed.request, [PullPart("sessions", seq, False, rows_of(records))], 0.0, 0.0)

    def tell() -> Version:
        change = own.since("sessions", told)
        assert change
        if change.rows:
            assert replicas.apply("far", own.epoch, event_of("sessions", change), 0.0) is not Verdict.NEED_SNAPSHOT
        return change.version

    pull()
    for number, (titles, push) in enumerate(steps):
        own.update(
            "sessions", [make.session(make.session_id(title), "far", title=f"{title}{number}") for title in titles]
        )
        if number == snapshot_at:
            pull()
        told = tell() if push else told
    told = tell()
    there: list[Record] = own.snapshot("sessions")[1]
    assert dict(replicas.rows("far", "sessions")) == {key_of(record): record for record in there}


def test_what_waits_is_bounded_by_the_records() -> None:
    """A Redis that is away for long costs one row a record, not one a change."""
    own = OwnRecords("far", lambda _ops: None)
    for number in range(1000):
        own.update("sessions", [make.session(make.session_id("one"), "far", title=str(number))])
    change = own.since("sessions", Version(own.epoch, 0))
    assert change
    event = event_of("sessions", change)
    assert (event.after, event.seq) == (0, 1000)
    assert len(read_rows("sessions", "far", event.rows, 0.0).rows) == 1
