"""The real agents' programs, and what was measured."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agents.lab import MEASURED, SLACK

FOLDER = "TELECLAUDE_TEST_AGENTS"  # names the folder into which `bin/test --agents` installed them


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the agents were installed."""

    folder: Path


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The folder of the real agents; only `bin/test --agents` makes it, and cuts the network off."""
    named = os.environ.get(FOLDER, "")
    if not named or not shutil.which("node"):
        pytest.skip("real agents run by `bin/test --agents` only")
    return Programs(Path(named))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real agents take their time to come up."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(300))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how much later than its sign each state was shown."""
    if not MEASURED:
        return
    terminalreporter.section(f"how late each state was shown (ms; may be {SLACK:g} times what is promised)")
    for one in MEASURED:
        mark = " " if one.late <= one.promised else "!"
        terminalreporter.write_line(
            f"{one.late * 1000:7.0f} of {one.promised * 1000:5.0f} {mark} {one.agent}: {one.step}"
        )
