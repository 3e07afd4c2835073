"""Which hooks Claude Code gets, and where (2.1; its `settings.json` is JSON without comments)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from teleclaude.hooks.hook_entries import Entries, command

# What it does not wait for costs it nothing. SessionEnd gets no input that way, and would not say why it ended.
_ASYNC: Final = (
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "PostToolUse",
    "PostToolUseFailure",
    "Notification",
    "Stop",
    "StopFailure",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "PostCompact",
)
_TIMEOUT: Final = 5  # seconds


def settings_file(environ: Mapping[str, str], home: Path) -> Path:
    """Where its settings are."""
    own = environ.get("CLAUDE_CONFIG_DIR", "")
    return (Path(own).expanduser() if own else home / ".claude") / "settings.json"


def entries(script: Path, wait: float) -> Entries:
    """What it gets, by event. `wait`: seconds for which it is to wait for an answer from afar; 0: not at all."""
    found = {event: _group(script, event) for event in (*_ASYNC, "SessionEnd")}
    for event in _ASYNC:
        found[event]["hooks"][0]["async"] = True
    if wait:
        found["PermissionRequest"] = _group(script, "PermissionRequest", "answer", timeout=math.ceil(wait) + _TIMEOUT)
    return found


def _group(script: Path, *words: str, timeout: int = _TIMEOUT) -> dict[str, Any]:
    return {"hooks": [{"type": "command", "command": command(script, "claude", *words), "timeout": timeout}]}


def switched_off(data: Mapping[str, Any]) -> str:
    """Say why none of its hooks runs, or nothing."""
    return "its settings say `disableAllHooks`, so none of its hooks runs" if data.get("disableAllHooks") else ""
