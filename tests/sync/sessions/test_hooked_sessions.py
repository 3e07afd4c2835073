"""Hooks' reports in the records: of the right pane, at once, and kept over a restart."""

# ruff: noqa: RUF001  (the agents' own characters)

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest

from teleclaude.core.records import Session, utc_seconds
from teleclaude.core.settings import parse
from teleclaude.sync.sessions.agents.hook_event import HookEvent
from teleclaude.sync.sessions.identities import Identities
from teleclaude.sync.sessions.session_records import KEPT_AFTER, SessionBook
from teleclaude.sync.tmux.boot_clock import since_boot
from teleclaude.sync.tmux.imsg import Answer
from teleclaude.sync.tmux.panes import Look, Pane, PaneReader, Peek
from tests.sync.sessions.agents.scene import sample
from tests.sync.tmux.test_panes import HEAD, row

AGENTS = parse("").agents
OFFSET = 1_700_000_000.0
SERVER = 77  # of HEAD


class Watched:
    """Panes, looked at when the test says so. Their processes are `pids`."""

    def __init__(self, pids: list[int]) -> None:
        rows = b"".join(row(f"%{number}".encode()) for number in range(1, len(pids) + 1))
        look = PaneReader("n").read(Answer(True, HEAD + rows))
        panes = [
            replace(pane, session=f"${at}", window=f"@{at}", pid=pid, command="sh", title="vm", window_activity=0)
            for at, (pane, pid) in enumerate(zip(look.panes, pids, strict=True), 1)
        ]
        self.look = Look(look.server, panes)
        self.now = since_boot() + 100.0
        self.identities = Identities()
        self.book = SessionBook("here", AGENTS, self.identities)

    def take(self) -> None:
        """Look."""
        self.book.take(self.look, lambda _: self.now - 60.0, self.now, OFFSET)

    def set(self, pane: str, **more: object) -> Pane:
        """Tmux shows something else of a pane."""
        panes = [replace(each, **more) if each.id == pane else each for each in self.look.panes]  # type: ignore[arg-type]
        self.look = Look(self.look.server, panes)
        return next(each for each in panes if each.id == pane)

    def title(self, pane: str, title: str) -> None:
        """A peek shows a title."""
        told = self.set(pane, title=title)
        self.book.peek([Peek(pane, told.session, False, None, 0, 0, title)], self.now, OFFSET)

    def hook(self, name: str, pane: str = "%1", agent: str = "claude", parent: int = 0, **more: object) -> bool:
        """A hook reports."""
        self.now += 0.1
        event = sample(agent, name)
        event = msgspec.structs.replace(
            event, at=self.now, pane=pane, server=SERVER, parent=parent, body=event.body | {"session_id": pane} | more
        )
        return self.book.hooked([event], self.now, OFFSET)

    def records(self) -> dict[str, Session]:
        """The records now, by pane and by session."""
        records = self.book.records(lambda _: "", self.now, is_all_new=False)[0]
        return {name: r for r in records for name in (r.tmux.pane, r.tmux.session)}


@pytest.fixture
def shell() -> Iterator[subprocess.Popen[bytes]]:
    """A pane's process, with one below it that runs hooks."""
    child = subprocess.Popen(["sh", "-c", "sleep 1000; true"])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_a_report_alone_makes_an_agent_of_a_pane(shell: subprocess.Popen[bytes]) -> None:
    """A pane of which nothing else shows that an agent runs in it is the agent's once it says so, with its words."""
    watched = Watched([shell.pid])
    watched.take()
    assert watched.records()["%1"].agent not in AGENTS
    assert watched.hook("UserPromptSubmit")
    record = watched.records()["%1"]
    assert (record.agent, record.status, record.last_prompt) == ("claude", "working", "say TEXT")
    watched.hook("PermissionRequest-Bash")
    record = watched.records()["%1"]
    assert record.asks
    assert (record.status, record.asks.tool) == ("waiting", "Bash")
    watched.take()
    after = watched.records()["%1"]
    assert (after.status, after.asks, after.status_since) == (record.status, record.asks, record.status_since)
    watched.hook("SessionEnd-other")
    assert watched.records()["$1"].agent not in AGENTS


def test_a_report_goes_to_the_pane_above_its_process(shell: subprocess.Popen[bytes]) -> None:
    """Whatever pane a hook names, its own process tells where it ran."""
    watched = Watched([os.getpid() + 100_000, shell.pid])
    watched.take()
    watched.hook("UserPromptSubmit", pane="%1", parent=shell.pid)
    assert watched.records()["%1"].agent != "claude"
    assert (watched.records()["%2"].agent, watched.records()["%2"].status) == ("claude", "working")


def test_a_report_of_another_server_or_pane_is_nobodys(shell: subprocess.Popen[bytes]) -> None:
    """Tmux' numbers mean nothing but in their own server."""
    watched = Watched([shell.pid])
    watched.take()
    event = msgspec.structs.replace(sample("claude", "Stop"), at=watched.now, pane="%1", server=SERVER + 1)
    assert not watched.book.hooked([event], watched.now, OFFSET)
    assert not watched.hook("Stop", pane="%9")


def test_a_report_waits_for_its_pane(shell: subprocess.Popen[bytes]) -> None:
    """What is told of a pane that no look has shown yet is not lost."""
    watched = Watched([shell.pid])
    assert not watched.hook("UserPromptSubmit")
    watched.take()
    assert watched.records()["%1"].status == "working"


def test_an_error_outlives_the_process(shell: subprocess.Popen[bytes]) -> None:
    """What only a hook told, and since when, is there after a restart, until something says otherwise."""
    watched = Watched([shell.pid])
    watched.set("%1", command="claude", title="✳ name")
    watched.take()
    watched.hook("StopFailure")
    before = watched.records()["%1"]
    assert (before.status, before.status_reason) == ("error", "server error")
    watched.now += KEPT_AFTER + 1.0
    watched.book.keep_statuses(watched.now)
    marks = dict(watched.identities.unwritten())
    watched.set("%1", mark=marks["%1"], session_mark=marks["$1"])
    watched.book = SessionBook("here", AGENTS, Identities())
    watched.now += 500.0
    watched.take()
    after = watched.records()["%1"]
    assert (after.session_id, after.status, after.status_reason) == (before.session_id, "error", "server error")
    assert abs((utc_seconds(after.status_since) or 0) - (utc_seconds(before.status_since) or 0)) <= 1
    watched.title("%1", "⠂ name")
    assert watched.records()["%1"].status == "working"


def test_two_hundred_sessions_at_once() -> None:
    """Each of two hundred agents is told of by its own reports, however they are mixed."""
    count = 200
    watched = Watched([os.getpid() + 100_000 + number for number in range(count)])
    watched.take()
    panes = [f"%{number}" for number in range(1, count + 1)]
    events = []
    for at, name in enumerate(["SessionStart-startup", "UserPromptSubmit", "PermissionRequest-Bash", "Stop"]):
        for number, pane in enumerate(panes):
            if number % 4 >= at:
                event = sample("claude", name)
                body = event.body | {"session_id": pane}
                time = watched.now + at * 0.1 + number * 1e-5
                events.append(msgspec.structs.replace(event, at=time, pane=pane, server=SERVER, body=body))
    mixed: list[HookEvent] = sorted(events, key=lambda event: (event.at, event.pane))
    watched.now += 1.0
    watched.book.hooked(mixed, watched.now, OFFSET)
    found = watched.records()
    wanted = ["idle", "working", "waiting", "idle"]
    assert [found[pane].status for pane in panes] == [wanted[number % 4] for number in range(count)]


def test_a_session_is_explained(shell: subprocess.Popen[bytes]) -> None:
    """By its id, with the hook that told last; one that is not there has no explanation."""
    watched = Watched([shell.pid])
    watched.take()
    watched.hook("UserPromptSubmit")
    record = watched.records()["%1"]
    told = watched.book.explain(record.session_id, watched.now, with_title=True)
    assert told
    assert (told.status, told.since) == (record.status, record.status_since)
    assert any("it names the pane" in piece.says for piece in told.evidence)
    assert watched.book.explain("nobody", watched.now, with_title=True) is None
