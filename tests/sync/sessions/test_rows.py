"""Which panes are rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from teleclaude.sync.sessions.rows import Row, at_home, rows_of
from teleclaude.sync.tmux.imsg import Answer
from teleclaude.sync.tmux.panes import Pane, PaneReader
from tests.sync.tmux.test_panes import HEAD, row

SAMPLE = PaneReader("n").read(Answer(True, HEAD + row())).panes[0]


def pane(session: str, window: str, name: str, *, active: bool = True, current: bool = True, attached: int = 0) -> Pane:
    """A pane as a session shows it."""
    return replace(
        SAMPLE, session=session, window=window, id=name, is_active=active, is_current=current, attached=attached
    )


Keys = list[tuple[str, str, str]]


def keys(panes: list[Pane], agents: Collection[str] = (), forming: Collection[str] = (), before: str = "") -> Keys:
    """The rows: what each is, and its session and pane."""
    found = rows_of(panes, at_home(panes), agents, forming, {"$1": before})
    return [(row.key, row.pane.session, row.pane.id) for row in found]


def test_a_session_is_its_active_pane() -> None:
    """Without an agent a session is one row, with the active pane of its current window."""
    panes = [
        pane("$1", "@1", "%1", active=False),
        pane("$1", "@1", "%2"),
        pane("$1", "@2", "%3", current=False),
    ]
    assert rows_of(panes, at_home(panes), set(), set(), {}) == [Row("$1", panes[1], 3)]


def test_agents_stand_for_their_session() -> None:
    """Each agent's pane is a row, and the session in which they are is none."""
    panes = [pane("$1", "@1", "%1"), pane("$1", "@2", "%2", current=False), pane("$2", "@3", "%3")]
    assert keys(panes, {"%2"}) == [("%2", "$1", "%2"), ("$2", "$2", "%3")]


def test_linked_windows_take_no_session_its_row() -> None:
    """A session whose current window is linked from another one has a row of its own, with its own clients."""
    panes = [
        pane("$1", "@1", "%1", attached=1),
        pane("$2", "@2", "%2", current=False, attached=2),
        pane("$2", "@1", "%1", attached=2),
    ]
    assert keys(panes) == [("$1", "$1", "%1"), ("$2", "$2", "%1")]
    assert [row.pane.attached for row in rows_of(panes, at_home(panes), set(), set(), {})] == [1, 2]


def test_an_agent_in_a_linked_window_is_one_row() -> None:
    """It is at home in the oldest session, with the clients of all; one that shows something else too keeps its row."""
    panes = [
        pane("$1", "@1", "%1", attached=1),
        pane("$2", "@1", "%1", current=False, attached=2),
        pane("$2", "@2", "%2", attached=2),
        pane("$3", "@1", "%1"),
    ]
    assert keys(panes, {"%1"}) == [("%1", "$1", "%1"), ("$2", "$2", "%2")]
    assert rows_of(panes, at_home(panes), {"%1"}, set(), {})[0].pane.attached == 3


def test_a_pane_that_is_forming_hides_no_session() -> None:
    """While a new window is forming the pane before stands for the session; a new session waits."""
    panes = [
        pane("$1", "@1", "%1", current=False),
        pane("$1", "@2", "%2", current=False),
        pane("$1", "@3", "%3"),
        pane("$2", "@4", "%4"),
    ]
    assert keys(panes, forming={"%3", "%4"}, before="%2") == [("$1", "$1", "%2")]


def test_rows_of_one_session_are_told_apart_by_their_place() -> None:
    """Agents that are at home in one session tell which window and pane they are; one alone need not."""
    panes = [
        replace(pane("$1", "@1", "%1"), place="0.0"),
        replace(pane("$1", "@1", "%2", active=False), place="0.1"),
        replace(pane("$1", "@2", "%3", current=False), place="1.0"),
        replace(pane("$2", "@3", "%4"), place="0.0"),
    ]
    found = rows_of(panes, at_home(panes), {"%1", "%3", "%4"}, set(), {})
    assert {row.key: row.place for row in found} == {"%1": "0.0", "%3": "1.0", "%4": ""}
