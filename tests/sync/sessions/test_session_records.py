"""Records from looks: what time does to them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from teleclaude.core.records import Session, utc_seconds
from teleclaude.core.settings import parse
from teleclaude.sync.sessions.agents.judge import QUIET_AFTER
from teleclaude.sync.sessions.identities import Identities
from teleclaude.sync.sessions.session_records import COARSE, KEPT_AFTER, SessionBook
from teleclaude.sync.tmux.boot_clock import since_boot
from teleclaude.sync.tmux.imsg import Answer
from teleclaude.sync.tmux.panes import Look, PaneReader
from tests.sync.tmux.test_panes import HEAD, row

AGENTS = parse('[agents.sleeper]\ncommand = "sleep 1000"\n').agents
HOUR = 3600.0


class Watched:
    """One agent's pane without a title, looked at when the test says so."""

    def __init__(self, pid: int) -> None:
        look = PaneReader("n").read(Answer(True, HEAD + row()))
        pane = replace(look.panes[0], pid=pid, command="sleep", title="", window_activity=0, session_activity=0)
        self.look = Look(look.server, [pane])
        self.now, self.offset = since_boot() + 100.0, 1_700_000_000.0
        self.wrote = self.now - 60.0
        self.agents = AGENTS
        self.restart()

    def restart(self) -> None:
        """Another process looks on, with what tmux kept."""
        self.identities = Identities()
        self.book = SessionBook("here", self.agents, self.identities)

    def record(self) -> Session:
        """Look; the record."""
        self.book.take(self.look, lambda _: self.wrote, self.now, self.offset)
        return self.again()

    def again(self) -> Session:
        """The record now, without a look."""
        return self.book.records(lambda _: "", self.now, is_all_new=False)[0][0]


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A pane."""
    child = subprocess.Popen(["sleep", "1000"])
    try:
        yield Watched(child.pid)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_setting_the_clock_ages_nothing(watched: Watched, step: float) -> None:
    """However the wall clock is set, a quiet agent stays idle and one that writes is working for as long as it does."""
    before = watched.record()
    assert (before.status, before.agent) == ("idle", "sleeper")
    watched.offset += step
    after = watched.record()
    assert after.status == "idle"
    assert abs((utc_seconds(after.last_output) or 0) - (utc_seconds(before.last_output) or 0) - step) <= COARSE
    watched.now += 10.0
    watched.book.heard(["%1"], watched.now)
    assert watched.again().status == "working"
    watched.offset -= step
    assert watched.record().status == "working"
    watched.now += QUIET_AFTER + 0.1
    assert watched.again().status == "idle"


def test_output_changes_a_record_seldom(watched: Watched) -> None:
    """A pane that writes all the time is another record once in `COARSE` seconds."""
    watched.record()
    records = set()
    for _ in range(200):
        watched.now += 0.1
        watched.book.heard(["%1"], watched.now)
        record = watched.again()
        records.add((record.status, record.last_output))
    assert len(records) <= 2 + 20 / COARSE


def test_a_status_outlives_the_process(watched: Watched) -> None:
    """Since when a status is, is known after a restart, when it had lasted; one that is another by then is new."""
    watched.record()
    watched.now += 1.0
    watched.book.heard(["%1"], watched.now)
    watched.wrote = watched.now
    assert watched.again().status == "working"
    watched.now += QUIET_AFTER + 1.0
    before = watched.again()
    assert before.status == "idle"
    due = watched.book.keep_statuses(watched.now)
    assert due is not None
    assert watched.now < due <= watched.now + KEPT_AFTER
    watched.now = due
    watched.book.keep_statuses(watched.now)
    marks = dict(watched.identities.unwritten())
    pane = replace(watched.look.panes[0], mark=marks["%1"], session_mark=marks["$1"])
    watched.look = Look(watched.look.server, [pane])
    watched.restart()
    watched.now += 500.0
    after = watched.record()
    assert (after.session_id, after.status) == (before.session_id, "idle")
    assert abs((utc_seconds(after.status_since) or 0) - (utc_seconds(before.status_since) or 0)) <= 1
    watched.restart()
    watched.wrote = watched.now
    assert watched.record().status == "working"
    assert abs((utc_seconds(watched.again().status_since) or 0) - watched.now - watched.offset) <= 1


def test_a_status_that_has_no_time_outlives_the_process(watched: Watched) -> None:
    """Nothing but the mark tells since when a shell is at its prompt, or a title says what it says."""
    pane = watched.look.panes[0]
    watched.look = Look(watched.look.server, [replace(pane, title="\N{EIGHT SPOKED ASTERISK} mend it")])
    watched.agents = parse('[agents.claude]\ncommand = "sleep 1000"\n').agents
    watched.restart()
    before = watched.record()
    assert (before.agent, before.status) == ("claude", "idle")
    watched.now += KEPT_AFTER + 1.0
    watched.book.keep_statuses(watched.now)
    marks = dict(watched.identities.unwritten())
    watched.look = Look(
        watched.look.server, [replace(watched.look.panes[0], mark=marks["%1"], session_mark=marks["$1"])]
    )
    watched.now += 500.0
    watched.wrote = watched.now - 20.0  # it was drawn anew, and is as idle as before
    watched.restart()
    after = watched.record()
    assert after.status == "idle"
    assert abs((utc_seconds(after.status_since) or 0) - (utc_seconds(before.status_since) or 0)) <= 1


def test_statuses_are_kept_seldom(watched: Watched) -> None:
    """An agent that works and rests all the time has nothing written into tmux for it."""
    watched.record()
    watched.book.keep_statuses(watched.now)
    known = watched.identities.get("%1")
    for _ in range(50):
        watched.now += QUIET_AFTER + 1.0
        watched.again()
        watched.book.keep_statuses(watched.now)
        watched.book.heard(["%1"], watched.now)
        watched.again()
        watched.book.keep_statuses(watched.now)
    assert watched.identities.get("%1") == known
