"""Random work and random faults on three real computers; and a real daemon with a bug in it is found out."""

from __future__ import annotations

import pytest

from tests.chaos.faults import stop_a_computer_for_long
from tests.chaos.run import run


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("seed", "links"), [(1, True), (2, False)])
def test_no_promise_is_broken_under_faults(seed: int, links: bool) -> None:
    """Promises 1 to 8 hold while processes, Redis and links fail, and at the end everybody agrees."""
    report = run(seed, 40, links=links)
    assert report.found == [], report.text()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("bug", ["drop", "double"])
def test_a_daemon_with_a_seeded_bug_is_found_out(bug: str) -> None:
    """The same run with a bug in the replica does not pass."""
    report = run(3, 40, bug=bug, links=False)
    assert any(text.startswith(("1:", "2:", "3:")) for text in report.found), report.text()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("bug", "broken"), [("", set()), ("immortal", {"4"})])
def test_a_computer_that_went_silent_is_not_shown_as_live(bug: str, broken: set[str]) -> None:
    """Promise 4 holds for a computer that sleeps past its lease, and is found broken where leases never end."""
    report = run(4, 0, bug=bug, links=False, lease=3.0, long=[stop_a_computer_for_long], passing=False)
    assert {text.partition(":")[0] for text in report.found if text[0].isdigit()} == broken, report.text()
