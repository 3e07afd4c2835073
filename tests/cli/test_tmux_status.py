"""`teleclaude status --tmux`: quick words for tmux' status line, and silence where there is no daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from teleclaude.core.paths import places
from teleclaude.tui.row_lines import COUNTED, MARKS
from tests.machine import ROOT, Machine
from tests.wait import until

SCRIPT = ROOT / "teleclaude" / "cli" / "tmux_status.sh"


def status(*words: str, command: tuple[str, ...] = ("sh", str(SCRIPT)), **environ: str) -> str:
    """What it prints; it must end with 0 and complain of nothing."""
    found = {"PATH": os.environ["PATH"], "HOME": "/nowhere", **environ}
    done = subprocess.run([*command, *words], env=found, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A runtime folder of a daemon that runs (this process stands for it)."""
    folder = tmp_path / "run" / "teleclaude"
    folder.mkdir(parents=True, mode=0o700)
    folder.joinpath("lock").write_text(f"{os.getpid()}\n")
    folder.joinpath("counts").write_text("error 1\nidle 7\nwaiting 2\nworking 30\n")
    return folder


def test_counts_are_shown_in_the_marks_of_the_client(runtime: Path) -> None:
    """Waiting, working and failed, in that order, each behind the mark that the terminal client has for it."""
    marks = [MARKS[name] for name in COUNTED]
    assert status(TELECLAUDE_RUNTIME_DIR=str(runtime)) == "{}2 {}30 {}1\n".format(*marks)
    styled = status("--colours", TELECLAUDE_RUNTIME_DIR=str(runtime))
    assert styled.split("#[default]")[1] == " #[fg=colour71]●30"


def test_nothing_to_tell_prints_nothing(runtime: Path) -> None:
    """No sessions that count, no counts yet, or counts that are none: an empty line would take room."""
    for text in ("idle 3\n", "", "waiting 0\n", "waiting #(touch x)\nworking -1\nerror\n"):
        runtime.joinpath("counts").write_text(text)
        assert status(TELECLAUDE_RUNTIME_DIR=str(runtime)) == ""
    runtime.joinpath("counts").unlink()
    assert status(TELECLAUDE_RUNTIME_DIR=str(runtime)) == ""


def test_without_a_daemon_it_prints_nothing(runtime: Path) -> None:
    """No folder, no lock, or the lock of a daemon that was killed; what it counted last is not shown."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    runtime.joinpath("lock").write_text(f"{dead.pid}\n")
    assert status(TELECLAUDE_RUNTIME_DIR=str(runtime)) == ""
    runtime.joinpath("lock").unlink()
    assert status(TELECLAUDE_RUNTIME_DIR=str(runtime)) == ""
    assert status(TELECLAUDE_RUNTIME_DIR=str(runtime / "none")) == ""


def test_it_finds_the_folder_that_the_daemon_has(runtime: Path) -> None:
    """By the same variables as everything else; with neither, by the user's number."""
    base = runtime.parent
    assert status(XDG_RUNTIME_DIR=str(base)).startswith("◆2")
    assert status(TELECLAUDE_RUNTIME_DIR="~/teleclaude", HOME=str(base)).startswith("◆2")
    for more in ({}, {"XDG_RUNTIME_DIR": "relative"}):
        environ = {"PATH": os.environ["PATH"], **more}
        traced = subprocess.run(["sh", "-x", str(SCRIPT)], env=environ, capture_output=True, check=True)
        assert f"runtime={places(environ).runtime}\n".encode() in traced.stderr


@pytest.mark.parametrize(
    "command", [(str(ROOT / "bin" / "teleclaude"),), (sys.executable, "-m", "teleclaude.cli.main")]
)
def test_a_real_daemon_counts(command: tuple[str, ...]) -> None:
    """A session that works is in the status line a moment later, by either command; the daemon gone, it is empty."""
    machine = Machine("here")
    try:
        machine.tmux("new-session", "-d", "-s", "busy", "sleep 1000")
        machine.start()
        expected = "●1\n" if machine.sessions()[0].status == "working" else ""
        until(lambda: status("status", "--tmux", command=command, **machine.environ) == expected)
        machine.stop()
        assert status("status", "--tmux", command=command, **machine.environ) == ""
    finally:
        machine.close()
