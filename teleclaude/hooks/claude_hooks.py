"""Which hooks Claude Code gets, and where (2.1; its `settings.json` is JSON without comments)."""

from __future__ import annotations

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


def entries(script: Path) -> Entries:
    """What it gets, by event."""
    found: dict[str, Any] = {event: _group(script, event) | {} for event in _ASYNC}
    for group in found.values():
        group["hooks"][0]["async"] = True
    return found | {"SessionEnd": _group(script, "SessionEnd")}


def _group(script: Path, event: str) -> dict[str, Any]:
    return {"hooks": [{"type": "command", "command": command(script, "claude", event), "timeout": _TIMEOUT}]}


def switched_off(data: Mapping[str, Any]) -> str:
    """Say why none of its hooks runs, or nothing."""
    return "its settings say `disableAllHooks`, so none of its hooks runs" if data.get("disableAllHooks") else ""
