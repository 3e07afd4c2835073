"""Gemini CLI in the laboratory."""

from __future__ import annotations

import json
from pathlib import Path

from tests.agents.lab import RealAgent


def _environ(url: str) -> dict[str, str]:
    key = {"GEMINI_API_KEY": "sk-test-fake", "GEMINI_TELEMETRY_ENABLED": "false"}
    return {**key, "GOOGLE_GEMINI_BASE_URL": url}


def _configure(home: Path, project: Path, _url: str) -> None:
    (home / ".gemini").mkdir()
    settings = {
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        "privacy": {"usageStatisticsEnabled": False},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
    }
    (home / ".gemini/settings.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    trusted = {str(project): "TRUST_FOLDER"}
    (home / ".gemini/trustedFolders.json").write_text(json.dumps(trusted), encoding="utf-8")


GEMINI = RealAgent("gemini", _environ, _configure, ready="Type your message")
PERMISSION = "Allow once|Apply this change|Allow execution"
AT_REST = "^\u25c7 "
WORKS = "^\u2726 "
ASKS = "^\u270b "
