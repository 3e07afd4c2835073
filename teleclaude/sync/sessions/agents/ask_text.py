"""What an agent asks, from the body of its hook: its tool, and a short form of what it would do, safe to show. Pure.

What is cut says so, and how much: nobody shall allow the end of a command that he has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from teleclaude.core.records import Ask, AskKind
from teleclaude.core.text import one_line
from teleclaude.sync.sessions.agents.agent_table import AgentTable
from teleclaude.sync.sessions.agents.hook_event import HookEvent

TEXT_MOST: Final = 1000  # characters of what is asked
CHOICE_MOST, CHOICES_MOST = 80, 12
_TELLING: Final = (
    "command",
    "file_path",
    "path",
    "notebook_path",
    "url",
    "query",
    "pattern",
    "plan",
    "prompt",
    "title",
)


def ask_of(event: HookEvent, table: AgentTable) -> Ask:
    """Give what the agent asks. Its `id` is the pipe on which the hook awaits an answer; empty when it awaits none."""
    given = _mapping(event.body, "tool_input") or _mapping(event.body, "details") or _mapping(event.body, "metadata")
    tool = one_line(event.text("tool_name", "permission") or _text(_mapping(event.body, "details").get("type")), 64)
    questions = _questions(given) or _questions(event.body)
    if questions:
        first = questions[0]
        more = f" (and {len(questions) - 1} more)" if len(questions) > 1 else ""
        return Ask(
            kind="question", tool=tool, text=shortened(_text(first.get("question"))) + more,
            choices=_choices(first), id=event.pipe,
        )  # fmt: skip
    return Ask(kind=_kind(tool, table), tool=tool, text=shortened(_telling(given, event)), id=event.pipe)


def key_of_ask(event: HookEvent) -> str:
    """Give what tells one question from another: its number with the agent, or tool and input; empty when untold."""
    number = event.text("requestID") or (event.text("id") if "sessionID" in event.body else "")
    tool = event.text("tool_name")
    return number or (f"{tool} {_telling(_mapping(event.body, 'tool_input'), event)}" if tool else "")


def shortened(text: str, most: int = TEXT_MOST) -> str:
    """Give a text as one line; of a longer one its begin, and how much more there is."""
    folded = " ".join(text[: most * 8].split())
    left_out = len(folded) - most + (len(text) - most * 8 if len(text) > most * 8 else 0)
    return one_line(folded, most) + (f" … [{left_out} more characters]" if left_out > 0 else "")


def _kind(tool: str, table: AgentTable) -> AskKind:
    if tool in table.plan_tools:
        return "plan"
    return "question" if tool in table.question_tools else "approval"


def _telling(given: Mapping[str, Any], event: HookEvent) -> str:
    for name in _TELLING:
        if found := _text(given.get(name)):
            return found
    patterns = event.body.get("patterns")
    if isinstance(patterns, list) and patterns:
        return " ".join(_text(pattern) for pattern in patterns[:CHOICES_MOST])
    return next((text for value in given.values() if (text := _text(value))), event.text("message"))


def _questions(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = given.get("questions")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _choices(asked: Mapping[str, Any]) -> tuple[str, ...]:
    options = asked.get("options")
    if not isinstance(options, list):
        return ()
    labels = [_text(option.get("label")) for option in options[:CHOICES_MOST] if isinstance(option, dict)]
    return tuple(one_line(label, CHOICE_MOST) for label in labels if label)


def _mapping(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
