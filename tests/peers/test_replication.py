"""Rows of one computer on another: pulled on interest, pushed while somebody looks."""

from __future__ import annotations

from tests.peers.conftest import MakeNode
from tests.wait import until


def test_rows_come_on_interest_and_follow(node: MakeNode) -> None:
    """Who looks at a computer has its rows, then each change; who does not look has none."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == "online")
    near.look("far")
    until(lambda: near.titles("far") == ["one"])
    far.sessions("one", "two")
    until(lambda: near.titles("far") == ["one", "two"])
    far.sessions("two")
    until(lambda: near.titles("far") == ["two"])
    assert far.titles("near") == []
