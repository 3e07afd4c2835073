"""DaemonCache: versions, no-change puts, replaces, and TTLs at their edges."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec
import pytest
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.cache.partition import Partition
from teleclaude.cache.wire import RowChange
from teleclaude.core.records import Computer, Kind, Session, key_of
from teleclaude.replication.version import NOTHING, Version
from tests import make

NOON = "2026-01-01 12:00:00"


@pytest.mark.parametrize(("seconds", "status"), [(59.9, "online"), (60.0, "offline"), (60.1, "offline")])
def test_computer_goes_offline_at_its_ttl(seconds: float, status: str) -> None:
    """A computer is online until 60 s after its last heartbeat, and its row stays."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        cache.put([make.computer("raspi")])
        clock.tick(timedelta(seconds=seconds))
        cache.expire()
        found = cache.get("computers", "raspi", "raspi")
    assert isinstance(found, Computer)
    assert found.status == status


def test_offline_is_told_once_and_a_heartbeat_ends_it() -> None:
    """Going offline is one change; coming back is one change; nothing flaps between."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        cache.put([make.computer("raspi")])
        clock.tick(timedelta(seconds=61))
        assert [cache.expire(), cache.expire()] == [1, 0]
        clock.tick(timedelta(seconds=300))
        assert cache.expire() == 0
        assert cache.put([make.computer("raspi", last_seen="12:06")]) == 1
        assert cache.expire() == 0


def test_own_computer_never_expires() -> None:
    """This computer needs no heartbeat to be online."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        cache.put([make.computer("here")])
        clock.tick(timedelta(days=30))
        assert cache.expire() == 0
        assert cache.next_expiry() is None


def test_next_expiry_tells_the_first() -> None:
    """The process sleeps exactly until the first computer is due."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        cache.put([make.computer("a")])
        clock.tick(timedelta(seconds=10))
        cache.put([make.computer("b")])
        assert cache.next_expiry() == pytest.approx(50.0)
        clock.tick(timedelta(seconds=55))
        cache.expire()
        assert cache.next_expiry() == pytest.approx(5.0)


def test_heartbeat_that_says_nothing_new_is_no_change() -> None:
    """A heartbeat that changed only its time makes no change, but prolongs the life."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        cache.put([make.computer("raspi", last_seen="12:00")])
        clock.tick(timedelta(seconds=40))
        assert cache.put([make.computer("raspi", last_seen="12:00:40")]) == 0
        clock.tick(timedelta(seconds=40))
        assert cache.expire() == 0
        clock.tick(timedelta(seconds=20))
        cache.expire()
    found = cache.get("computers", "raspi", "raspi")
    assert isinstance(found, Computer)
    assert (found.status, found.last_seen) == ("offline", "12:00:40")


def test_when_a_quiet_computer_was_seen_is_told_now_and_then() -> None:
    """Readers never take a computer that beats for one that was seen hours ago: that is told each five minutes."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        changes = 0
        for minute in range(60):
            changes += cache.put([make.computer("raspi", last_seen=f"12:{minute:02}")])
            clock.tick(timedelta(seconds=60))
    [told] = [body for section in cache.sections() for _, body in section.items]
    assert msgspec.json.decode(told)["last_seen"] == "12:55"
    assert changes == 12


def test_whatever_else_is_told_of_a_computer_is_no_sign_of_life() -> None:
    """Only a heartbeat, which has a time of its own, prolongs the life of a computer."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        cache.put([make.computer("raspi", last_seen="12:00")])
        clock.tick(timedelta(seconds=40))
        told = msgspec.structs.replace(make.computer("raspi", last_seen="12:00"), awaited=("sessions",))
        assert cache.put([told]) == 1
        clock.tick(timedelta(seconds=20))
        assert cache.expire() == 1


@pytest.mark.parametrize("kind", ["projects", "todos"])
@pytest.mark.parametrize(("seconds", "stale"), [(299.9, False), (300.0, True), (300.1, True)])
def test_remote_plans_are_stale_after_five_minutes(kind: Kind, seconds: float, stale: bool) -> None:
    """Remote projects and todos are stale five minutes after they came, and are served all the same."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        cache.replace("projects", "raspi", [make.project(owner="raspi")])
        cache.replace("todos", "raspi", [make.todo(owner="raspi")])
        clock.tick(timedelta(seconds=seconds))
        assert cache.stale(kind, "raspi") is stale
    assert [section.kind for section in cache.sections()] == ["projects", "todos"]


def test_staleness_is_per_computer_and_kind() -> None:
    """One computer's answer says nothing of another's, nor of another kind."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        cache.replace("todos", "a", [])
        clock.tick(timedelta(seconds=200))
        cache.replace("todos", "b", [])
        cache.replace("projects", "a", [])
        clock.tick(timedelta(seconds=200))
        found = [cache.stale("todos", "a"), cache.stale("todos", "b"), cache.stale("projects", "a")]
        assert found == [True, False, False]
        assert cache.stale("todos", "c")
        cache.touch("todos", "a")
        assert not cache.stale("todos", "a")


def test_remote_sessions_and_own_records_never_go_stale() -> None:
    """Remote sessions live by events, own records by their sources: no TTL."""
    with freeze_time(NOON) as clock:
        cache = DaemonCache("here")
        cache.replace("sessions", "raspi", [make.session(computer="raspi")])
        cache.replace("todos", "here", [make.todo()])
        clock.tick(timedelta(days=365))
        assert not cache.stale("sessions", "raspi")
        assert not cache.stale("todos", "here")
        assert not cache.stale("projects", "here")


def test_put_that_changes_nothing_is_no_change() -> None:
    """The same record again makes no version and no log entry."""
    cache = DaemonCache("here")
    assert cache.put([make.session()]) == 1
    assert cache.put([make.session()]) == 0
    assert cache.version.number == 1


def test_replace_removes_what_is_absent() -> None:
    """A snapshot is the whole truth: what it lacks is gone, and the log says so."""
    cache = DaemonCache("here")
    cache.replace("sessions", "raspi", [make.session("a", "raspi"), make.session("b", "raspi")])
    cache.put([make.session("mine", "here")])
    before = cache.version
    assert cache.replace("sessions", "raspi", [make.session("b", "raspi")]) == 1
    changes = cache.since(before)
    assert changes == [RowChange(before.number + 1, "sessions", "raspi", "a", None)]
    assert cache.get("sessions", "here", "mine")


def test_replace_refuses_what_is_not_its_owners() -> None:
    """A record of another owner or kind is refused, and nothing changes."""
    cache = DaemonCache("here")
    cache.replace("sessions", "raspi", [make.session("a", "raspi")])
    with pytest.raises(ValueError, match="raspi"):
        cache.replace("sessions", "raspi", [make.session("b", "evil")])
    with pytest.raises(ValueError, match="projects"):
        cache.replace("sessions", "raspi", [make.project(owner="raspi")])
    assert [s.items[0][0] for s in cache.sections()] == ["a"]


def test_forget_leaves_nothing_of_a_computer() -> None:
    """A forgotten computer takes all that it owned along."""
    cache = DaemonCache("here")
    cache.put([make.computer("raspi"), make.session("a", "raspi"), make.todo(owner="raspi"), make.session("mine")])
    assert cache.forget("raspi") == 3
    assert cache.partitions() == [("sessions", "here")]
    assert cache.next_expiry() is None


def test_reader_of_another_epoch_or_behind_the_log_needs_a_snapshot() -> None:
    """Who cannot be given the changes is told so, never given a part."""
    cache = DaemonCache("here", log_size=3)
    for number in range(5):
        cache.put([make.session(f"s{number}")])
    assert cache.since(Version("other", 5)) is None
    assert cache.since(Version(cache.version.epoch, 1)) is None
    assert cache.since(Version(cache.version.epoch, 9)) is None
    found = cache.since(Version(cache.version.epoch, 2))
    assert found is not None
    assert [change.number for change in found] == [3, 4, 5]


class CacheAgainstModel(RuleBasedStateMachine):
    """DaemonCache against a dictionary, and a reader who follows it by the rule."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.cache = DaemonCache("here", log_size=8)
        self.model: dict[tuple[str, str], Session] = {}
        self.reader: dict[tuple[str, str], bytes] = {}
        self.at = NOTHING

    @rule(target=keys, key=st.sampled_from("abcde"))
    def name(self, key: str) -> str:
        return key

    @rule(key=keys, owner=st.sampled_from(["here", "far"]), title=st.sampled_from("xy"))
    def put(self, key: str, owner: str, title: str) -> None:
        record = make.session(key, owner, title=title)
        changed = self.model.get((owner, key)) != record
        assert self.cache.put([record]) == int(changed)
        self.model[owner, key] = record

    @rule(key=keys, owner=st.sampled_from(["here", "far"]))
    def remove(self, key: str, owner: str) -> None:
        assert self.cache.remove("sessions", owner, [key]) == int((owner, key) in self.model)
        self.model.pop((owner, key), None)

    @rule(
        owner=st.sampled_from(["here", "far"]), wanted=st.dictionaries(st.sampled_from("abcde"), st.sampled_from("xy"))
    )
    def replace(self, owner: str, wanted: dict[str, str]) -> None:
        records = [make.session(key, owner, title=title) for key, title in wanted.items()]
        before = {place: record for place, record in self.model.items() if place[0] == owner}
        after = {(owner, key_of(record)): record for record in records}
        changed = sum(before.get(place) != after.get(place) for place in before.keys() | after.keys())
        assert self.cache.replace("sessions", owner, records) == changed
        self.model = {place: r for place, r in self.model.items() if place[0] != owner} | after

    @rule()
    def read(self) -> None:
        changes = self.cache.since(self.at)
        if changes is None:
            self.reader = {(s.computer, key): body for s in self.cache.sections() for key, body in s.items}
        for change in changes or ():
            if change.body is None:
                del self.reader[change.computer, change.key]
            else:
                self.reader[change.computer, change.key] = change.body
        self.at = self.cache.version
        assert {p: msgspec.json.decode(body, type=Session) for p, body in self.reader.items()} == self.model

    @invariant()
    def holds_the_model(self) -> None:
        found = {(s.computer, key): body for s in self.cache.sections() for key, body in s.items}
        assert found.keys() == self.model.keys()


TestCacheAgainstModel = CacheAgainstModel.TestCase
TestCacheAgainstModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 400), st.integers(0, 1500))
def test_blocks_are_what_the_records_are(randomly: random.Random, most: int, steps: int) -> None:
    """What changed, told block by block, makes all that is there, in order; and few records have few blocks."""
    partition, told = Partition(), dict[int, list[bytes]]()
    for number in range(steps):
        key = randomly.randrange(most)
        if randomly.random() < (0.7 if number < steps // 2 else 0.3):
            partition.put(str(key), make.session(str(key)), b"%d" % key)
        else:
            partition.remove(str(key))
        if number % 7 == 0:
            told |= partition.take_changed()
    told |= partition.take_changed()
    bodies = [body for _, block in sorted(told.items()) for body in block]
    assert bodies == [body for _, body in partition.items()] == [key.encode() for key in partition.records]
    assert sum(1 for block in told.values() if block) <= len(bodies) // 16 + 5
