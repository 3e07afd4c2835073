"""An explanation names all that is known, what won, and what would change it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from teleclaude.core.explanation import SessionExplanation
from teleclaude.core.text import has_control
from teleclaude.sync.sessions.agents.agent_tables import TABLES
from teleclaude.sync.sessions.agents.evidence import Evidence, FileSign, ScreenSign, TitleSign
from teleclaude.sync.sessions.agents.explain_judgement import explanation
from teleclaude.sync.sessions.agents.hook_match import HookMatch
from teleclaude.sync.sessions.agents.hook_story import HookStory
from teleclaude.sync.sessions.agents.judge import judge

NOW = 1000.0
AGENT = Evidence("claude", TABLES["claude"], agent_since=900.0, output=990.0)
STORY = HookStory("claude", state="working", since=995.0, at=996.0, event="PreToolUse{Bash}")


def explained(seen: Evidence, match: HookMatch | None = None, title: str = "a title") -> SessionExplanation:
    """What is said of it."""
    return explanation("id", "", seen, judge(seen, NOW), NOW, match, title)


@pytest.mark.parametrize(
    ("seen", "winner"),
    [
        (replace(AGENT, file=FileSign("busy", 991.0), story=replace(STORY, at=990.0)), "state file"),
        (replace(AGENT, story=STORY, title=TitleSign("working", 995.0)), "hook"),
        (replace(AGENT, title=TitleSign("calm", 995.0)), "title"),
        (replace(AGENT, screen=ScreenSign(999.0, asks="1. Yes")), "screen"),
        (replace(AGENT, is_dead=True, exit_status=2), "process"),
        (Evidence("shell", prompt_since=5.0), "process"),
        (Evidence("mine", agent_since=900.0, output=999.5), "output"),
    ],
)
def test_one_piece_wins_and_the_rest_say_why_not(seen: Evidence, winner: str) -> None:
    """The piece that won is marked, and is the only one; each that lost and said something has a reason."""
    told = explained(seen)
    assert [piece.source for piece in told.evidence if piece.won] == [winner]
    assert all(piece.why for piece in told.evidence if not piece.won and piece.source in {"title", "output"})
    assert told.rule
    assert told.would_change


def test_what_nothing_tells_of_says_so() -> None:
    """Unknown is explained by what is missing: the table of the version, and hooks."""
    told = explained(AGENT, title="some other title")
    assert (told.status, [piece for piece in told.evidence if piece.won]) == ("unknown", [])
    title = next(piece for piece in told.evidence if piece.source == "title")
    assert "some other title" in title.says
    assert any("hooks install claude" in change for change in told.would_change)
    assert any("2.1.197" in change for change in told.would_change)


def test_ages_expiry_and_doubts_are_told() -> None:
    """How old each piece is, when it is judged again, and of which panes a report may be as well."""
    told = explained(replace(AGENT, story=STORY), HookMatch("%1", "codex runs there in that folder", ("%7",)))
    hook = next(piece for piece in told.evidence if piece.source == "hook")
    assert (hook.age, told.expires_in) == (4.0, 6.0)
    assert "%7" in hook.says
    assert "time: in 6.0 s" in " ".join(told.would_change)


def test_nothing_in_it_acts_on_a_terminal() -> None:
    """A title is shown as it is safe, or not at all where it is not to be seen."""
    told = explained(replace(AGENT, story=replace(STORY, event="x")), title="\x1b]2;evil\x07")
    assert not any(has_control(piece.says) for piece in told.evidence)
    assert "evil" not in repr(explained(AGENT, title=""))
