"""Which hooks Codex gets, and where (0.169): `hooks.json`, or `[hooks]` in `config.toml` where its user has them there.

It has its user look at each hook that is new or another, so what runs never changes with our settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from teleclaude.core.errors import Refused
from teleclaude.hooks.hook_entries import Entries, command
from teleclaude.hooks.toml_hooks import STATE
from teleclaude.hooks.toml_text import read_toml
from teleclaude.hooks.user_file import read_user_file

_EVENTS: Final = (
    "SessionStart",
    "SessionEnd",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "PostToolUse",
    "Stop",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "PostCompact",
    "Interrupt",
)
ANSWER_WITHIN: Final = 600  # seconds that it waits for the one hook that may decide
_TIMEOUTS: Final = {"SessionEnd": 3, "Interrupt": 3, "PermissionRequest": ANSWER_WITHIN}  # it allows no more to the two
_TIMEOUT: Final = 5  # seconds

REVIEW: Final = (
    "Codex asks at its next start whether it may run these hooks: look at them (`/hooks`) and allow them",
    "Codex runs hooks in a daemon that all its windows share, so two in one folder cannot be told apart; "
    "`daemon_auto_start = false` under `[features]` in its config.toml ends that",
)


def folder_of(environ: Mapping[str, str], home: Path) -> Path:
    """Where its settings are."""
    own = environ.get("CODEX_HOME", "")
    return Path(own).expanduser() if own else home / ".codex"


def settings_file(folder: Path) -> Path:
    """Where its hooks are, or would be. Raises Refused where that cannot be told."""
    as_json, as_toml = folder / "hooks.json", folder / "config.toml"
    if as_json.exists():
        return as_json
    text = read_user_file(as_toml).text
    try:
        hooks = read_toml(text or "").get("hooks", {})
    except Refused as error:
        raise Refused(f"{as_toml}: {error.message}") from error
    return as_toml if isinstance(hooks, dict) and hooks.keys() - {STATE} else as_json


def entries(script: Path) -> Entries:
    """What it gets, by event."""
    return {event: {"hooks": [_handler(script, event)]} for event in _EVENTS}


def _handler(script: Path, event: str) -> dict[str, Any]:
    # It may wait for an answer from afar; whether it does is the daemon's to say, so that this never changes.
    words = (event, "answer") if event == "PermissionRequest" else (event,)
    return {
        "type": "command",
        "command": command(script, "codex", *words),
        "timeout": _TIMEOUTS.get(event, _TIMEOUT),
    }


def switched_off(folder: Path) -> str:
    """Say why none of its hooks runs, or nothing."""
    text = read_user_file(folder / "config.toml").text
    try:
        features = read_toml(text or "").get("features", {})
    except Refused:
        return ""
    off = isinstance(features, dict) and (features.get("hooks") is False or features.get("codex_hooks") is False)
    return "`hooks = false` under `[features]` in its config.toml switches all of its hooks off" if off else ""
