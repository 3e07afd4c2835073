"""The checker finds what it is for: seeded bugs in a replica, and each broken promise; and nothing in a good run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleclaude.replication.change import Change
from teleclaude.replication.version import Verdict, Version
from tests.chaos import journal as journals
from tests.chaos.checker import violations
from tests.chaos.traced import BUGS, Traced, digest


class Owner:
    """An owner whose changes are lost, repeated and late on the way to one replica."""

    def __init__(self, journal: journals.Journal, seed: int) -> None:
        self._random = random.Random(seed)
        self._journal = journal
        self.version = Version("e1", 0)
        self.state: dict[str, int] = {}
        self.sent: list[Change[str, int]] = []

    def change(self) -> None:
        """Put or remove something, and note it."""
        if self._random.random() < 0.05:
            self.version = Version(self.version.epoch + "x", 0)
        epoch, after = self.version
        self.version = Version(epoch, after + 1)
        key, value = self._random.choice("abcd"), self._random.randrange(1000)
        if key in self.state and self._random.random() < 0.3:
            del self.state[key]
            self.sent.append(Change(self.version, after, {key: None}))
        else:
            self.state[key] = value
            self.sent.append(Change(self.version, after, {key: value}))
        self._journal.write(
            "owned", computer="o", kind="sessions", epoch=epoch, seq=after + 1, digest=digest(self.state)
        )

    def deliver(self) -> Iterator[Change[str, int]]:
        """Give the newest change, or lose it, or an older one as well."""
        if self._random.random() > 0.15:
            yield self.sent[-1]
        if self._random.random() < 0.15:
            yield self._random.choice(self.sent)


def run(path: Path, bug: str, seed: int) -> list[str]:
    """Let a traced replica follow an owner; give what the checker finds."""
    journal = journals.Journal(path)
    Traced.journal, Traced.process, Traced.bug = journal, "p", bug
    owner, replica = Owner(journal, seed), Traced()
    for _ in range(200):
        owner.change()
        for change in owner.deliver():
            if replica.apply(change) is Verdict.NEED_SNAPSHOT:
                replica.replace(owner.version, owner.state.items())
    if replica.is_behind(owner.version):
        replica.replace(owner.version, owner.state.items())
    journal.write("final", owner="o", who="owner", state=digest(owner.state))
    journal.write("final", owner="o", who="reader", state=digest(replica.rows))
    journal.close()
    return violations(journals.read(path))


@pytest.mark.parametrize("seed", range(5))
def test_a_good_run_breaks_no_promise(tmp_path: Path, seed: int) -> None:
    """Losses, repetitions, late changes and new epochs are no violation when the replica obeys the rule."""
    assert run(tmp_path / "j", "", seed) == []


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_found(tmp_path: Path, bug: str) -> None:
    """An event dropped, doubled, reordered, a resync skipped: each is caught."""
    assert run(tmp_path / "j", bug, 1)


def seen_live(until: float) -> list[dict[str, Any]]:
    """A journal in which c heard of o once, sealed at 1 s, and shows it as live from 2 s until `until`."""
    return [
        {"what": "clock", "t": 0.0, "computer": "o", "ahead": 100.0, "lease": 60.0},
        {"what": "heard", "t": 2.0, "computer": "c", "owner": "o", "sealed": 101.0},
        {"what": "view", "t": 2.0, "client": "c", "live": True, "online": ["o"]},
        {"what": "view", "t": until, "client": "c", "live": True, "online": []},
    ]


def at(seconds: float, what: str, **fields: Any) -> dict[str, Any]:
    """An entry of a client or computer named c."""
    return {"what": what, "t": seconds, "client": "c", "computer": "c", **fields}


@pytest.mark.parametrize(
    ("more", "is_broken"),
    [
        ([], True),
        ([at(50.0, "heard", owner="o", sealed=150.0)], False),
        ([at(80.0, "heard", owner="o", sealed=179.0)], True),  # it came too late
        ([at(50.0, "heard", owner="o", sealed=101.0)], True),  # it lay in Redis all the time
        ([at(67.5, "heard", owner="o", sealed=167.0)], False),  # as it is when the link of one that lives is mended
        ([at(30.0, "view", live=False, online=["o"])], False),
        ([at(30.0, "view", live=True, online=[]), at(70.0, "view", live=True, online=["o"])], True),
        ([at(30.0, "away", why="stopped"), at(88.0, "back", why="stopped")], False),
        ([at(30.0, "away", why="stopped"), at(70.0, "back", why="stopped")], True),
        ([at(30.0, "away", why="killed"), at(88.0, "back", why="killed")], True),
    ],
)
def test_whose_lease_ran_out_may_not_be_live(more: list[dict[str, Any]], is_broken: bool) -> None:
    """What counts is when the last heartbeat was sealed, what the client says of itself, and whether it can say it."""
    entries = sorted([*seen_live(until=90.0), *more], key=lambda entry: float(entry["t"]))
    assert [text[:2] for text in violations(entries)] == ["4:"] * is_broken


FRAME = {"what": "frame", "client": "c", "connection": 1, "epoch": "e", "event": "x", "whole": True}


@pytest.mark.parametrize(
    ("entries", "promise"),
    [
        ([_shown := {"what": "shown", "client": "c", "sessions": ["s"]}, {"what": "killed", "session": "s"},
          {**_shown, "sessions": []}, _shown], "3:"),
        ([{"what": "read", "session": "s", "found": False}], "5:"),
        ([{**FRAME, "version": 5}, {**FRAME, "version": 4}], "6:"),
        ([{**FRAME, "version": 5, "whole": False}], "6:"),
        ([{"what": "command", "id": "k", "outcome": "ok"}], "8:"),
        ([{"what": "command", "id": "k", "outcome": "error"}, {"what": "effects", "id": "k", "count": 1}], "8:"),
        ([{"what": "command", "id": "k", "outcome": "unknown"}, {"what": "effects", "id": "k", "count": 2}], "8:"),
        ([{"what": "final", "owner": "a", "who": "x", "state": "1"},
          {"what": "final", "owner": "a", "who": "y", "state": "2"}], "2:"),
        ([{"what": "agreed", "seconds": 16.0}], "2:"),
        ([*seen_live(until=70.0)], "4:"),
        ([{"what": "calm", "computer": "a", "request": "DELETE /x", "ok": False, "answer": "504"}], "ca"),
        ([{"what": "own", "client": "c", "status": status} for status in ("online", "offline")], "ow"),
        ([{"what": "unlike", "client": "c", "differences": ["s: shown None, cached x"]}], "cl"),
        ([{"what": "memory", "computer": "a", "worker": "sync", "gained": 2**27}], "10"),
        ([{"what": "answer", "computer": "a", "request": "GET /x", "status": 500, "body": ""}], "50"),
    ],
)  # fmt: skip
def test_each_broken_promise_is_named(entries: list[dict[str, Any]], promise: str) -> None:
    """A journal that shows one broken promise gives exactly that one."""
    found = violations(entries)
    assert [text[:2] for text in found] == [promise]


def test_what_is_allowed_is_not_reported() -> None:
    """A session not yet gone, or told late, versions that stay or begin anew, an unknown outcome: all in order."""
    entries: list[dict[str, Any]] = [
        {"what": "killed", "session": "late"},
        {"what": "shown", "client": "c", "sessions": []},
        {"what": "shown", "client": "c", "sessions": ["late"]},
        {"what": "killed", "session": "s"},
        {"what": "shown", "client": "c", "sessions": ["s"]},
        {"what": "shown", "client": "c", "sessions": []},
        {**FRAME, "version": 5},
        {**FRAME, "version": 5},
        {**FRAME, "version": 1, "epoch": "f"},
        {"what": "command", "id": "k", "outcome": "unknown"},
        {"what": "agreed", "seconds": 6.0},
        {"what": "calm", "computer": "a", "request": "DELETE /x", "ok": True, "answer": ""},
        {"what": "own", "client": "c", "status": ""},
        {"what": "unlike", "client": "c", "differences": []},
        {"what": "memory", "computer": "a", "worker": "sync", "gained": 2**20},
        *seen_live(until=65.0),
    ]
    assert violations(entries) == []
