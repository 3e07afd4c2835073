"""Evidence and the state it supports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.sync.sessions.session_status import QUIET_AFTER, STARTING_FOR, Evidence, judge, unmarked


@pytest.mark.parametrize(
    ("seen", "status", "reason"),
    [
        (Evidence("shell", "t", "bash", at_prompt=True), "idle", ""),
        (Evidence("shell", "t", "vim"), "working", "vim"),
        (Evidence("shell", "⠂ t", "bash", at_prompt=True), "idle", ""),
        (Evidence("other", "t", "htop"), "working", "htop"),
        (Evidence("claude", "✳ t", "node", age=100, output_age=0), "idle", "title"),
        (Evidence("claude", "⠐ t", "node", age=100, output_age=60), "working", "title"),
        (Evidence("claude", "◐ t", "node"), "working", "title"),
        (Evidence("claude", "⠐t", "node", age=100, output_age=60), "idle", "quiet"),
        (Evidence("claude", "", "claude", age=1.0), "starting", ""),
        (Evidence("codex", "t", "codex", age=100, output_age=1.0), "working", "output"),
        (Evidence("codex", "t", "codex", age=100, output_age=QUIET_AFTER), "idle", "quiet"),
        (Evidence("codex", "", "codex"), "unknown", "nothing seen yet"),
        (Evidence("claude", "⠐ t", "", is_dead=True, exit_status=1), "ended", "exit 1"),
        (Evidence("shell", "t", "", is_dead=True, signal=9, at_prompt=True), "ended", "signal 9"),
    ],
)
def test_rules(seen: Evidence, status: str, reason: str) -> None:
    """Each rule, and which goes before which."""
    assert (judge(seen).status, judge(seen).reason) == (status, reason)


def test_judgements_that_expire() -> None:
    """A state that time alone will change says when."""
    assert judge(Evidence("codex", "t", "codex", age=100, output_age=1.0)).expires == QUIET_AFTER - 1.0
    assert judge(Evidence("codex", "t", "codex", age=1.0)).expires == STARTING_FOR - 1.0
    assert judge(Evidence("codex", "t", "codex", age=100, output_age=50)).expires is None


@given(
    st.builds(
        Evidence,
        agent=st.sampled_from(["shell", "other", "claude", "mine"]),
        title=st.text(max_size=5) | st.sampled_from(["✳ x", "⠂", "◓ "]),
        command=st.text(max_size=5),
        is_dead=st.booleans(),
        at_prompt=st.booleans(),
        age=st.none() | st.floats(0, 1e6),
        output_age=st.none() | st.floats(0, 1e6),
    )
)
def test_unknown_is_not_error(seen: Evidence) -> None:
    """No evidence, whatever it is, makes an error of a session; the state is always one of the record's."""
    state = judge(seen)
    assert state.status != "error"
    assert state.expires is None or state.expires > 0


def test_unmarked() -> None:
    """The mark goes, the title stays; titles without one are left as they are."""
    assert [unmarked(t) for t in ("✳ a b", "⠂ a", "⠂", "a", "✳a", "", "-a")] == ["a b", "a", "", "a", "✳a", "", "-a"]
