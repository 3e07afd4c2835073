"""The bounded log: what it tells, and when it says that it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.replication.change import Change, merge
from teleclaude.replication.change_log import Log
from teleclaude.replication.version import Version


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=20), st.integers(0, 70), st.integers(1, 5))
def test_it_tells_exactly_what_came_after(steps: list[tuple[int, bool]], since: int, size: int) -> None:
    """All that came after a number, in order, or None where some of that was trimmed or is not there yet."""
    log: Log[int] = Log(size, "e")
    numbers, number = [], 0
    for step, is_told in steps:
        number += step
        if is_told:
            log.append(number, number)
            numbers.append(number)
        else:
            log.advance(number)
    after = [each for each in numbers if each > since]
    is_known = since <= number and all(each in numbers[-size:] for each in after)
    assert log.since(Version("e", since)) == (after if is_known else None)
    assert log.since(Version("e", since), 2) == (after[:2] if is_known else None)
    assert log.since(Version("f", since)) is None


def test_a_snapshot_begins_it_anew() -> None:
    """What was before a snapshot cannot be told, and what is appended after it can."""
    log: Log[str] = Log(9, "e")
    log.append(1, "before")
    log.restart(Version("f", 7))
    assert log.since(Version("f", 6)) is None
    log.append(8, "after")
    assert log.since(Version("f", 7)) == ["after"]


def test_numbers_only_grow() -> None:
    """A number again is an error of the source."""
    log: Log[str] = Log(9, "e")
    log.append(3, "x")
    with pytest.raises(ValueError, match="3 does not follow 3"):
        log.append(3, "x")


def test_changes_that_leave_a_hole_are_not_made_one() -> None:
    """Merging says that a change is missing instead of hiding it."""
    one, three = (Change(Version("e", number), number - 1, {"a": number}) for number in (1, 3))
    with pytest.raises(ValueError, match="does not follow"):
        merge([one, three])
    assert merge(()) is None
