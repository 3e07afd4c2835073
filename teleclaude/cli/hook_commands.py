"""`teleclaude hooks`: hooks in the settings of Claude Code, Codex, Gemini CLI and opencode."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from teleclaude.cli.table import print_table, say, say_aside
from teleclaude.core.errors import NotFound, TeleclaudeError, explained
from teleclaude.core.paths import places
from teleclaude.core.settings import load_in_force
from teleclaude.hooks.agent_hooks import AGENTS, AgentHooks

_WORDS = {
    "installed": "installed",
    "outdated": "not as this version has them: install again",
    "absent": "not installed",
    "refused": "cannot be read",
}
_AGENT = click.argument("agent", type=click.Choice(list(AGENTS)), required=False)


@click.group()
def hooks() -> None:
    """Have agents tell what they do as they do it, by hooks in their own settings.

    AGENT is claude, codex, gemini or opencode; without it, all that are found here.
    """


@hooks.command()
@_AGENT
def install(agent: str | None) -> None:
    """Put the hooks in. Nothing else in the settings is touched, and a copy is kept."""
    agents = _hooks()
    wanted = [agent] if agent else agents.found()
    if not wanted:
        raise NotFound(f"none of {', '.join(AGENTS.values())} is found here: name one to install its hooks anyway")
    _each(wanted, agents.install)


@hooks.command()
@_AGENT
def uninstall(agent: str | None) -> None:
    """Take the hooks out again. All else stays as it is, to the byte."""
    _each([agent] if agent else list(AGENTS), _hooks().uninstall)


@hooks.command()
@_AGENT
def status(agent: str | None) -> None:
    """How the hooks are. Exit status 0 when they are installed for AGENT, or for all that are found here."""
    agents = _hooks()
    here = agents.found()
    found = [agents.status(name) for name in ([agent] if agent else AGENTS)]
    rows = [(AGENTS[one.agent], _WORDS[one.state], str(one.file or ""), one.note) for one in found]
    print_table(("AGENT", "HOOKS", "FILE", ""), rows)
    wanted = {agent} if agent else set(here)
    sys.exit(0 if all(one.state == "installed" for one in found if one.agent in wanted) else 1)


def _each(wanted: list[str], do: Callable[[str], list[str]]) -> None:
    """Do it for each agent; what one refuses keeps no other from it."""
    failed = False
    for agent in wanted:
        try:
            for line in do(agent):
                say(line)
        except (TeleclaudeError, OSError) as error:
            failed = True
            say_aside(f"{AGENTS[agent]}: {error.message if isinstance(error, TeleclaudeError) else explained(error)}")
    if failed:
        sys.exit(1)


def _hooks() -> AgentHooks:
    place = places()
    profiles = load_in_force(place).agents
    return AgentHooks(place.hooks, os.environ, Path.home(), profiles["claude"].wait_for_answer)
