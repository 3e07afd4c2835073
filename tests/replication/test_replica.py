"""The one rule by which a copy changes, against a source that loses, repeats and reorders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teleclaude.replication.replica import Replica, Verdict

Change = tuple[int, dict[str, int], list[str]]


def test_changes_apply_only_in_order_and_once() -> None:
    """seq + 1 is applied, the same again is not, a gap wants a snapshot."""
    replica: Replica[str, int] = Replica()
    assert replica.apply("e", 1, {"a": 1}.items()) is Verdict.NEED_SNAPSHOT
    assert replica.replace("e", 3, {"a": 1}.items())
    assert replica.apply("e", 4, {"b": 2}.items()) is Verdict.APPLIED
    assert replica.apply("e", 4, {"b": 9}.items()) is Verdict.REPEATED
    assert replica.apply("e", 6, {"c": 3}.items()) is Verdict.NEED_SNAPSHOT
    assert replica.apply("f", 5, {"c": 3}.items()) is Verdict.NEED_SNAPSHOT
    assert (dict(replica.items), replica.seq) == ({"a": 1, "b": 2}, 4)


def test_absent_from_a_snapshot_is_gone_and_stays_gone() -> None:
    """A late change from before the snapshot never brings back what it lacks."""
    replica: Replica[str, int] = Replica()
    replica.replace("e", 1, {"a": 1, "b": 1}.items())
    replica.replace("e", 5, {"b": 2}.items())
    assert replica.apply("e", 4, {"a": 7}.items()) is Verdict.REPEATED
    assert dict(replica.items) == {"b": 2}


def test_an_older_snapshot_of_the_same_epoch_is_refused() -> None:
    """Two answers that cross: the older one does not win."""
    replica: Replica[str, int] = Replica()
    replica.replace("e", 5, {"new": 1}.items())
    assert not replica.replace("e", 4, {"old": 1}.items())
    assert dict(replica.items) == {"new": 1}


def test_a_filtered_source_says_what_it_sent_last() -> None:
    """With `after`, the position may move by more than one, and a hole is still a hole."""
    replica: Replica[str, int] = Replica()
    replica.replace("e", 5, ())
    assert replica.apply("e", 9, {"a": 1}.items(), after=5) is Verdict.APPLIED
    assert replica.apply("e", 12, {"a": 2}.items(), after=11) is Verdict.NEED_SNAPSHOT


def test_being_behind_is_told_by_the_head() -> None:
    """A head that is further, or another epoch, means behind."""
    replica: Replica[str, int] = Replica()
    assert replica.is_behind("e", 0)
    replica.replace("e", 5, ())
    assert not replica.is_behind("e", 5)
    assert replica.is_behind("e", 6)
    assert replica.is_behind("f", 1)


class Source:
    """An owner whose epoch and state go on, and who can tell any change or a snapshot of any time."""

    def __init__(self) -> None:
        self.epoch = 0
        self.state: dict[str, int] = {}
        self.history: list[tuple[str, int, Change, dict[str, int]]] = []
        self.seq = 0

    def change(self, key: str, value: int) -> None:
        """Put (value above 0) or remove."""
        self.seq += 1
        puts = {key: value} if value else {}
        removes = [] if value else [key]
        self.state = {k: v for k, v in (self.state | puts).items() if k not in removes}
        self.history.append((str(self.epoch), self.seq, (self.seq, puts, removes), dict(self.state)))

    def restart(self) -> None:
        """Begin another epoch."""
        self.epoch += 1
        self.seq = 0


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from("abc"), st.integers(0, 3)),
        st.tuples(st.just("restart"), st.just(""), st.just(0)),
        st.tuples(st.just("event"), st.just(""), st.integers(0, 5)),  # deliver the event n back: late or repeated
        st.tuples(st.just("snapshot"), st.just(""), st.integers(0, 5)),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_a_replica_is_always_a_state_that_its_owner_had(actions: list[tuple[str, str, int]]) -> None:
    """Whatever is lost, repeated or reordered, the copy equals the owner at (epoch, seq); a snapshot heals all."""
    source, replica = Source(), Replica[str, int]()
    for action, key, number in actions:
        if action == "change":
            source.change(key, number)
        elif action == "restart":
            source.restart()
        elif source.history:
            epoch, seq, (_, puts, removes), state = source.history[max(0, len(source.history) - 1 - number)]
            if action == "event":
                replica.apply(epoch, seq, puts.items(), removes)
            else:
                replica.replace(epoch, seq, state.items())
        if replica.epoch is not None:
            states = {(e, s): state for e, s, _, state in source.history}
            assert dict(replica.items) == states[replica.epoch, replica.seq]
    replica.replace(f"{source.epoch}", source.seq, source.state.items())
    assert not replica.is_behind(str(source.epoch), source.seq)
    assert dict(replica.items) == source.state
