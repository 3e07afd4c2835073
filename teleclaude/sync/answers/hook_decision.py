"""An answer in the words of an agent's hook: one line of JSON, as the agent documents it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from teleclaude.core.errors import InvalidField
from teleclaude.core.text import one_line
from teleclaude.core.verbs import Approve
from teleclaude.sync.sessions.agents.hook_event import HookEvent

MOST: Final = 60_000  # bytes; a pipe takes so much at once
_REASON_MOST: Final = 2000  # characters
_QUESTION: Final = "AskUserQuestion"
AGENTS: Final = ("claude", "codex")  # those whose hooks may decide


def decision_line(args: Approve, event: HookEvent) -> bytes:
    """Give the line that a hook prints. Raises InvalidField for an answer that does not fit what is asked."""
    if args.decision == "deny":
        reason = " ".join(one_line(line, _REASON_MOST) for line in args.reason.splitlines() if line.strip())
        decision: dict[str, Any] = {"behavior": "deny", "message": reason[:_REASON_MOST] or "The user denied this."}
    else:
        decision = {"behavior": "allow"}
        if event.text("tool_name") == _QUESTION:
            decision["updatedInput"] = _answered(event.body, args.answers)
        elif args.answers:
            raise InvalidField("answers", "it asks for an approval, and offers no answers")
        if args.decision == "suggested":
            decision["updatedPermissions"] = _suggested(event)
    output = {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}}
    line = msgspec.json.encode(output) + b"\n"
    if len(line) > MOST:
        raise InvalidField("decision", "what is asked is too long to be answered from afar: attach to the session")
    return line


def _suggested(event: HookEvent) -> list[dict[str, Any]]:
    """What the agent suggests to allow besides; for its session only, wherever it would keep it."""
    found = event.body.get("permission_suggestions")
    suggestions = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if not suggestions:
        raise InvalidField("decision", "the agent suggests nothing to allow for its session: allow this, or attach")
    return [{**suggestion, "destination": "session"} for suggestion in suggestions]


def _answered(body: Mapping[str, Any], answers: list[str]) -> dict[str, Any]:
    given = body.get("tool_input")
    questions = given.get("questions") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(questions, list) or not questions:
        raise InvalidField("answers", "what it asks cannot be read: attach to the session")
    if len(answers) != len(questions):
        raise InvalidField("answers", f"it asks {len(questions)} questions, and each needs an answer")
    return {**given, "answers": {_question(one): answer for one, answer in zip(questions, answers, strict=True)}}


def _question(asked: object) -> str:
    found = asked.get("question") if isinstance(asked, dict) else None
    if not isinstance(found, str):
        raise InvalidField("answers", "what it asks cannot be read: attach to the session")
    return found
