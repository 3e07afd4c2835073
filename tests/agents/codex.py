"""Codex in the laboratory."""

from __future__ import annotations

from pathlib import Path

from tests.agents.lab import RealAgent

_SETTINGS = """
model = "gpt-5-stub"
model_provider = "stub"
approval_policy = "on-request"
sandbox_mode = "workspace-write"
check_for_update_on_startup = false
[model_providers.stub]
name = "stub"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "STUB_KEY"
request_max_retries = 1
stream_max_retries = 1
[analytics]
enabled = false
[projects."{project}"]
trust_level = "trusted"
"""
_UNDECIDED = _SETTINGS.replace('approval_policy = "on-request"\nsandbox_mode = "workspace-write"\n', "").partition(
    "[projects."
)[0]
NEW = ".codex-new"


def _configure(home: Path, project: Path, url: str) -> None:
    (home / ".codex").mkdir()
    (home / ".codex/config.toml").write_text(_SETTINGS.format(url=url, project=project), encoding="utf-8")
    (home / NEW).mkdir()  # one that has decided nothing yet, so that it asks
    (home / NEW / "config.toml").write_text(_UNDECIDED.format(url=url), encoding="utf-8")


CODEX = RealAgent("codex", lambda _url: {"STUB_KEY": "sk-test-fake"}, _configure, ready=r"^\u203a (?!\d\.)")
APPROVAL = "Would you like"
AT_REST = "^project$"
WORKS = "^[\u2800-\u28ff] "
ASKS = "Action Required"
