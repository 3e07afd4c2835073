"""Claude Code, as 2.1.197 was seen to do.

Its state file (claude_state.py) is its best word. Its title is a star at rest, and while it waits for an answer; no
hook fires for Esc, Ctrl-C, a denial, or an API error that is tried again. /clear and --continue keep the process and
give another session id; /compact ends without Stop. An asynchronous SessionEnd has no body.
"""

from __future__ import annotations

import re
from typing import Final

from teleclaude.sync.sessions.agents.agent_table import AgentTable, Shown

_POINTER: Final = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"


def _ready(shown: Shown) -> bool:
    if shown.file_status:
        return shown.file_status in {"idle", "shell"}
    return shown.title.startswith("\N{EIGHT SPOKED ASTERISK} ")


CLAUDE: Final = AgentTable(
    name="claude",
    seen="2.1.197",
    has_title=True,
    hooks={
        "SessionStart": "ready",
        "SessionStart{compact}": "note",
        "UserPromptSubmit": "prompt",
        "PreToolUse": "tool",
        "PermissionRequest": "asks",
        "Notification{permission_prompt}": "asks",
        "Notification{idle_prompt}": "done",
        "PostToolUse": "answered",
        "PostToolUseFailure": "answered",
        "PostToolBatch": "tool",
        "MessageDisplay": "tool",
        "Stop": "done",
        "StopFailure": "failed",
        "SubagentStart": "subagent",
        "SubagentStop": "subagent_done",
        "PreCompact": "tool",
        "PostCompact": "tool",
        "PostCompact{manual}": "done",
        "SessionEnd": "over",
        "SessionEnd{clear}": "note",
        "SessionEnd{resume}": "note",
        "SessionEnd{}": "note",  # without a body it may be any of them: the process tells
    },
    qualifiers=("source", "reason", "notification_type", "trigger"),
    turn=("prompt_id",),
    question_tools=frozenset({"AskUserQuestion"}),
    plan_tools=frozenset({"ExitPlanMode"}),
    subagent_tools=frozenset({"Agent", "Task"}),
    waiting_for={
        "permission prompt": "approval",
        "worker request": "approval",
        "sandbox request": "approval",
        "dialog open": "unknown",
        "input needed": "question",
    },
    resume=("--resume",),
    ready=_ready,
    prompt=re.compile(f"^{_POINTER}\N{NO-BREAK SPACE}(.*)", re.MULTILINE),
    pointer=_POINTER,
)
