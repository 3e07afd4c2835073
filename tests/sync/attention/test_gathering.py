"""Many at once are one; a storm is a few."""

from __future__ import annotations

from itertools import pairwise

from teleclaude.core.session_notice import SessionNotice
from teleclaude.sync.attention.gathering import GATHER, LONG_PAUSE, PAUSE, Gathering


def notice(key: str) -> SessionNotice:
    """A session that waits."""
    return SessionNotice(computer="here", session_id=key, state="waiting")


def test_what_comes_together_is_taken_together() -> None:
    """Twenty in the same moment; of one session only the newest."""
    gathering = Gathering()
    assert gathering.due is None
    for number in range(20):
        gathering.add(notice(f"s{number}"), 100.0 + number / 1000)
    gathering.add(SessionNotice(computer="here", session_id="s3", state="error"), 100.1)
    assert gathering.take(100.2) == []
    found = gathering.take(100.0 + GATHER)
    assert [one.session_id for one in found] == [f"s{number}" for number in range(20)]
    assert found[3].state == "error"
    assert gathering.take(200.0) == []


def test_between_two_is_a_pause_that_grows_in_a_storm() -> None:
    """One a second for ten minutes: told often at first, then twice a minute."""
    gathering, told, now = Gathering(), list[float](), 0.0
    while now < 600.0:
        gathering.add(notice(f"s{now}"), now)
        now += 0.5
        if gathering.take(now):
            told.append(now)
    gaps = [later - earlier for earlier, later in pairwise(told)]
    assert min(gaps) >= PAUSE
    assert len(told) < 40
    assert max(gaps) >= LONG_PAUSE
    gathering.take(now + 60)
    gathering.add(notice("calm"), now + 300.0)
    assert gathering.due == now + 300.0 + GATHER
