"""For all tests of the terminal client."""

from __future__ import annotations

import pytest

from teleclaude.core.records import Computer
from tests.tui.driving import SCREENS, Driver, alpha, work


@pytest.fixture(params=SCREENS, ids=["120x35", "80x24"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """Make a connected client with one session selected."""
    found = Driver(request.param)
    found.connect(Computer(name="raspi"))
    found.load("here", [alpha(), work("a", "Fix the reader")])
    found.press("g", "j", "j")
    assert found.selected() == "a"
    return found
