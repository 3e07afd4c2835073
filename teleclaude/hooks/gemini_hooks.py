"""Which hooks Gemini CLI gets, and where (0.61; its `settings.json` may hold comments, and counts in milliseconds)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from teleclaude.hooks.hook_entries import Entries, command

_EVENTS: Final = (
    "SessionStart",
    "SessionEnd",
    "BeforeAgent",
    "AfterAgent",
    "BeforeTool",
    "AfterTool",
    "Notification",
)
_TIMEOUT: Final = 5000  # milliseconds
SWITCH: Final = ("hooksConfig", "enabled")


def settings_file(home: Path) -> Path:
    """Where its settings are."""
    return home / ".gemini" / "settings.json"


def entries(script: Path) -> Entries:
    """What it gets, by event."""
    return {event: {"matcher": "*", "hooks": [_handler(script, event)]} for event in _EVENTS}


def _handler(script: Path, event: str) -> dict[str, Any]:
    return {
        "name": f"teleclaude-{event}",
        "type": "command",
        "command": command(script, "gemini", event),
        "timeout": _TIMEOUT,
    }
