"""Claude Code in the laboratory."""

from __future__ import annotations

import json
from pathlib import Path

from tests.agents.lab import RealAgent

_KEY = "sk-test-fake-key-000"


def _environ(url: str) -> dict[str, str]:
    off = ("DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING")
    return {
        **dict.fromkeys((*off, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"), "1"),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": _KEY,
        "CLAUDE_CODE_MAX_RETRIES": "1",
    }


def _configure(home: Path, project: Path, _url: str) -> None:
    """What the first run would ask: the theme, the key, and whether the folder is trusted."""
    trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True, "allowedTools": []}
    asked = {
        "hasCompletedOnboarding": True,
        "lastOnboardingVersion": "2.1.197",
        "theme": "dark",
        "customApiKeyResponses": {"approved": [_KEY[-20:]], "rejected": []},
        "projects": {str(project): trusted},
    }
    (home / ".claude.json").write_text(json.dumps(asked), encoding="utf-8")
    (home / ".claude").mkdir(exist_ok=True)


CLAUDE = RealAgent("claude", _environ, _configure, ready="^\u276f", state_files=".claude/sessions/*.json")
PERMISSION = "Do you want to (proceed|create)"
