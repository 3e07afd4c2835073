"""Answers in the words of an agent's hook, from the agents' own samples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from teleclaude.core.errors import InvalidField
from teleclaude.core.verbs import Approve
from teleclaude.sync.answers.hook_decision import MOST, decision_line
from teleclaude.sync.sessions.agents.hook_event import HookEvent

SUGGESTIONS = [{"type": "setMode", "mode": "acceptEdits", "destination": "localSettings"}]
BASH = {"tool_name": "Bash", "tool_input": {"command": "touch x"}, "permission_suggestions": SUGGESTIONS}
QUESTIONS = [{"question": "Which colour?", "options": [{"label": "Red"}]}, {"question": "How many?", "options": []}]
ASKS = {"tool_name": "AskUserQuestion", "tool_input": {"questions": QUESTIONS, "metadata": 1}}


def decided(body: dict[str, Any], **args: Any) -> dict[str, Any]:
    """The decision that a hook would print."""
    event = HookEvent(agent="claude", event="PermissionRequest", at=1.0, body=body)
    line = decision_line(Approve(session_id="s", ask="a", **args), event)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found = json.loads(line)["hookSpecificOutput"]
    assert found["hookEventName"] == "PermissionRequest"
    decision: dict[str, Any] = found["decision"]
    return decision


def test_an_approval_is_allowed_denied_or_allowed_for_the_session() -> None:
    """As the agent documents it; what it suggests is kept for its session only."""
    assert decided(BASH) == {"behavior": "allow"}
    assert decided(BASH, decision="deny", reason="not\nnow") == {"behavior": "deny", "message": "not now"}
    assert decided(BASH, decision="deny")["message"]
    assert decided(BASH, decision="suggested") == {
        "behavior": "allow",
        "updatedPermissions": [{"type": "setMode", "mode": "acceptEdits", "destination": "session"}],
    }


def test_questions_are_answered_each() -> None:
    """With the questions as they were asked."""
    found = decided(ASKS, answers=["Red", "3"])
    assert found["updatedInput"] == {
        "questions": QUESTIONS,
        "metadata": 1,
        "answers": {"Which colour?": "Red", "How many?": "3"},
    }


@pytest.mark.parametrize(
    ("body", "args"),
    [
        (ASKS, {}),
        (ASKS, {"answers": ["Red"]}),
        (BASH, {"answers": ["Red"]}),
        ({**BASH, "permission_suggestions": []}, {"decision": "suggested"}),
        ({**BASH, "permission_suggestions": "all"}, {"decision": "suggested"}),
        ({"tool_name": "AskUserQuestion", "tool_input": {"questions": [1]}}, {"answers": ["x"]}),
        ({"tool_name": "AskUserQuestion"}, {"answers": ["x"]}),
        ({"tool_name": "AskUserQuestion", "tool_input": {"questions": [{"question": "x" * MOST}]}}, {"answers": ["x"]}),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(body: dict[str, Any], args: dict[str, Any]) -> None:
    """With the field that is wrong."""
    with pytest.raises(InvalidField):
        decided(body, **args)
