"""Claude Code's state file, of a process that is really there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from teleclaude.sync.sessions.agents.claude_state import claude_state
from teleclaude.sync.sessions.processes import children, read_process
from tests.wait import until


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A shell, and the process below it in the place of the agent."""
    environ = os.environ | {"CLAUDE_CONFIG_DIR": str(tmp_path)}
    shell = subprocess.Popen(["sh", "-c", "sleep 1000; true"], env=environ)
    try:
        yield shell.pid, until(lambda: children(shell.pid))[0]
    finally:
        for pid in children(shell.pid):
            os.kill(pid, 9)
        shell.wait(10)


def write(folder: Path, pid: int, **state: Any) -> None:
    """Write a state file."""
    folder.joinpath("sessions").mkdir(exist_ok=True)
    folder.joinpath("sessions", f"{pid}.json").write_bytes(msgspec.json.encode({"pid": pid} | state))


def test_the_file_of_a_process_below_the_pane(agent: tuple[int, int], tmp_path: Path) -> None:
    """The file is found by the agent's own process and folder, and counts with that process' start."""
    pane, pid = agent
    assert claude_state(pane) is None
    process = read_process(pid)
    assert process
    write(tmp_path, pid, status="waiting", waitingFor="permission prompt", procStart=str(process.started), more=1)
    found = claude_state(pane)
    assert found
    assert (found.status, found.waitingFor) == ("waiting", "permission prompt")


def test_what_does_not_count(agent: tuple[int, int], tmp_path: Path) -> None:
    """A file of a process that had this number before, or one that is half written, says nothing."""
    pane, pid = agent
    write(tmp_path, pid, status="idle", procStart="1")
    assert claude_state(pane) is None
    tmp_path.joinpath("sessions", f"{pid}.json").write_text('{"pid": 12, "stat')
    assert claude_state(pane) is None
