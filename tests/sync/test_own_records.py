"""This computer's own records: one number for each change, and the cache the same as they."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.cache import wire
from teleclaude.cache.core import CacheCore
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.core.records import Computer, Kind, Record, Session, key_of
from teleclaude.replication.replica import Replica
from teleclaude.replication.version import Verdict, Version
from teleclaude.sync.own_records import OwnChange, OwnRecords
from tests import make

Sets = st.lists(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["one", "two"])), max_size=12)


def sessions(titles: dict[str, str]) -> list[Session]:
    """Records by key and title."""
    return [make.session(key, title=title) for key, title in titles.items()]


def cached(core: CacheCore, kind: Kind) -> dict[str, Record]:
    """What the cache has of this computer."""
    keys = core.cache._keys(kind, "here")
    return {key: record for key in keys if (record := core.cache.get(kind, "here", key))}


@given(Sets, st.integers(0, 12))
def test_cache_and_replica_end_where_the_records_are(sets: list[dict[str, str]], filled_at: int) -> None:
    """Whatever is updated, and whenever the first look is done, the cache and a replica have what is here."""
    core = CacheCore(DaemonCache("here"))
    own = OwnRecords("here", lambda ops: core.write(ops) and None)
    replica: Replica[str, Record] = Replica()
    replica.replace(Version(own.epoch, 0), [])

    def heard(_kind: Kind, change: OwnChange) -> None:
        assert replica.apply(change) is Verdict.APPLIED

    own.listen(heard)
    for number, titles in enumerate(sets):
        if number == filled_at:
            own.filled()
        own.update("sessions", sessions(titles))
    own.filled()
    here = {key_of(record): record for record in own.snapshot("sessions")[1]}
    assert cached(core, "sessions") == here == dict(replica.rows)
    assert here.keys() == (sets[-1] if sets else {}).keys()
    assert own.heads()["sessions"] == replica.version.number
    assert core.filled


@given(Sets, Sets)
def test_rows_of_an_earlier_process_go(before: list[dict[str, str]], after: list[dict[str, str]]) -> None:
    """A cache that outlived another sync process keeps its rows until the first look, and none that is gone after."""
    core = CacheCore(DaemonCache("here"))
    rows = sessions(before[-1]) if before else []
    core.write([wire.replace("sessions", "here", list(rows)), wire.Filled()])
    own = OwnRecords("here", lambda ops: core.write(ops) and None)
    core.write(own.everything())
    assert cached(core, "sessions").keys() == {key_of(row) for row in rows}
    own.filled()  # tmux hangs: nothing was seen of sessions
    assert cached(core, "sessions").keys() == {key_of(row) for row in rows}
    for titles in [*after, {}]:
        own.update("sessions", sessions(titles))
        assert cached(core, "sessions").keys() == titles.keys()


def test_no_change_is_no_change() -> None:
    """The same records again take no number, write nothing and tell nobody."""
    ops: list[wire.Op] = []
    heard: list[OwnChange] = []
    own = OwnRecords("here", ops.extend)
    own.filled()
    own.listen(lambda _kind, change: heard.append(change))
    assert own.update("sessions", [make.session()])
    del ops[:], heard[:]
    assert not own.update("sessions", [make.session()])
    assert not own.update("projects", [])
    own.update_computer(Computer(name="here"))
    own.update_computer(Computer(name="here"))
    assert heard == []
    assert [type(op) for op in ops] == [wire.ReplaceProjects, wire.PutComputers]
    assert own.heads() == {"projects": 0, "sessions": 1, "todos": 0}


def test_records_of_others_are_refused() -> None:
    """Only this computer's records of the right kind are taken; nothing changes otherwise."""
    own = OwnRecords("here", lambda ops: None)
    for wrong in (make.session(computer="other"), make.project()):
        with pytest.raises(ValueError, match="is not one of"):
            own.update("sessions", [make.session("fine"), wrong])
    assert own.snapshot("sessions") == (Version(own.epoch, 0), [])


def test_everything_is_nothing_before_the_first_look() -> None:
    """Until the first look is done a new cache is told nothing; after it all, and that it is all."""
    own = OwnRecords("here", lambda ops: None)
    own.update("sessions", [make.session()])
    assert own.everything() == []
    own.filled()
    assert own.everything() == [wire.ReplaceSessions("here", [make.session()]), wire.Filled()]


@given(Sets, st.integers(0, 12))
def test_some_changes_are_told_as_one(sets: list[dict[str, str]], had: int) -> None:
    """Whoever has some of them gets the rest as one change, and has what is here."""
    own = OwnRecords("here", lambda ops: None)
    replica: Replica[str, Record] = Replica()
    replica.replace(Version(own.epoch, 0), [])
    for number, titles in enumerate(sets):
        own.update("sessions", sessions(titles))
        if number < had:
            replica.replace(Version(own.epoch, own.heads()["sessions"]), rows_here(own).items())
    rest = own.since("sessions", replica.version)
    assert rest is not None
    if rest.rows:
        assert replica.apply(rest) is Verdict.APPLIED
    assert dict(replica.rows) == rows_here(own)
    assert own.since("sessions", Version("another", 0)) is None


def rows_here(own: OwnRecords) -> dict[str, Record]:
    """What is here, by key."""
    return {key_of(record): record for record in own.snapshot("sessions")[1]}
