"""The journal of commands: each runs at most once, and the file does not grow for ever."""

from __future__ import annotations

import math
import sqlite3
import time
from pathlib import Path

import pytest
from freezegun import freeze_time

from teleclaude.core.requests import Outcome, new_id
from teleclaude.sync.fleet.owner import journal as journal_module
from teleclaude.sync.fleet.owner.journal import KEEP, PRUNE_EVERY, Journal
from teleclaude.sync.fleet.owner.replay_guard import Guard
from teleclaude.sync.fleet.wire.messages import Fresh
from teleclaude.sync.fleet.wire.sealing import Dropped


def count(path: Path) -> int:
    """Commands in the file."""
    with sqlite3.connect(path) as found:
        return int(found.execute("select count(*) from requests").fetchone()[0])


def test_it_is_pruned_while_it_is_used(tmp_path: Path) -> None:
    """What is older than a day goes without a restart, and what is newer is known on (F4)."""
    path = tmp_path / "journal.db"
    began = time.time()
    with freeze_time() as clock:
        clock.move_to(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(began)))
        journal = Journal(path)
        for number in range(PRUNE_EVERY - 2):
            journal.begin(f"old-{number}", "far", "message")
        clock.tick(KEEP + 1)
        assert journal.begin("new", "far", "message") is None
        journal.finish(Outcome(id="new", status="ok"))
        assert journal.begin("newest", "far", "message") is None
        assert journal.begin("new", "far", "message") == Outcome(id="new", status="ok")
    journal.close()
    assert count(path) == 2


def test_its_rows_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that sends commands all day costs no more than so many rows: the newest."""
    monkeypatch.setattr(journal_module, "ROWS", 50)
    path = tmp_path / "journal.db"
    journal = Journal(path)
    ids = [new_id() for _ in range(2 * PRUNE_EVERY)]
    for each in ids:
        journal.begin(each, "far", "message")
    assert journal.begin(ids[-1], "far", "message") is not None
    journal.close()
    assert count(path) <= 50 + PRUNE_EVERY


@pytest.mark.parametrize(
    "fresh", [(math.nan, math.nan), (0.0, math.nan), (math.nan, 60.0), (0.0, math.inf), (math.inf, 0.0)]
)
def test_times_that_are_none_are_not_fresh(fresh: tuple[float, float]) -> None:
    """A request whose times cannot be compared never passes (cases/s15)."""
    guard = Guard("e")
    for now in (0.0, 1e9):
        with pytest.raises(Dropped):
            guard.check("id", Fresh("e", *fresh), now)
    guard.check("id", Fresh("e", 0.0, 60.0), 0.0)
