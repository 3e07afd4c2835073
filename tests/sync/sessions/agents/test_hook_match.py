"""A report goes to the pane it is of, or to none."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from teleclaude.sync.sessions.agents.agent_tables import TABLES
from teleclaude.sync.sessions.agents.hook_event import HookEvent
from teleclaude.sync.sessions.agents.hook_match import PaneFacts, match_hook

SERVER = 50
CLAUDE, CODEX = TABLES["claude"], TABLES["codex"]
PANES = [
    PaneFacts("%1", 101, "claude", "/a", "s1"),
    PaneFacts("%2", 102, "codex", "/b", input=5.0),
    PaneFacts("%3", 103, "codex", "/b", input=9.0),
    PaneFacts("%4", 104, "codex", "/c"),
    PaneFacts("%5", 105),
]
STOP = HookEvent(agent="claude", event="Stop", at=1.0, pane="%1", server=SERVER, body={"session_id": "s1"})
PROMPT = HookEvent(
    agent="codex", event="UserPromptSubmit", at=1.0, pane="%1", server=SERVER, body={"session_id": "x", "cwd": "/c"}
)


@pytest.mark.parametrize(
    ("event", "lineage", "pane"),
    [
        (STOP, [7, 105, 1], "%5"),
        (STOP, [], "%1"),
        (msgspec.structs.replace(STOP, server=51), [], "%1"),
        (msgspec.structs.replace(STOP, server=51, body={"session_id": "s2"}), [], None),
        (msgspec.structs.replace(STOP, pane="%9", body={}), [], None),
        (msgspec.structs.replace(STOP, pane="", body={}), [], None),
    ],
)
def test_by_process_pane_and_session(event: HookEvent, lineage: list[int], pane: str | None) -> None:
    """Below which pane's process it ran goes first; then the pane it names in this server; then the session."""
    found = match_hook(event, CLAUDE, PANES, SERVER, lineage)
    assert (found and found.pane) == pane


def test_codex_does_not_know_its_pane() -> None:
    """The pane that its hook names is another's: the folder tells, and says by what it was found."""
    found = match_hook(PROMPT, CODEX, PANES, SERVER, [])
    assert found
    assert (found.pane, found.rivals) == ("%4", ())
    assert match_hook(PROMPT, CODEX, PANES, SERVER, [9, 102]) != found


def test_codex_in_one_folder_twice() -> None:
    """Of two in one folder it is the one that works, or was typed in last, and the other is told."""
    event = msgspec.structs.replace(PROMPT, body={"session_id": "x", "cwd": "/b"})
    found = match_hook(event, CODEX, PANES, SERVER, [])
    assert found
    assert (found.pane, found.rivals) == ("%3", ("%2",))
    works = [replace(facts, title="working") if facts.pane == "%2" else facts for facts in PANES]
    found = match_hook(event, CODEX, works, SERVER, [])
    assert found
    assert found.pane == "%2"
    taken = [replace(facts, session="y") if facts.pane == "%3" else facts for facts in PANES]
    found = match_hook(event, CODEX, taken, SERVER, [])
    assert found
    assert found.pane == "%2"


def test_codex_of_nobody() -> None:
    """A report of a folder without it, or of a session that never began here, is of no pane."""
    assert match_hook(msgspec.structs.replace(PROMPT, body={"cwd": "/z"}), CODEX, PANES, SERVER, []) is None
    assert match_hook(msgspec.structs.replace(PROMPT, event="Stop"), CODEX, PANES, SERVER, []) is None
    known = [replace(facts, session="x") if facts.pane == "%4" else facts for facts in PANES]
    found = match_hook(msgspec.structs.replace(PROMPT, event="Stop"), CODEX, known, SERVER, [])
    assert found
    assert found.pane == "%4"
