"""`explain` prints a line for each piece of evidence, with its age and why it lost, and what would change it."""

from __future__ import annotations

import pytest

from teleclaude.cli.session_commands import MANNERS
from teleclaude.core.explanation import EvidencePiece, SessionExplanation


def test_an_explanation_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    """What won is marked; what acts on a terminal is not printed."""
    pieces = (
        EvidencePiece(source="hook", says="Stop: idle", age=12.34, won=True),
        EvidencePiece(source="title", says="working: '\x1b]2;x'", age=None, why="the hook goes before it"),
    )
    told = SessionExplanation(
        session_id="a", status="error", reason="rate limit", since="2026-11-25T10:00:00.000Z", rule="a hook's word",
        evidence=pieces, would_change=("another hook", "time: in 3.0 s"),
    )  # fmt: skip
    manners = MANNERS["explain"]
    assert manners.after
    assert manners.has_json
    manners.after(told)
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "error (rate limit), since 2026-11-25T10:00:00.000Z: a hook's word"
    assert "* hook       Stop: idle, 12.3 s ago" in out
    assert "[the hook goes before it]" in out
    assert "would change it: another hook; time: in 3.0 s" in out
    assert "\x1b" not in out
