"""Lost sessions are offered once, and brought back or forgotten from their rows."""

from __future__ import annotations

from teleclaude.tui.state import Done, EndSession, PrepareAttach, RestoreSession
from tests.tui.driving import Driver, alpha, work


def lost_driver() -> Driver:
    """A client that sees two lost sessions and one that is there; the first is selected."""
    found = Driver()
    found.connect()
    rows = [work("a", "One", status="lost"), work("b", "Two", status="lost"), work("c", "Here")]
    found.load("here", [alpha(), *rows])
    found.press("g", "j", "j")
    assert found.selected() == "a"
    return found


def test_what_was_lost_is_offered_once() -> None:
    """It is told in words when it is first seen, and not again for the same ones."""
    driver = lost_driver()
    assert "2 sessions were lost" in driver.text()
    driver.press("r")
    driver.put(work("c", "Here", status="idle"))
    assert "sessions were lost" not in driver.text()


def test_enter_brings_one_back_and_attaches_to_none() -> None:
    """On a lost row Enter restores, and what became of it is told."""
    driver = lost_driver()
    effects = driver.press("enter")
    call = RestoreSession("a", "One", "here")
    assert call in effects
    assert not any(isinstance(effect, PrepareAttach) for effect in effects)
    driver.tell(Done(call))
    assert "One is back." in driver.text()
    driver.tell(Done(call, code="conflict", reason="claude ended as soon as it was started"))
    assert "One did not come back: claude ended as soon as it was started." in driver.text()


def test_all_are_brought_back_by_one_key() -> None:
    """R restores each that was lost, and no other."""
    calls = [effect for effect in lost_driver().press("R") if isinstance(effect, RestoreSession)]
    assert [call.session_id for call in calls] == ["a", "b"]


def test_a_lost_one_is_forgotten_only_when_it_is_confirmed() -> None:
    """x says that it is forgotten, and y does it."""
    driver = lost_driver()
    driver.press("x")
    assert "it is forgotten" in driver.text()
    assert EndSession("a", "One", "here") in driver.press("y")
