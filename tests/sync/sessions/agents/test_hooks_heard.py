"""From an agent's hook to its row: the real script in a real tmux, heard by the local loop."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teleclaude.hooks.hook_files import put_script, script_in, spool_in
from tests.sync.conftest import Local, TmuxServer
from tests.wait import until

PROMPT = ("UserPromptSubmit", {"session_id": "s1", "cwd": "/tmp", "prompt": "do it"})
ASKS = (
    "PermissionRequest",
    {"session_id": "s1", "cwd": "/tmp", "tool_name": "Bash", "tool_input": {"command": "touch x"}},
)


def agent(hooks: Path, *reports: tuple[str, dict[str, Any]]) -> list[str]:
    """A program called claude, which reports and then stays."""
    put_script(hooks)
    program = hooks / str(len(reports)) / "claude"
    program.parent.mkdir()
    script = shlex.quote(str(script_in(hooks)))
    lines = [f"echo {shlex.quote(json.dumps(body))} | {script} claude {event}" for event, body in reports]
    program.write_text("\n".join(["#!/bin/sh", *lines, "sleep 1000", ""]))
    program.chmod(0o755)
    return [str(program)]


def test_what_a_hook_tells_is_in_the_row(local: Callable[..., Local], tmux: TmuxServer) -> None:
    """At once: the agent works; it asks, and what for."""
    half = local()
    tmux.new("work", *agent(half.hooks, PROMPT))
    half.wait(lambda session: (session.agent, session.status) == ("claude", "working"))
    tmux.new("ask", *agent(half.hooks, PROMPT, ASKS))
    asking = half.wait(lambda session: session.tmux.name == "ask" and session.status == "waiting")
    assert asking.asks is not None
    assert (asking.asks.kind, asking.asks.tool, asking.asks.text) == ("approval", "Bash", "touch x")
    assert list(spool_in(half.hooks).iterdir()) == []


def test_what_was_told_while_no_daemon_ran_counts_once_one_does(
    local: Callable[..., Local], tmux: TmuxServer, folder: Path
) -> None:
    """It lies in the spool until then."""
    pane = tmux.new("work", *agent(folder, PROMPT, ASKS))
    until(lambda: len(list(spool_in(folder).iterdir())) == 2)
    assert pane
    half = local(hooks=folder)
    half.wait(lambda session: session.status == "waiting" and session.asks)
