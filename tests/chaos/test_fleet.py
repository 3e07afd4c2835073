"""Random work and random faults on three real computers; and a real daemon with a bug in it is found out."""

from __future__ import annotations

import pytest

from tests.chaos.run import run


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_promise_is_broken_under_faults(seed: int) -> None:
    """Promises 1 to 8 hold while processes and Redis fail, and at the end everybody agrees."""
    found, _ = run(seed, 40)
    assert found == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("bug", ["drop", "double"])
def test_a_daemon_with_a_seeded_bug_is_found_out(bug: str) -> None:
    """The same run with a bug in the replica does not pass."""
    found, _ = run(3, 40, bug=bug)
    assert any(text.startswith(("1:", "2:", "3:")) for text in found)
