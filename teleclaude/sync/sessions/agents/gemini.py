"""Gemini CLI, as 0.61.0 was seen to do.

Its title says *Ready* in the questions of its first run too. PreCompress fires on every turn, and compacts nothing.
No hook fires for Esc on a dialog; Esc while a tool runs ends that tool (AfterTool) and not the turn. SessionEnd comes
three times. Enter less than 100 ms after a paste is lost.
"""

from __future__ import annotations

import re
from typing import Final

from teleclaude.sync.sessions.agents.agent_table import AgentTable, ShownTitle, TitleSays

_SAYS: Final[dict[str, TitleSays]] = {
    "\N{RAISED HAND}": "waiting",
    "\N{BLACK FOUR POINTED STAR}": "working",
    "\N{WHITE DIAMOND}": "idle",
}
_IN_FOLDER: Final = re.compile(r"\((.*)\)\s*$")


def _title(title: ShownTitle) -> TitleSays:
    return _SAYS.get(title.text.strip()[:1], "")


def _plain(title: str) -> str:
    if _SAYS.get(title.strip()[:1]) is None:
        return title
    found = _IN_FOLDER.search(title)
    return found[1] if found else title.strip()[1:].strip()


GEMINI: Final = AgentTable(
    name="gemini",
    seen="0.61.0",
    title=_title,
    plain_title=_plain,
    has_title=True,
    asks_before_ready=True,
    hooks={
        "SessionStart": "ready",
        "BeforeAgent": "prompt",
        "AfterAgent": "done",
        "BeforeTool": "tool",
        "AfterTool": "answered",
        "Notification{ToolPermission}": "asks",
        "SessionEnd": "over",
        "SessionEnd{clear}": "note",
    },
    qualifiers=("source", "reason", "notification_type"),
    question_tools=frozenset({"ask_user"}),
    answers_end_all=True,
    resume=("--resume",),
    ready=lambda shown: "Type your message" in shown.screen,
    prompt=re.compile("^ > +(.*)", re.MULTILINE),
    pointer="\N{BLACK CIRCLE}",
    enter_pause=0.15,
)
