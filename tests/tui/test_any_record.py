"""Whatever records tell: the client goes on, and shows them in lines of exactly the screen's width."""

from __future__ import annotations

import select
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleclaude.core.records import SESSION_STATUSES, Computer, Project, Session, Tmux, Todo
from teleclaude.tui.state import Resized
from teleclaude.tui.update import to_save
from teleclaude.tui.view import next_tick
from tests.tui.driving import SCREENS, Driver, work

TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "/",
        "//",
        "..",
        "x" * 5000,
        "漢" * 3000,
        "a\0b",
        "\x1b[2J",
        "\u200b\u202e",
        "👩‍👩‍👧‍👦" * 50,
        "{}[]%s",
        "é" * 99,
    ]
)
TIMES = st.sampled_from(
    [
        "",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        "2262-04-11T23:47:16Z",
        "never",
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
STATUSES: Any = st.sampled_from(SESSION_STATUSES)
TMUX = st.builds(Tmux, name=TEXTS, session=TEXTS, window=TEXTS, pane=TEXTS)
SESSIONS = st.builds(
    Session,
    session_id=TEXTS,
    computer=st.just("here"),
    status=STATUSES,
    status_since=TIMES,
    created_at=TIMES,
    last_activity=TIMES,
    attached=NUMBERS,
    tmux=TMUX,
    **dict.fromkeys(["project", "cwd", "title", "agent", "status_reason", "command", "parent"], TEXTS),
)
PROJECTS = st.builds(
    Project, computer=st.just("here"), **dict.fromkeys(["path", "name", "description", "branch"], TEXTS)
)
TODO_FIELDS = dict.fromkeys(["project", "slug", "title", "description", "build_status", "review_status"], TEXTS)
TODOS = st.builds(Todo, computer=st.just("here"), order=NUMBERS, **TODO_FIELDS)
COMPUTERS = st.builds(
    Computer,
    name=TEXTS.filter(lambda name: name != "here"),
    status=st.sampled_from(["online", "offline"]),
    last_seen=TIMES,
    counts=st.dictionaries(TEXTS | STATUSES, NUMBERS, max_size=3),
    **dict.fromkeys(["user", "host", "role", "platform"], TEXTS),
)


def check(driver: Driver) -> None:
    """Draw at all sizes, and wait as long as the client would."""
    for size in (*SCREENS, (8, 24), (3, 5)):
        driver.tell(Resized(*size))
        assert driver.frame().problems == ()
        timeout = next_tick(driver.state)
        if timeout is not None:
            assert 0 < timeout < 4000
            assert select.select([], [], [], min(timeout, 0.0)) == ([], [], [])


@settings(max_examples=50)
@given(st.lists(SESSIONS, max_size=4), st.lists(PROJECTS | TODOS, max_size=4), st.lists(COMPUTERS, max_size=2))
def test_no_string_number_or_date_of_a_record_stops_the_client(
    sessions: list[Session], others: list[Project | Todo], computers: list[Computer]
) -> None:
    """Anything that decodes can be shown, selected and asked about; what is kept of it can be read again."""
    driver = Driver()
    driver.connect(*computers)
    driver.load("here", [*sessions, *others])
    for keys in (["G"], ["k"], ["k"], ["m"], ["esc"], ["n"], ["tab", "right", "esc"], ["x"], ["n"], ["2", "G"], ["k"]):
        driver.press(*keys)
        check(driver)
    assert msgspec.json.decode(msgspec.json.encode(to_save(driver.state)))


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59", "0001-01-01T00:00:00"])
def test_a_date_thousands_of_years_away_can_be_waited_for(when: str) -> None:
    """The time until an age changes is one that the clock can count."""
    driver = Driver()
    driver.connect()
    driver.load("here", [work("a", "future", status_since=when)])
    check(driver)
