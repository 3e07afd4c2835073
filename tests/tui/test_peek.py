"""The look at one session's screen: live, with its colours, for reading only."""

from __future__ import annotations

from typing import Any

import pyte
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.client.events import Connected, Cursor, Disconnected, LiveOutput, ServerError
from teleclaude.core.records import Computer
from teleclaude.tui.cells import line_width
from teleclaude.tui.peek_lines import lines_of
from teleclaude.tui.screen import Screen
from teleclaude.tui.state import ClientState, EndSession, PrepareAttach, Quit, SendMessage, WatchScreen
from teleclaude.tui.style import palette
from tests.tui.driving import Driver, work


def output(*rows: str, session_id: str = "a", **more: Any) -> LiveOutput:
    """A screen, as the daemon pushes it."""
    fields: dict[str, Any] = {"columns": 80, "rows": len(rows)} | more
    return LiveOutput(computer="here", session_id=session_id, text="\n".join(rows), **fields)


def of(kind: type[Any], effects: list[Any]) -> list[Any]:
    """Effects of a kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def test_v_shows_the_screen_and_esc_ends_it(driver: Driver) -> None:
    """It is watched while it is shown, and not a moment longer; the tree is as it was."""
    before = driver.lines()
    assert of(WatchScreen, driver.press("v")) == [WatchScreen(("here", "a"))]
    assert "Waiting for its screen" in driver.text()
    driver.push(output("$ make", "ok", "> "))
    assert driver.lines()[1:4] == ["$ make", "ok", ">"]
    assert driver.lines()[0].startswith(" Fix the reader")
    assert driver.lines()[0].endswith("here 80x3")
    assert "Esc close" in driver.lines()[-1]
    assert not of(WatchScreen, driver.push(output("$ make", "again")))
    assert driver.lines()[2] == "again"
    assert of(WatchScreen, driver.press("esc")) == [WatchScreen(None)]
    assert driver.lines() == before
    driver.push(output("too late"))
    assert driver.lines() == before


def test_it_is_for_reading_only(driver: Driver) -> None:
    """No key and no paste reaches the session, ends it, or leaves the client."""
    driver.press("v")
    driver.push(output("Do you want to proceed? (y/n)"))
    driver.effects.clear()
    driver.press("y", "x", "m", "n", "r", " ", "1", "tab", "?")
    driver.paste("y")
    assert driver.effects == []
    assert "proceed" in driver.text()
    driver.press("q")
    assert not of(Quit, driver.effects) + of(EndSession, driver.effects) + of(SendMessage, driver.effects)
    assert "proceed" not in driver.text()


def test_enter_attaches_to_what_is_shown(driver: Driver) -> None:
    """And to nothing else: when that session is gone it is said so."""
    driver.press("v")
    [call] = of(PrepareAttach, driver.press("enter"))
    assert call.session.session_id == "a"
    driver.press("esc", "v")
    driver.put(work("b", "Another"))
    driver.remove("a")
    assert not of(PrepareAttach, driver.press("enter"))
    assert "not there any more" in driver.text()


def test_colours_are_shown(driver: Driver) -> None:
    """As the session has them, each row by itself; without colours the looks that are left."""
    driver.press("v")
    driver.push(output("\x1b[0;1;31mred\x1b[0m plain", "\x1b[0;48;5;20mblue ground"))
    terminal = pyte.Screen(driver.state.rows[1], driver.state.rows[0])
    data = Screen(palette({"TERM": "xterm-256color"})).frame(driver.frame().lines)
    pyte.ByteStream(terminal).feed(data)
    cell, after, ground = terminal.buffer[1][0], terminal.buffer[1][4], terminal.buffer[2][0]
    assert (cell.data, cell.fg, cell.bold) == ("r", "red", True)
    assert (after.data, after.fg, after.bold) == ("p", "default", False)
    assert ground.bg == "0000d7"
    bare = Screen(palette({"TERM": "xterm", "NO_COLOR": "1"})).frame(driver.frame().lines)
    assert b"\x1b[0;1mred" in bare
    assert b"31m" not in bare
    assert b"48;" not in bare


def test_a_larger_screen_is_shown_around_its_end(driver: Driver) -> None:
    """The part with the cursor comes first; arrows move over the rest."""
    driver.press("v")
    rows = [f"{number:03} " + "x" * 200 + f" {number:03}" for number in range(100)]
    driver.push(output(*rows, cursor=Cursor(99, 0), columns=208))
    assert driver.lines()[-2].startswith("099")
    driver.press("up")
    assert driver.lines()[-2].startswith("098")
    driver.press(*["pgup"] * 20)
    assert driver.lines()[1].startswith("000")
    driver.press(*["pgdn"] * 20, *["right"] * 26)
    assert driver.lines()[-2].endswith("x 099")
    driver.press(*["left"] * 26)
    assert driver.lines()[-2].startswith("099")
    driver.push(output(*rows, cursor=Cursor(3, 0)))
    assert driver.lines()[1].startswith("003")
    driver.push(output("top", *[""] * 60, cursor=Cursor(0, 3)))
    assert driver.lines()[1] == "top"


def test_what_is_wrong_is_said(driver: Driver) -> None:
    """A lost daemon, a session that ended, a computer that went: in the head, with the last screen below it."""
    driver.press("v")
    driver.push(output("last words"))
    driver.push(ServerError(code="not_found", message="the session has ended", field="watch", session_id="a"))
    assert "the session has ended" in driver.lines()[0]
    assert "last words" in driver.text()
    driver.push(ServerError(code="not_found", message="not this one", field="watch", session_id="b"))
    assert "not this one" not in driver.text()
    driver.push(output("it is back"))
    assert "ended" not in driver.lines()[0]
    driver.push(Disconnected(reason="gone", retry_at=1e9))
    assert "daemon not reachable" in driver.lines()[0]
    driver.push(Connected(epoch="e1", version=1, computer="here"))
    assert "daemon not reachable" not in driver.lines()[0]


def test_an_offline_computer_s_screens_cannot_be_seen(driver: Driver) -> None:
    """It is said, and nothing is watched."""
    driver.put(Computer(name="raspi", status="offline"))
    driver.load("raspi", [work("r", "Far away", computer="raspi")])
    driver.press("G")
    driver.press("l", "j", "l", "j")
    state: ClientState = driver.state
    assert state.machine
    assert state.machine.name == "raspi"
    assert not of(WatchScreen, driver.press("v"))


NASTY = st.text(st.sampled_from("ab漢e\u0301\x1b[]m;0123\x07\x9b\u202e\ue0b0 \t"), max_size=60)


@given(st.lists(NASTY, max_size=8), st.integers(1, 12), st.integers(24, 60), st.integers(0, 30), st.integers(0, 9))
def test_whatever_is_on_it_fills_the_screen(rows: list[str], high: int, cells: int, left: int, up: int) -> None:
    """Each line is as wide as the terminal, and nothing that a terminal acts on is left but colours."""
    shown = output(*rows, cursor=Cursor(0, 0))
    lines = lines_of("t", "here", shown, "", (high, cells), left=left, up=up)
    assert len(lines) == high
    assert {line_width(line) for line in lines} == {cells}
    assert not any(set(text) & set("\x1b\x07\x9b\u202e\n\t") for line in lines for text, _ in line)


def test_help_and_the_way_out_stay_in_the_line_of_keys(driver: Driver) -> None:
    """However many keys a session has: what is cut off is what the help names."""
    assert all(words in driver.lines()[-1] for words in ("v watch", "? help", "q quit"))
