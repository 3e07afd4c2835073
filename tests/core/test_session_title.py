"""What a session is called."""

from __future__ import annotations

import pytest

from teleclaude.core.records import Session, Tmux
from teleclaude.core.session_title import title_of


@pytest.mark.parametrize(
    ("title", "place", "name"),
    [
        ("", "", "main"),
        ("main", "", "main"),
        ("main", "2.1", "main:2.1"),
        ("Fix it", "", "Fix it"),
        ("Fix it", "2.1", "Fix it · main:2.1"),
    ],
)
def test_rows_of_one_tmux_session_are_told_apart(title: str, place: str, name: str) -> None:
    """Where its tmux session has several rows, a row says which window and pane it is."""
    tmux = Tmux(name="main", session="$1", window="@1", pane="%1", place=place)
    assert title_of(Session(session_id="abcd", computer="a", title=title, tmux=tmux)) == name
