"""What an agent around a process leaves in its environment."""

from __future__ import annotations

from teleclaude.core.agent_environment import inside_agent, outside_agent

INSIDE = (
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_WHATEVER_NEXT",
    "CODEX_SANDBOX",
)
SETTINGS = (
    "CLAUDE_CONFIG_DIR", "ANTHROPIC_API_KEY", "ANTHROPIC_MODEL", "CODEX_HOME", "OPENAI_API_KEY", "GEMINI_API_KEY",
    "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_OAUTH_TOKEN", "OPENCODE_CONFIG", "PATH",
)  # fmt: skip


def test_marks_go_and_settings_stay() -> None:
    """What says that a process is inside of an agent is taken away; what a user set for agents stays."""
    environ: dict[str, str] = dict.fromkeys((*INSIDE, "GEMINI_CLI", "OPENCODE", "AGENT", *SETTINGS), "x")
    assert set(outside_agent(environ)) == set(SETTINGS)


def test_outside_of_an_agent_what_is_unknown_is_the_users() -> None:
    """Without Claude Code around it, a variable of its prefix is a setting that we do not know."""
    assert inside_agent(["CLAUDE_CODE_WHATEVER_NEXT", "AGENT"]) == []
    assert inside_agent(["CLAUDE_CODE_SSE_PORT"]) == ["CLAUDE_CODE_SSE_PORT"]
