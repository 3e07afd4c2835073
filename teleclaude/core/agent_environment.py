"""What an agent puts into the environment of all that it runs, and what of it is not to be handed on. Pure.

A daemon, or a tmux server, that was started inside of an agent would tell each later agent that it runs inside of that
one. A user's own settings of agents (`CLAUDE_CONFIG_DIR`, `ANTHROPIC_*`, `CODEX_HOME`, `CLAUDE_CODE_USE_BEDROCK`) stay:
of Claude Code's, which share a prefix with its marks, what begins as its settings do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

# fmt: off
_MARKS: Final = frozenset({
    "CLAUDECODE", "CLAUDE_PROJECT_DIR", "CLAUDE_PLUGIN_ROOT", "CLAUDE_ENV_FILE", "CLAUDE_EFFORT", "AI_AGENT",
    "CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED", "CODEX_THREAD_ID", "CODEX_CI",
    "CODEX_INTERNAL_ORIGINATOR_OVERRIDE", "CODEX_MANAGED_BY_NPM", "CODEX_MANAGED_BY_BUN", "CODEX_MANAGED_PACKAGE_ROOT",
    "GEMINI_CLI", "GEMINI_CLI_NO_RELAUNCH", "GEMINI_PROJECT_DIR", "GEMINI_SESSION_ID", "GEMINI_CWD",
    "OPENCODE", "OPENCODE_PID", "OPENCODE_PROCESS_ROLE", "OPENCODE_RUN_ID", "OPENCODE_SERVER", "OPENCODE_CALLER",
})
_CLAUDE: Final = "CLAUDE_CODE_"
_CLAUDE_MARKS: Final = frozenset({"ENTRYPOINT", "SESSION_ID", "SSE_PORT", "EXECPATH", "CHILD_SESSION"})
_CLAUDE_SETTINGS: Final = (
    "USE_", "MAX_", "DISABLE_", "ENABLE_", "SKIP_", "OAUTH_", "API_", "CLIENT_", "OTEL_", "GLOB_", "AUTO_", "EXTRA_",
    "SUBAGENT_MODEL", "EFFORT_", "SHELL", "PROXY_", "NO_", "BASH_", "GIT_", "IDE_", "PLUGIN_", "HIDE_", "SYNTAX_",
    "TMPDIR", "ADDITIONAL_", "ATTRIBUTION_",
)
# fmt: on


def inside_agent(names: Iterable[str]) -> list[str]:
    """Give those names of variables that only say that a process runs inside of an agent."""
    there = set(names)
    is_inside = "CLAUDECODE" in there
    found = there & _MARKS
    for name in there:
        rest = name.removeprefix(_CLAUDE)
        if rest != name and (rest in _CLAUDE_MARKS or (is_inside and not rest.startswith(_CLAUDE_SETTINGS))):
            found.add(name)
    if "OPENCODE" in there:
        found |= there & {"AGENT"}
    return sorted(found)


def outside_agent(environ: Mapping[str, str]) -> dict[str, str]:
    """Give an environment without them."""
    private = set(inside_agent(environ))
    return {name: value for name, value in environ.items() if name not in private}
