"""The rules by which evidence becomes what a pane is doing, and which goes before which."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.records import Ask
from teleclaude.sync.sessions.agents.agent_tables import TABLES, UNKNOWN_AGENT
from teleclaude.sync.sessions.agents.evidence import Evidence, FileSign, ScreenSign, TitleSign
from teleclaude.sync.sessions.agents.hook_story import HookStory, OpenAsk
from teleclaude.sync.sessions.agents.judge import (
    CONFIRMED_WITHIN,
    FRESH,
    QUIET_AFTER,
    SCREEN_AFTER,
    SILENT_FOR,
    STARTING_FOR,
    TITLED_WITHIN,
    judge,
    screen_need,
)
from tests.sync.sessions.agents.scene import Scene

NOW = 1000.0
CLAUDE = Evidence("claude", TABLES["claude"], agent_since=NOW - 500, output=NOW - 60)
CODEX = Evidence("codex", TABLES["codex"], agent_since=NOW - 500, output=NOW - 60)
OTHER = Evidence("mine", UNKNOWN_AGENT, agent_since=NOW - 500, output=NOW - 60)
APPROVAL = Ask(kind="approval", tool="Bash", text="touch x")
AT_WORK = HookStory("claude", state="working", since=NOW - 90, at=NOW - 30, event="PreToolUse{Bash}")
ASKING = replace(AT_WORK, since=NOW - 30, state="waiting", reason="approval", asks=(OpenAsk("Bash touch x", APPROVAL),))
FAILED = replace(AT_WORK, state="error", reason="rate limit")


def title(says: str, ago: float) -> TitleSign:
    return TitleSign(says, NOW - ago)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "status", "reason", "rule"),
    [
        (Evidence("shell", prompt_since=9.0), "idle", "", "shell"),
        (Evidence("shell", command="vim"), "running", "vim", "program"),
        (Evidence("other", command="htop"), "running", "htop", "program"),
        (replace(CLAUDE, is_dead=True, exit_status=1), "ended", "exit 1", "dead"),
        (replace(CLAUDE, is_dead=True, signal=9, story=AT_WORK), "ended", "signal 9", "dead"),
        (replace(CLAUDE, prompt_since=NOW - 5, title=title("working", 60)), "idle", "stopped (Ctrl-Z)", "stopped"),
        (replace(CLAUDE, prompt_since=NOW - 50, story=AT_WORK, output=NOW), "working", "", "hook"),
        (replace(CLAUDE, title=title("calm", 60)), "idle", "", "title"),
        (replace(CLAUDE, title=title("working", 60)), "working", "", "title"),
        (replace(CODEX, title=title("waiting", 60)), "waiting", "unknown", "title"),
        (replace(CLAUDE, file=FileSign("busy", NOW - 3)), "working", "", "state file"),
        (replace(CLAUDE, file=FileSign("idle", NOW - 3), story=AT_WORK), "idle", "", "state file"),
        (replace(CLAUDE, file=FileSign("shell", NOW - 3)), "idle", "", "state file"),
        (replace(CLAUDE, file=FileSign("waiting", NOW - 30), story=ASKING), "waiting", "approval", "state file"),
        (replace(CLAUDE, file=FileSign("idle", NOW - 30.1), story=FAILED), "error", "rate limit", "hook"),
        (replace(CLAUDE, file=FileSign("idle", NOW - 3), story=FAILED), "idle", "", "state file"),
        (replace(CLAUDE, file=FileSign("soon", NOW - 3), title=title("working", 1)), "working", "", "title"),
        (replace(CLAUDE, story=AT_WORK, title=title("working", 60)), "working", "", "hook"),
        (replace(CLAUDE, story=AT_WORK, title=title("calm", 10)), "idle", "", "title"),
        (replace(CLAUDE, story=ASKING, title=title("calm", 10)), "waiting", "approval", "hook"),
        (replace(CLAUDE, story=ASKING, title=title("working", 10)), "working", "", "title"),
        (replace(CLAUDE, story=FAILED, title=title("calm", 10)), "error", "rate limit", "hook"),
        (replace(CLAUDE, agent_since=NOW - 0.5), "starting", "", "new"),
        (CLAUDE, "unknown", "nothing tells", "nothing"),
        (replace(CLAUDE, output=NOW), "unknown", "nothing tells", "nothing"),
        (replace(CLAUDE, screen=ScreenSign(NOW, asks="1. Yes, I trust")), "waiting", "setup", "screen"),
        (replace(CODEX, screen=ScreenSign(NOW, error="stream error: 429"), title=title("idle", 9)), "error",
         "rate limit", "screen"),
        (replace(OTHER, output=NOW - 1.0), "working", "", "output"),
        (replace(OTHER, output=NOW - QUIET_AFTER), "idle", "quiet", "silence"),
        (replace(OTHER, output=0.0), "unknown", "nothing tells", "nothing"),
    ],
)  # fmt: skip
def test_rules(seen: Evidence, status: str, reason: str, rule: str) -> None:
    """Each rule, and which goes before which."""
    found = judge(seen, NOW)
    assert (found.status, found.reason, found.rule) == (status, reason, rule)


def test_a_hook_is_ahead_of_the_file_for_a_moment() -> None:
    """A prompt is seen at once, and not for longer than the file takes to agree; what waits is never said to work."""
    told = replace(AT_WORK, at=NOW, since=NOW)
    seen = replace(CLAUDE, file=FileSign("idle", NOW - 50), story=told)
    assert (judge(seen, NOW).status, judge(seen, NOW).expires) == ("working", NOW + FRESH)
    assert judge(seen, NOW + FRESH).status == "idle"
    assert judge(replace(seen, file=FileSign("waiting", NOW - 5)), NOW).status == "waiting"


def test_a_hooks_word_ends() -> None:
    """The title ends it at once, or when it does not come to agree; where there is no title, silence does."""
    told = replace(AT_WORK, at=NOW, since=NOW)
    stale = replace(CLAUDE, story=told, title=title("calm", 9))
    assert (judge(stale, NOW).status, judge(stale, NOW).expires) == ("working", NOW + CONFIRMED_WITHIN)
    assert judge(stale, NOW + CONFIRMED_WITHIN).status == "idle"
    assert judge(replace(stale, title=TitleSign("calm", NOW + 0.5)), NOW + 0.5).status == "idle"
    silent = replace(CLAUDE, story=told, output=NOW + 1.0)
    assert judge(silent, NOW + 2.0).expires == NOW + 1.0 + SILENT_FOR
    assert judge(silent, NOW + 1.0 + SILENT_FOR).status == "unknown"
    gone = replace(CLAUDE, story=ASKING, title=title("calm", 200), screen=ScreenSign(NOW))
    assert judge(gone, NOW).status == "idle"


def test_an_old_question_is_not_shown_for_another() -> None:
    """What a hook told to be asked before belongs to no dialog that the file tells of later."""
    seen = replace(CLAUDE, story=ASKING, file=FileSign("waiting", NOW, waiting_for="sandbox request"))
    assert judge(seen, NOW).asks == Ask(kind="approval")
    dialog = replace(CLAUDE, file=FileSign("waiting", NOW, waiting_for="dialog open"))
    assert judge(dialog, NOW).asks == Ask(kind="unknown")


def test_the_screen_is_looked_at_only_where_nothing_else_tells() -> None:
    """No screen is wanted of one that works, whose file or hooks tell, of a shell, or of an agent without a table."""
    for seen in (
        replace(CLAUDE, title=title("working", 5)),
        replace(CLAUDE, file=FileSign("idle", NOW)),
        replace(CLAUDE, story=AT_WORK, title=title("calm", 5)),
        replace(CODEX, story=replace(AT_WORK, state="idle", at=NOW), title=title("idle", 1)),
        Evidence("shell", command="vim"),
        OTHER,
        replace(CLAUDE, agent_since=NOW),
    ):
        assert screen_need(seen, NOW) == ""
    assert screen_need(CLAUDE, NOW) == "follow"
    assert screen_need(replace(CODEX, title=title("idle", 1)), NOW) == "once"


def test_what_runs_behind_is_told() -> None:
    """Whatever it does, what runs behind it is told; of a state file, that there is a shell."""
    behind = replace(AT_WORK, state="idle", shells=2, subagents=frozenset({"a"}))
    assert judge(replace(CLAUDE, story=behind), NOW).background == "2 shells, 1 subagent"
    assert judge(replace(CLAUDE, file=FileSign("shell", NOW)), NOW).background == "a shell"
    assert judge(replace(CLAUDE, file=FileSign("idle", NOW), story=behind), NOW).background == "2 shells, 1 subagent"


def test_starting_ends() -> None:
    """An agent is new for a moment only."""
    assert judge(replace(CLAUDE, agent_since=NOW - 1.0), NOW).expires == NOW - 1.0 + TITLED_WITHIN
    assert judge(replace(CLAUDE, agent_since=NOW - 0.1), NOW).expires == NOW - 0.1 + SCREEN_AFTER
    assert judge(replace(CLAUDE, agent_since=NOW - 1.0, has_shown=True), NOW).status == "unknown"
    assert judge(replace(OTHER, agent_since=NOW - 1.0), NOW).expires == NOW - 1.0 + STARTING_FOR
    assert judge(replace(CLAUDE, agent_since=NOW - TITLED_WITHIN), NOW).status == "unknown"


STATES = st.sampled_from(["working", "waiting", "idle", "error", ""])
TIMES = st.floats(0, NOW)
STORIES = st.builds(
    lambda state, at, process: HookStory("claude", state=state, since=at, at=at, process=process),
    STATES, TIMES, st.integers(0, 5),
)  # fmt: skip


@given(
    st.builds(
        Evidence,
        agent=st.sampled_from(["shell", "other", "claude", "mine"]),
        table=st.sampled_from([*TABLES.values(), UNKNOWN_AGENT]),
        is_dead=st.booleans(),
        prompt_since=st.just(0.0) | TIMES,
        agent_since=TIMES,
        output=st.just(0.0) | TIMES,
        title=st.builds(TitleSign, st.sampled_from(["working", "waiting", "idle", "calm", ""]), TIMES),
        file=st.none() | st.builds(FileSign, st.sampled_from(["idle", "busy", "waiting", "shell", "x", ""]), TIMES),
        story=st.none() | STORIES,
        screen=st.none() | st.builds(ScreenSign, TIMES, st.sampled_from(["", "1. Yes"]), st.sampled_from(["", "x"])),
    )
)
def test_no_evidence_is_neither_work_nor_error(seen: Evidence) -> None:
    """It never raises; who works has live evidence of it, and who failed told so; what expires does so later."""
    found = judge(seen, NOW)
    assert found.expires is None or found.expires > NOW
    if found.status == "working":
        live = (
            (seen.file is not None and seen.file.status == "busy"),
            seen.title.says == "working",
            seen.story is not None and seen.story.state == "working" and NOW - max(seen.story.at, seen.output) < 10.0,
            NOW - seen.output < QUIET_AFTER,
        )
        assert any(live)
    if found.status == "error":
        assert (seen.story and seen.story.state == "error") or (seen.screen and seen.screen.error)
    if found.status == "waiting":
        assert found.asks is not None or (seen.story and seen.story.state == "waiting")


BUSY, CALM = "\u2802 mend it", "\u2733 mend it"


@pytest.mark.parametrize("held", [0.1, 5.0])
def test_a_question_that_was_answered_does_not_come_back_with_the_title(held: float) -> None:
    """It works after it asked, and stops without a word (Esc fires no hook): nothing is asked any more."""
    scene = Scene("claude").title(BUSY).hook("UserPromptSubmit").hook("PermissionRequest-Bash").title(CALM)
    assert scene.shown.status == "waiting"
    scene.title(BUSY, after=0.1 if held > 1 else 0.5)
    scene.title(CALM, after=held)
    assert (scene.shown.status, scene.shown.asks) == ("idle", None)
