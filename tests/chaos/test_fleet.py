"""Random work and random faults on three real computers; and real daemons with bugs in them are found out.

Each of these runs starts three daemons and breaks them: here are as few and as short ones as show that runs do what
they should. Long ones, with other seeds, are `bin/bench --soak`.
"""

from __future__ import annotations

import pytest

from tests.chaos.faults import stop_a_computer_for_long
from tests.chaos.run import run


@pytest.mark.timeout(240)
def test_no_promise_is_broken_under_faults() -> None:
    """Promises 1 to 8 hold while processes, Redis and links fail, and at the end everybody agrees."""
    report = run(1, 40)
    assert report.found == [], report.text()


@pytest.mark.timeout(240)
def test_daemons_with_seeded_bugs_are_found_out() -> None:
    """A replica that drops a change, and one that applies one twice, are told apart from a good one, and named."""
    report = run(3, 40, bugs={"alpha": "drop", "beta": "double"}, links=False, passing=False)
    ones = [text for text in report.found if text.startswith("1:")]
    assert any("is not what its owner had" in text for text in ones), report.text()
    assert any("again or late" in text for text in ones), report.text()


@pytest.mark.timeout(240)
def test_a_computer_that_went_silent_is_not_shown_as_live() -> None:
    """Promise 4 holds for a computer that sleeps past its lease, and is found broken where leases never end."""
    report = run(
        7, 0, bugs={"alpha": "immortal"}, links=False, lease=3.0, long=[stop_a_computer_for_long], passing=False
    )
    broken = {text[: len("4: alpha showed")] for text in report.found if text[0].isdigit()}
    assert broken == {"4: alpha showed"}, report.text()
