"""opencode in the laboratory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.agents.lab import RealAgent


def _environ(url: str) -> dict[str, str]:
    off = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SHARE")
    registry = {"NPM_CONFIG_REGISTRY": url, "npm_config_registry": url}  # or it waits for names that nobody resolves
    return {f"OPENCODE_DISABLE_{name}": "1" for name in off} | registry


def _configure(home: Path, _project: Path, url: str) -> None:
    folder = home / ".config/opencode"
    folder.mkdir(parents=True)
    provider: dict[str, Any] = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "stub",
        "options": {"baseURL": f"{url}/v1", "apiKey": "sk-test"},
        "models": {"stub-model": {"name": "stub", "limit": {"context": 100_000, "output": 8000}}},
    }
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "model": "stub/stub-model",
        "small_model": "stub/stub-model",
        "permission": {"bash": "ask", "edit": "ask"},
        "provider": {"stub": provider},
    }
    (folder / "opencode.json").write_text(json.dumps(settings), encoding="utf-8")


OPENCODE = RealAgent("opencode", _environ, _configure, ready="Ask anything")
PERMISSION = "Permission required|Allow once"
