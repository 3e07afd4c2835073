"""Whatever hooks report, in whatever order, is folded without an error, and nobody works for whom nothing speaks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleclaude.core.text import has_control
from teleclaude.sync.sessions.agents.agent_tables import TABLES
from teleclaude.sync.sessions.agents.ask_text import TEXT_MOST
from teleclaude.sync.sessions.agents.hook_event import HookEvent
from teleclaude.sync.sessions.agents.hook_story import FIRST_LINES, HookStory, tell
from teleclaude.sync.sessions.agents.judge import CONFIRMED_WITHIN, SILENT_FOR
from tests.sync.sessions.agents.scene import SAMPLES, Scene, sample

NAMES = sorted(path.stem.partition("-") for path in SAMPLES.glob("*.json"))
WORDS = ("session_id", "sessionID", "thread-id", "prompt", "error", "tool_name", "tool_input", "details", "metadata")
MORE = (
    "background_tasks",
    "info",
    "status",
    "questions",
    "patterns",
    "id",
    "requestID",
    "agent_id",
    "source",
    "reason",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WORDS, *MORE, "type", "id"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def real(agent: str, name: str, at: float, session: str) -> HookEvent:
    """A report as it came."""
    found = sample(agent, name)
    keys = [key for key in ("session_id", "sessionID", "thread-id") if key in found.body]
    return msgspec.structs.replace(found, at=at, body=found.body | dict.fromkeys(keys, session))


REAL = st.builds(
    lambda name, at, session: real(name[0], name[2], at, session),
    st.sampled_from(NAMES), st.floats(900, 1100), st.sampled_from(["one", "one", "two"]),
)  # fmt: skip
HOSTILE = st.builds(
    lambda event, body, at: HookEvent(agent="x", event=event, at=at, body=body),
    st.sampled_from(sorted({name for table in TABLES.values() for name in table.hooks})),
    st.dictionaries(st.sampled_from([*WORDS, *MORE]), VALUES, max_size=6),
    st.floats(900, 1100),
)


@settings(max_examples=300)
@given(st.sampled_from(sorted(TABLES)), st.lists(REAL | HOSTILE, max_size=14), st.booleans())
def test_any_reports_in_any_order(agent: str, events: list[HookEvent], is_below: bool) -> None:
    """Late, doubled, out of order, missing, hostile: no error; bounded; and work ends by itself."""
    scene = Scene(agent)
    for event in [*events, *events[::2]]:
        scene.take(event, is_below=is_below and event.at > 1050)
    scene.now = 1100.0
    assert scene.shown.status in {"working", "waiting", "idle", "error", "starting", "unknown"}
    scene.later(SILENT_FOR + CONFIRMED_WITHIN)
    assert scene.shown.status != "working"
    story = scene.story
    assert max(len(story.prompt), len(story.answer)) <= FIRST_LINES
    assert len(story.asks) <= 8
    assert len(story.background) < 60
    assert not has_control(story.prompt + story.answer + story.reason + story.event)
    for each in story.asks:
        assert not has_control(each.ask.text + each.ask.tool + "".join(each.ask.choices))
        assert len(each.ask.text) <= TEXT_MOST + 60


@settings(max_examples=200)
@given(st.permutations(["UserPromptSubmit", "PreToolUse-Bash", "PermissionRequest-Bash", "Stop"]), st.data())
def test_out_of_order_is_as_in_order(order: list[str], data: st.DataObject) -> None:
    """Reports that come in another order than they were made leave the state that the last one made."""
    names = ["UserPromptSubmit", "PreToolUse-Bash", "PermissionRequest-Bash", "Stop"]
    story = HookStory("claude")
    for name in order:
        event = real("claude", name, 1000.0 + names.index(name), "one")
        for _ in range(data.draw(st.integers(1, 2))):
            story = tell(story, event, TABLES["claude"])
    assert (story.state, story.asks, story.at) == ("idle", (), 1003.0)


def test_prompt_that_comes_twice_begins_nothing() -> None:
    """The same prompt, told once more after its turn has ended, is no work."""
    scene = Scene("claude").hook("SessionStart-startup").hook("UserPromptSubmit").hook("Stop").hook("UserPromptSubmit")
    assert scene.says == "idle"


def test_other_tools_of_a_turn_end_no_question() -> None:
    """While one tool asks, what others of the same turn do is no answer; each question has its own."""
    scene = Scene("claude").hook("UserPromptSubmit").hook("PermissionRequest-Bash").hook("PermissionRequest-Write")
    scene.hook("PreToolUse-Read").hook("PostToolUse-Read")
    assert scene.says == "waiting (approval)"
    scene.hook("PostToolUse-Bash", tool_input={"command": "touch /home/user/made-by-agent.txt"})
    assert scene.story.ask
    assert (scene.says, scene.story.ask.tool) == ("waiting (approval)", "Write")


def test_a_long_command_says_that_it_is_cut() -> None:
    """Nobody allows the end of a command that he has not seen without being told that there is one."""
    command = "echo " + "x" * 5000 + "; rm -rf /"
    scene = Scene("claude").hook("PermissionRequest-Bash", tool_input={"command": command})
    assert scene.story.ask
    assert scene.story.ask.text.endswith(f"… [{len(command) - TEXT_MOST} more characters]")


@pytest.mark.parametrize(
    ("agent", "body", "text"),
    [
        ("claude", {"tool_name": "Bash", "tool_input": {"command": "a\x1b[31m\nb"}}, "a\ufffd[31m b"),
        ("claude", {"tool_name": "Edit", "tool_input": {"old": "x", "file_path": "/a"}}, "/a"),
        ("claude", {"tool_name": "mcp__x__y", "tool_input": {"n": 1, "what": "do"}}, "do"),
        ("claude", {"tool_name": "X", "tool_input": [1]}, ""),
        ("claude", {"message": "Claude needs your permission"}, "Claude needs your permission"),
        ("opencode", {"permission": "edit", "patterns": ["a", "b", 3]}, "a b "),
    ],
)
def test_what_is_asked_is_short_and_safe(agent: str, body: dict[str, Any], text: str) -> None:
    """The telling part of what a tool would do is shown, as one line without control characters."""
    event = "permission.asked" if agent == "opencode" else "PermissionRequest"
    story = tell(HookStory(agent), HookEvent(agent=agent, event=event, at=1.0, body=body), TABLES[agent])
    assert story.ask
    assert story.ask.text.strip() == text.strip()


def test_end_of_an_earlier_turn_that_is_told_late_ends_nothing() -> None:
    """Reports come by themselves: the end of one turn may be told in the next, and what is asked there stays asked."""
    story = HookStory("one")
    turns = [("UserPromptSubmit", "1"), ("UserPromptSubmit", "2"), ("PermissionRequest-Bash", "2"), ("Stop", "1")]
    for number, (name, turn) in enumerate(turns):
        event = real("claude", name, 1000.0 + number, "one")
        event = msgspec.structs.replace(event, body=event.body | {"prompt_id": turn})
        story = tell(story, event, TABLES["claude"])
    assert story.state == "waiting"
    assert story.asks
    missed = real("claude", "Stop", 1010.0, "one")  # a turn whose beginning was never told
    story = tell(story, msgspec.structs.replace(missed, body=missed.body | {"prompt_id": "3"}), TABLES["claude"])
    assert (story.state, story.asks) == ("idle", ())
