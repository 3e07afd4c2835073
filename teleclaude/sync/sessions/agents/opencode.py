"""opencode, as 1.18.33 was seen to do: a plugin file of ours runs inside it and tells its events.

Its title carries no state. A subagent is a session of its own, whose `session.created` names its parent.
"""

from __future__ import annotations

from typing import Final

from teleclaude.sync.sessions.agents.agent_table import AgentTable

OPENCODE: Final = AgentTable(
    name="opencode",
    seen="1.18.33",
    title=lambda _title: "",
    plain_title=lambda title: title,
    hooks={
        "plugin-init": "ready",
        "session.created": "child",
        "session.status": "status",
        "session.idle": "done",
        "session.error": "failed",
        "chat.message": "prompt",
        "tool.execute.before": "tool",
        "tool.execute.after": "tool",
        "permission.asked": "asks",
        "permission.replied": "answered",
        "question.asked": "asks",
        "question.replied": "answered",
        "question.rejected": "answered",
    },
    resume=("--session",),
    ready=lambda shown: "Ask anything" in shown.screen,
)
