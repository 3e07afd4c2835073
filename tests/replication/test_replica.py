"""The one rule by which a copy changes, against a source that loses, repeats and reorders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teleclaude.replication.change import Change, merge
from teleclaude.replication.change_log import Log
from teleclaude.replication.replica import Replica
from teleclaude.replication.version import NOTHING, Verdict, Version


def change(number: int, rows: dict[str, int | None], after: int | None = None, epoch: str = "e") -> Change[str, int]:
    """A change."""
    return Change(Version(epoch, number), number - 1 if after is None else after, rows)


def replica(number: int, **rows: int) -> Replica[str, int]:
    """A replica with a snapshot."""
    found: Replica[str, int] = Replica()
    assert found.replace(Version("e", number), rows.items())
    return found


def test_changes_apply_only_in_order_and_once() -> None:
    """The next number is applied, the same again is not, a gap wants a snapshot."""
    assert Replica[str, int]().apply(change(1, {"a": 1})) is Verdict.NEED_SNAPSHOT
    found = replica(3, a=1)
    assert found.apply(change(4, {"b": 2})) is Verdict.APPLIED
    assert found.apply(change(4, {"b": 9})) is Verdict.REPEATED
    assert found.apply(change(6, {"c": 3})) is Verdict.NEED_SNAPSHOT
    assert found.apply(change(5, {"c": 3}, epoch="f")) is Verdict.NEED_SNAPSHOT
    assert (dict(found.rows), found.version) == ({"a": 1, "b": 2}, Version("e", 4))


def test_nobody_s_change_follows_nothing() -> None:
    """A reader without a snapshot takes no change, not even one that names no epoch."""
    assert NOTHING.judge(Version("", 1), 0) is Verdict.NEED_SNAPSHOT


def test_absent_from_a_snapshot_is_gone_and_stays_gone() -> None:
    """A late change from before the snapshot never brings back what it lacks."""
    found = replica(1, a=1, b=1)
    found.replace(Version("e", 5), {"b": 2}.items())
    assert found.apply(change(4, {"a": 7})) is Verdict.REPEATED
    assert dict(found.rows) == {"b": 2}


def test_an_older_snapshot_of_the_same_epoch_is_refused() -> None:
    """Two answers that cross: the older one does not win."""
    found = replica(5, new=1)
    assert not found.replace(Version("e", 4), {"old": 1}.items())
    assert dict(found.rows) == {"new": 1}


def test_some_changes_told_as_one() -> None:
    """One that begins here or earlier is applied as a whole; a hole is still a hole."""
    found = replica(5, a=1)
    assert found.apply(change(9, {"b": 1}, after=5)) is Verdict.APPLIED
    assert found.apply(change(11, {"b": 2, "a": None}, after=7)) is Verdict.APPLIED
    assert found.apply(change(14, {"b": 3}, after=12)) is Verdict.NEED_SNAPSHOT
    assert (dict(found.rows), found.version.number) == ({"b": 2}, 11)


def test_being_behind_is_told_by_the_head() -> None:
    """A head that is further, or another epoch, means behind."""
    assert Replica[str, int]().is_behind(Version("e", 0))
    found = replica(5)
    assert not found.is_behind(Version("e", 5))
    assert found.is_behind(Version("e", 6))
    assert found.is_behind(Version("f", 1))


class Source:
    """An owner whose epoch and state go on, and who can tell any change or a snapshot of any time."""

    def __init__(self) -> None:
        self.version = Version("0", 0)
        self.state: dict[str, int] = {}
        self.history: list[tuple[Change[str, int], dict[str, int]]] = []
        self.log: Log[Change[str, int]] = Log(4, "0")

    def change(self, key: str, value: int) -> None:
        """Put (value above 0) or remove."""
        epoch, after = self.version
        self.version = Version(epoch, after + 1)
        change: Change[str, int] = Change(self.version, after, {key: value or None})
        self.state = {k: v for k, v in self.state.items() if k != key} | change.puts
        self.history.append((change, self.state))
        self.log.append(after + 1, change)

    def restart(self) -> None:
        """Begin another epoch."""
        self.version = Version(f"{int(self.version.epoch) + 1}", 0)
        self.log = Log(4, self.version.epoch)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from("abc"), st.integers(0, 3)),
        st.tuples(st.just("restart"), st.just(""), st.just(0)),
        st.tuples(st.just("event"), st.just(""), st.integers(0, 5)),  # deliver the event n back: late or repeated
        st.tuples(st.just("merged"), st.just(""), st.integers(0, 5)),  # deliver the events since n back as one
        st.tuples(st.just("snapshot"), st.just(""), st.integers(0, 5)),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_a_replica_is_always_a_state_that_its_owner_had(actions: list[tuple[str, str, int]]) -> None:
    """Whatever is lost, repeated or reordered, the copy equals its owner at its version; log or snapshot heals."""
    source, replica = Source(), Replica[str, int]()
    for action, key, number in actions:
        if action == "change":
            source.change(key, number)
        elif action == "restart":
            source.restart()
        elif source.history:
            change, state = source.history[max(0, len(source.history) - 1 - number)]
            if action == "event":
                replica.apply(change)
            elif action == "merged" and (merged := merge(source.log.since(change.version) or [])):
                replica.apply(merged)
            elif action == "snapshot":
                replica.replace(change.version, state.items())
        if replica.version != NOTHING:
            assert dict(replica.rows) == {c.version: state for c, state in source.history}[replica.version]
    missing = source.log.since(replica.version)
    if missing is None:
        replica.replace(source.version, source.state.items())
    for change in missing or []:
        assert replica.apply(change) is Verdict.APPLIED
    assert not replica.is_behind(source.version)
    assert dict(replica.rows) == source.state
