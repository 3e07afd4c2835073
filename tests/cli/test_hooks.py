"""`teleclaude hooks`, as its user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(home: Path, *words: str) -> tuple[int, str, str]:
    """Run it in a home of its own: (exit status, output, errors)."""
    environ = {"HOME": str(home), "PATH": "/usr/bin:/bin", "TELECLAUDE_STATE_DIR": str(home / "state")}
    environ |= {"TELECLAUDE_RUNTIME_DIR": str(home / "r"), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "teleclaude.cli.main", "hooks", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_hooks_are_installed_told_and_taken_out(tmp_path: Path) -> None:
    """Of the agents that are found; exit statuses say how it stands."""
    tmp_path.joinpath(".claude").mkdir()
    tmp_path.joinpath(".gemini").mkdir()
    assert run(tmp_path, "status")[0] == 1
    status, said, _ = run(tmp_path, "install")
    assert (status, "Claude Code" in said, "Gemini CLI" in said, "Codex" in said) == (0, True, True, False)
    status, said, _ = run(tmp_path, "status")
    assert (status, said.count("not installed")) == (0, 2)
    assert run(tmp_path, "status", "codex")[0] == 1
    assert run(tmp_path, "uninstall")[0] == 0
    assert list(tmp_path.joinpath(".claude").iterdir()) == []


def test_what_one_agent_refuses_keeps_no_other_from_it(tmp_path: Path) -> None:
    """It is said on standard error, and in the exit status."""
    for name in (".claude", ".gemini"):
        tmp_path.joinpath(name).mkdir()
    tmp_path.joinpath(".claude/settings.json").write_text("{")
    status, said, errors = run(tmp_path, "install")
    assert (status, "Gemini CLI: the hooks are in" in said) == (1, True)
    assert "settings.json is left as it is" in errors
    assert "Traceback" not in errors


def test_without_an_agent_there_is_nothing_to_install(tmp_path: Path) -> None:
    """Unless one is named."""
    status, _, errors = run(tmp_path, "install")
    assert (status, "none of" in errors) == (1, True)
    assert run(tmp_path, "install", "claude")[0] == 0
