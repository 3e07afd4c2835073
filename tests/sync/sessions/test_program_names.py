"""What a command line runs, and which agent that is."""

from __future__ import annotations

import shlex

import pytest

from teleclaude.core.settings import BUILT_IN_AGENTS, AgentProfile
from teleclaude.sync.sessions.program_names import agent_named, is_interactive, profiles_by_name, signature


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("claude --resume x", "claude"),
        ("/usr/local/bin/claude", "claude"),
        ("node /usr/local/bin/claude", "claude"),
        ("node --no-warnings /opt/codex/bin/codex.js -x", "codex"),
        ("node --max-old-space-size=8192 -r ./hook.js /opt/gemini", "gemini"),
        ("/usr/bin/python3.11 -u /opt/agent.py", "agent"),
        ("python -m agent", "agent"),
        ("python -m aider.main --model x", "aider"),
        ("/bin/sh /opt/agent.sh", "agent"),
        ("env A=b gemini", "gemini"),
        ("-bash", "bash"),
        ("bash", "bash"),
        ("vim claude", "vim"),
        ("grep claude codex.js", "grep"),
        ("", ""),
        ("claude.exe", "claude"),
        ("/nix/store/x/bin/.claude-wrapped -c", "claude"),
        ("/nix/store/x/bin/..claude-wrapped-wrapped", "claude"),
        ("opencode-unwrapped", "opencode"),
        ("codex-raw", "codex"),
        ("timeout -k 5 60 claude", "claude"),
        ("sudo -u bob -- nice -n 5 codex", "codex"),
        ("npx -y @google/gemini-cli@latest", "gemini"),
        ("npm exec @anthropic-ai/claude-code", "claude"),
        ("bunx opencode-ai", "opencode"),
        ("bun x opencode-ai", "opencode"),
        ("bun /opt/agent.ts", "agent"),
        ("uv run --with x claude", "claude"),
        ("poetry run python -m agent", "agent"),
        ("mise exec node@22 -- claude", "claude"),
        ("direnv exec . claude", "claude"),
        ("su -c 'claude --resume x' bob", "claude"),
        ("script -c claude /dev/null", "claude"),
        ("npm run dev", "npm"),
        ("timeout", "timeout"),
    ],
)
def test_signature(line: str, name: str) -> None:
    """A command line is named by what it runs, not by what only runs it nor by what it works on."""
    assert signature(shlex.split(line)) == name


def test_signature_of_inline_scripts() -> None:
    """A script given as a word is not taken for a program's name."""
    assert signature(["sh", "-c", "echo claude; sleep 1"]) == "sh"
    assert signature(["su", "-c", "cd /x && claude"]) == "su"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-bash", True),
        ("bash", True),
        ("/bin/zsh -l -i", True),
        ("bash --rcfile /tmp/x --posix", True),
        ("zsh -o vi", True),
        ("bash script.sh", False),
        ("sh -c true", False),
        ("bash -lc true", False),
        ("python3", False),
        ("", False),
    ],
)
def test_interactive(line: str, expected: bool) -> None:
    """A shell that runs a script is at no prompt."""
    assert is_interactive(line.split(" ")) is expected


def test_profiles() -> None:
    """Profiles are known by what they run; a plain shell is nobody's mark, and the first of equals wins."""
    agents = {
        "one": AgentProfile(command="claude"),
        "two": AgentProfile(command="claude --danger"),
        "sh": AgentProfile(command="bash"),
        "shell": AgentProfile(command=""),
    }
    assert profiles_by_name(agents) == {"claude": "one"}


def test_profiles_name_programs_to_detect() -> None:
    """Programs that a profile names are that agent, also one that is another's command."""
    agents = {
        "one": AgentProfile(command="claude"),
        "two": AgentProfile(command="claude --danger", detect=("mine", "claude")),
    }
    assert profiles_by_name(agents) == {"claude": "two", "mine": "two"}


@pytest.mark.parametrize(
    ("argv", "name", "agent"),
    [
        (["claude"], "claude", "claude"),
        (["node", "/usr/lib/node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs"], "node", "claude"),
        (["node", "/usr/lib/node_modules/@openai/codex/bin/codex.js"], "node", "codex"),
        (["node", "/x/node_modules/@google/gemini-cli/dist/index.js"], "MainThread", "gemini"),
        (["/x/node_modules/opencode-ai/bin/.opencode"], ".opencode", "opencode"),
        (["/x/node_modules/@openai/codex/vendor/rg", "x"], "rg", ""),
        (["/x/versions/2.1.197"], "claude", "claude"),
        (["2.1.197"], ".claude-wrapped", "claude"),
        (["codex", "app-server", "--managed-daemon"], "codex", ""),
        (["claude", "mcp", "serve"], "claude", ""),
        (["node", "/home/me/claude/index.js"], "node", ""),
        (["vim", "claude"], "vim", ""),
        (["npm exec @anthropic-ai/claude-code"], "npm exec @anthr", ""),
        (["sudo", "claude"], "sudo", ""),
        ([], "claude", "claude"),
    ],
)
def test_agent_of_a_process(argv: list[str], name: str, agent: str) -> None:
    """An agent is known by its command line, its package or its own name; its servers are no sessions."""
    assert agent_named(argv, name, profiles_by_name(BUILT_IN_AGENTS)) == agent
