"""Codex, as 0.169.0 was seen to do.

Its hooks run in a daemon that all its sessions share, with the environment of the pane that first started it: the pane
they name is not theirs. SessionStart comes with the first prompt, SessionEnd a minute late, and nothing at all after an
API error but a line on the screen. `notify` also tells of turns of hidden threads. Its title is the folder's name at
rest; in the questions of its first run the title stays what it was.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from teleclaude.sync.sessions.agents.agent_table import (
    AgentTable,
    Shown,
    ShownTitle,
    TitleSays,
    spinner_title,
    without_spinner,
)

_POINTER: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
_ASKS: Final = re.compile(r"\[ [!.] \] Action Required")


def _title(title: ShownTitle) -> TitleSays:
    if _ASKS.match(title.text):
        return "waiting"
    if spinner_title(title) == "working":
        return "working"
    # Where the folder is named as the computer is, a title that nobody set looks the same: then nothing is known.
    return "idle" if title.text == PurePosixPath(title.folder).name != title.untitled else ""


def _plain(title: str) -> str:
    return title.partition(" | ")[2] if _ASKS.match(title) else without_spinner(title)


def _ready(shown: Shown) -> bool:
    return _title(ShownTitle(shown.title, shown.untitled, shown.folder)) == "idle"


CODEX: Final = AgentTable(
    name="codex",
    seen="0.169.0",
    title=_title,
    plain_title=_plain,
    has_title=True,
    hooks={
        "SessionStart": "ready",
        "UserPromptSubmit": "prompt",
        "PreToolUse": "tool",
        "PermissionRequest": "asks",
        "PostToolUse": "answered",
        "Stop": "done",
        "Interrupt": "stopped",
        "PreCompact": "tool",
        "PostCompact": "tool",
        "PostCompact{manual}": "done",
        "SessionEnd": "over",
        "notify": "told",
    },
    qualifiers=("source", "reason", "trigger"),
    turn=("turn_id", "turn-id"),
    resume=("resume",),
    pane_is_right=False,
    ready=_ready,
    prompt=re.compile(f"^{_POINTER} (.*)", re.MULTILINE),
    pointer=_POINTER,
    error_line="\N{BLACK SQUARE}",
)
