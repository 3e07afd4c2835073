"""`bin/test` in a small checkout: what fails is told, what passes only alone is told too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP = 'root=$(CDPATH="" cd -P -- "${self%/*}/.." && pwd -P); venv=$root/.venv; setup() { :; }\n'
TESTS = {
    "test_good.py": "def test_good(): pass\n",
    "test_crowd.py": 'import os\ndef test_crowd(): assert "PYTEST_XDIST_WORKER" not in os.environ\n',
    "test_bad.py": "def test_bad(): assert False\n",
    "test_broken.py": "import nothing_of_this_name\n",
}
# Nothing of a pytest around this one: its workers look as if they were ours.
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
FAST = {**OUTSIDE, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
ALONE = "these failed side by side and passed alone; each is to be mended:\n  tests/test_crowd.py::test_crowd\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout with the script, linters that are content, and no tests yet."""
    for folder in ("bin", "tests", ".venv/bin"):
        tmp_path.joinpath(folder).mkdir(parents=True)
    shutil.copy(ROOT / "bin/test", tmp_path / "bin/test")
    tmp_path.joinpath("bin/_setup").write_text(SETUP)
    tmp_path.joinpath("setup.cfg").write_text("[tool:pytest]\n")
    tools = tmp_path / ".venv/bin"
    for linter in ("ruff", "mypy", "pyright", "lint-imports"):
        tools.joinpath(linter).symlink_to("/bin/true")
    tools.joinpath("python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    tools.joinpath("python").chmod(0o755)
    return tmp_path


def run(checkout: Path, *tests: str) -> tuple[int, str]:
    """Run the script with these tests: its exit status, and what it said."""
    for name in tests:
        checkout.joinpath("tests", name).write_text(TESTS[name])
    done = subprocess.run([checkout / "bin/test"], capture_output=True, text=True, env=FAST, timeout=100, check=False)
    return done.returncode, done.stdout


def test_what_passes_only_alone_is_listed_at_the_end_and_fails_nothing(checkout: Path) -> None:
    """Good tests pass in silence; one that fails beside others is named, so that it is mended."""
    status, said = run(checkout, "test_good.py", "test_crowd.py")
    assert (status, said.endswith(f"{ALONE}bin/test: all is well\n")) == (0, True), said


def test_what_fails_twice_fails(checkout: Path) -> None:
    """A test that fails alone as well is a failure, and not in the list of those that pass alone."""
    status, said = run(checkout, "test_good.py", "test_crowd.py", "test_bad.py")
    assert (status, said.endswith(f"{ALONE}bin/test: failed: tests\n")) == (1, True), said


def test_tests_that_cannot_be_read_fail_and_so_do_linters_that_are_not_content(checkout: Path) -> None:
    """A file that cannot be imported is a failure, though no test of it has run; a linter's is told beside it."""
    for linter in ("mypy", "pyright"):
        checkout.joinpath(".venv/bin", linter).unlink()
        checkout.joinpath(".venv/bin", linter).symlink_to("/bin/false")
    status, said = run(checkout, "test_good.py", "test_broken.py")
    assert (status, said.endswith("bin/test: failed: mypy tests pyright\n")) == (1, True), said
