"""Replicas: whatever the way between does to messages, a replica is right in the end, and never wrong in between."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from teleclaude.cache import wire
from teleclaude.cache.core import CacheCore
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.core.records import Session
from teleclaude.sync.fleet.replication.replicas import PLAN_TTL, Phase, PullNeeded, Replicas
from teleclaude.sync.fleet.wire.messages import ChangeEvent, PullPart, rows_of
from tests import make
from tests.sync.fleet.owner import Message, Owner

NAMES = st.lists(st.sampled_from("abcdef"), unique=True, max_size=4)


class Reader:
    """Replicas with a clock that the test moves, and the cache that they write."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.replicas = Replicas()
        self.now = 1000.0
        self.core = CacheCore(DaemonCache("near"))

    def ask(self, seconds: float = 0.0) -> list[PullNeeded]:
        """Let `seconds` pass, and give the pulls that are due."""
        self.now += seconds
        return self.replicas.due([self.owner.name], self.now)

    def take(self, owner: str, epoch: str, message: Message) -> None:
        """Take one message."""
        if isinstance(message, ChangeEvent):
            self.replicas.apply(owner, epoch, message, 0.0)
        else:
            self.replicas.land(owner, epoch, *message, self.now, 0.0)
        self.write()

    def write(self) -> None:
        """Write into the cache what there is to write."""
        ops, self.replicas.ops = self.replicas.ops, []
        self.core.write(ops)

    def phase(self) -> Phase:
        """Where the replica of the sessions is."""
        return self.replicas.phase(self.owner.name, "sessions")

    def titles(self) -> set[str]:
        """What the cache has."""
        shelf = self.core.cache._partitions.get(("sessions", self.owner.name))
        records = shelf.records.values() if shelf else ()
        return {record.title for record in records if isinstance(record, Session)}

    def settle(self) -> None:
        """Let the way between work well, until nothing is under way."""
        self.owner.push()
        self.replicas.heads(self.owner.name, self.owner.own.epoch, self.owner.own.heads(), self.now, ordered=False)
        for _ in range(20):
            for needed in self.ask(5.0):
                self.owner.answer(needed)
            self.owner.deliver(self.take)


def pair(*titles: str) -> tuple[Owner, Reader]:
    """An owner of sessions, and a reader that has them."""
    owner = Owner()
    owner.change(*titles)
    reader = Reader(owner)
    reader.replicas.want("far", ["sessions"])
    reader.settle()
    assert (reader.phase(), reader.titles()) == ("current", set(titles))
    return owner, reader


class Faults(RuleBasedStateMachine):
    """Changes, restarts, and a way between that loses, repeats, reorders and holds back."""

    def __init__(self) -> None:
        super().__init__()
        self.owner = Owner()
        self.reader = Reader(self.owner)
        self.had: list[set[str]] = [set()]

    @rule(titles=NAMES, push=st.booleans())
    def change(self, titles: list[str], push: bool) -> None:
        """The owner changes, and tells it or waits with it."""
        self.owner.change(*titles)
        self.had.append(set(titles))
        if push:
            self.owner.push()

    @rule()
    def restart(self) -> None:
        """The owner starts anew."""
        self.owner.restart()

    @rule(wanted=st.booleans())
    def look(self, wanted: bool) -> None:
        """A client looks, or looks away."""
        self.reader.replicas.want("far", ["sessions"] if wanted else [])

    @rule(seconds=st.floats(0, 40))
    def pull(self, seconds: float) -> None:
        """Time passes, and pulls are sent."""
        for needed in self.reader.ask(seconds):
            self.owner.answer(needed)

    @rule(count=st.integers(1, 3))
    def deliver(self, count: int) -> None:
        """Some messages arrive."""
        self.owner.deliver(self.reader.take, count)

    @rule(data=st.data())
    def spoil(self, data: st.DataObject) -> None:
        """One message is lost, comes twice, or changes places."""
        inbox = self.owner.inbox
        if not inbox:
            return
        place = data.draw(st.integers(0, len(inbox) - 1))
        message = inbox.pop(place)
        copies = data.draw(st.integers(0, 2))
        for _ in range(copies):
            inbox.insert(data.draw(st.integers(0, len(inbox))), message)

    @rule()
    def connection_lost(self) -> None:
        """The reader's connection breaks."""
        self.reader.replicas.lost()

    @invariant()
    def the_cache_is_what_the_replica_is(self) -> None:
        """The writes into the cache say the same as the replica."""
        self.reader.write()
        assert self.reader.titles() == {
            record.title
            for record in self.reader.replicas.rows("far", "sessions").values()
            if isinstance(record, Session)
        }

    @invariant()
    def only_what_once_was(self) -> None:
        """What a reader has, the owner had at some time: never a mixture, never something that came back."""
        assert self.reader.titles() in self.had

    def teardown(self) -> None:
        """When the faults end, the replica is what its owner is."""
        self.reader.replicas.want("far", ["sessions"])
        self.reader.settle()
        assert self.reader.phase() == "current"
        assert self.reader.titles() == self.owner.titles()


TestFaults = Faults.TestCase
TestFaults.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_gap_leads_to_a_snapshot() -> None:
    """A lost event is noticed with the next one, and the rows are right again without a word of the reader."""
    owner, reader = pair("a")
    owner.change("a", "b")
    owner.push()
    owner.inbox.clear()
    owner.change("a", "b", "c")
    owner.push()
    owner.deliver(reader.take)
    assert (reader.titles(), reader.phase()) == ({"a"}, "wanted")
    [needed] = reader.ask()
    owner.answer(needed)
    owner.deliver(reader.take)
    assert (reader.titles(), reader.phase()) == ({"a", "b", "c"}, "current")


def test_a_lost_last_event_is_noticed_by_the_head() -> None:
    """When no event follows the lost one, the owner's heartbeat tells that there was one."""
    owner, reader = pair("a")
    owner.change("b")
    owner.push()
    owner.inbox.clear()
    reader.replicas.heads("far", owner.own.epoch, owner.own.heads(), reader.now, ordered=False)
    assert reader.ask() == [], "the event may still be on its way"
    assert [needed.kinds for needed in reader.ask(1.0)] == [["sessions"]]


def test_a_head_whose_event_comes_is_no_gap() -> None:
    """A heartbeat that is quicker than its event causes no pull."""
    owner, reader = pair("a")
    owner.change("b")
    reader.replicas.heads("far", owner.own.epoch, owner.own.heads(), reader.now, ordered=False)
    owner.push()
    owner.deliver(reader.take)
    assert reader.ask(1.0) == []


def test_what_is_unchanged_is_not_sent_again() -> None:
    """After a reconnect the reader asks with its position, and an owner without changes sends no rows."""
    owner, reader = pair("a")
    reader.replicas.lost()
    [needed] = reader.ask()
    owner.answer(needed)
    _, message = owner.inbox[0]
    assert isinstance(message, tuple)
    assert [part.is_same for part in message[1]] == [True]
    owner.deliver(reader.take)
    assert (reader.phase(), reader.titles()) == ("current", {"a"})


def test_absent_from_a_snapshot_is_gone_for_good() -> None:
    """A late event never brings back what a later snapshot does not have."""
    owner, reader = pair("a", "b")
    owner.change("a", "b", "c")
    owner.push()
    late = owner.inbox.pop()
    owner.change("a")
    reader.replicas.lost()
    owner.push()
    owner.inbox.clear()
    reader.settle()
    assert reader.titles() == {"a"}
    reader.take("far", *late)
    assert reader.titles() == {"a"}


def test_the_slow_are_asked_ever_more_seldom_and_delay_nobody() -> None:
    """Each owner has its own request and pause; one that never answers is asked with growing pauses."""
    replicas = Replicas()
    owners = [Owner(f"far{number}") for number in range(50)]
    for owner in owners:
        replicas.want(owner.name, ["sessions"])
    names = [owner.name for owner in owners]
    first = replicas.due(names, 0.0)
    assert len(first) == 50, "all are asked at once"
    owners[7].answer(first[7])
    owners[7].deliver(lambda owner, epoch, message: _land(replicas, owner, epoch, message))
    assert replicas.phase("far7", "sessions") == "current"
    times = [now / 10 for now in range(1, 1000) if any(n.owner == "far8" for n in replicas.due(names, now / 10))]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert 3 <= len(times) <= 12
    assert pauses[-1] > 10 > times[0]


def _land(replicas: Replicas, owner: str, epoch: str, message: Message) -> None:
    assert isinstance(message, tuple)
    replicas.land(owner, epoch, *message, 0.0, 0.0)


@pytest.mark.parametrize(("seconds", "is_due"), [(PLAN_TTL - 0.1, False), (PLAN_TTL, True), (PLAN_TTL + 0.1, True)])
def test_projects_are_pulled_again_after_five_minutes(seconds: float, is_due: bool) -> None:
    """Projects and todos are good for 5 min, sessions for ever; what is there stays until the new lands."""
    owner = Owner()
    owner.own.update("projects", [make.project(owner="far")])
    owner.change("a")
    reader = Reader(owner)
    reader.replicas.want("far", ["sessions", "projects"])
    [needed] = reader.ask()
    owner.answer(needed)
    owner.deliver(reader.take)
    assert [needed.kinds for needed in reader.ask(seconds)] == ([["projects"]] if is_due else [])
    assert set(reader.replicas.rows("far", "projects")) == {"/code/a"}


def test_awaited_until_it_is_there() -> None:
    """A kind is shown as awaited from interest to its first rows; a repeated pull only when it takes long."""
    owner = Owner()
    owner.change("a")
    reader = Reader(owner)
    reader.replicas.want("far", ["sessions"])
    assert reader.replicas.awaited("far", reader.now) == ("sessions",)
    reader.settle()
    assert reader.replicas.awaited("far", reader.now) == ()
    reader.replicas.refresh("far", ["sessions"])
    [needed] = reader.ask()
    assert needed.look
    assert reader.replicas.awaited("far", reader.now) == ()
    assert reader.replicas.awaited("far", reader.now + 0.5) == ("sessions",)
    assert reader.titles() == {"a"}, "a refresh keeps what is there"


def test_rows_of_somebody_else_are_refused() -> None:
    """An owner cannot tell of another owner's rows, in an event or in a snapshot."""
    _, reader = pair("a")
    foreign = rows_of([make.session("x", "third")])
    event = ChangeEvent(kind="sessions", seq=2, after=1, rows=foreign)
    with pytest.raises(ValueError, match="third"):
        reader.replicas.apply("far", "any", event, 0.0)
    reader.replicas.lost()
    [needed] = reader.ask()
    with pytest.raises(ValueError, match="third"):
        reader.replicas.land("far", "any", needed.request, [PullPart("sessions", 9, False, foreign)], 0.0, 0.0)
    assert reader.titles() == {"a"}


def test_an_answer_to_nothing_changes_nothing() -> None:
    """A snapshot counts only for the pull that is under way."""
    owner, reader = pair("a")
    owner.change("b")
    assert not reader.replicas.land("far", owner.own.epoch, "never asked", [], reader.now, 0.0)
    assert reader.titles() == {"a"}


def test_a_new_cache_gets_everything() -> None:
    """All rows can be given again at any time."""
    _, reader = pair("a", "b")
    [op] = reader.replicas.everything()
    assert isinstance(op, wire.ReplaceSessions)
    assert {record.title for record in op.records} == {"a", "b"}
