"""What is built and installed works: a wheel in an environment of its own, far from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from teleclaude import __version__
from tests.machine import Machine
from tests.terminal import Terminal
from tests.wait import until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it from a copy of what stands in the tree, with the tools that are there: nothing is downloaded."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("setup.py", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "teleclaude", tree / "teleclaude", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests" / "bin", tree / "tests" / "bin", ignore=shutil.ignore_patterns("__pycache__"))
    made = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(made), str(tree))
    (found,) = made.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it into a fresh environment, which borrows the packages that it needs; the folder of its programs."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = place / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-index", "--no-compile", str(wheel))
    (packages,) = place.glob("lib/python*/site-packages")
    # A path in a .pth file is not searched for others, so the checkout behind these packages is not found.
    packages.joinpath("borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"


def pip(*arguments: str) -> None:
    """Run this environment's pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_all_of_the_package_and_nothing_else(wheel: Path) -> None:
    """Every module, what agents are given to run, the mark that it is typed, and the licence; no tests."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = [name for name in archive.namelist() if ".dist-info/" in name]
    tree = {path.relative_to(ROOT).as_posix() for path in (ROOT / "teleclaude").rglob("*.py")}
    hooks = {"teleclaude/hooks/teleclaude-hook", "teleclaude/hooks/opencode_plugin.js"}
    assert names == tree | hooks | {"teleclaude/py.typed", "teleclaude/cli/tmux_status.sh"}
    assert any(name.endswith("LICENSE") for name in metadata)


def test_what_is_installed_runs(programs: Path, tmp_path: Path) -> None:
    """Help, a daemon on folders of its own, a session in the list and on the screen, and the daemon's end."""
    machine = Machine("wheel", environ={"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"})

    def run(program: str, *arguments: str) -> str:
        command = [str(programs / program), *arguments]
        done = subprocess.run(
            command, env=machine.environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        assert "Usage: teleclaude" in run("teleclaude", "--help")
        assert run("teleclaude", "--version") == f"teleclaude {__version__}\n"
        where = run("python", "-P", "-c", "import teleclaude; print(teleclaude.__file__)")
        assert Path(where).is_relative_to(programs.parent)
        machine.tmux("new-session", "-d", "-s", "from-a-wheel", "cat")
        run("teleclaude", "hooks", "install", "claude")
        assert os.access(machine.place.hooks / "teleclaude-hook", os.X_OK)
        run("teleclaude", "daemon", "start")
        until(lambda: "from-a-wheel" in run("teleclaude", "sessions", "--json"))
        terminal = Terminal([str(programs / "teleclaude-tui")], machine.environ)
        try:
            terminal.wait_for("from-a-wheel")
            terminal.send("q")
            assert terminal.process.wait(10) == 0
        finally:
            terminal.close()
        assert run("teleclaude", "daemon", "stop")
        assert machine.tmux("list-sessions", "-F", "#{session_name}") == "from-a-wheel"
    finally:
        subprocess.run(
            [str(programs / "teleclaude"), "daemon", "stop"], env=machine.environ, capture_output=True, check=False
        )
        machine.close()
