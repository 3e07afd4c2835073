"""Dialogs: nothing is sent or ended by accident, and nothing that was typed is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from teleclaude.client.api import AgentInfo
from teleclaude.core.records import Computer, StartedSession
from teleclaude.tui.keys import Paste
from teleclaude.tui.state import (
    Done,
    Effect,
    EndSession,
    LoadAgents,
    LookAgain,
    Quit,
    Retry,
    SendMessage,
    StartDaemon,
    StartSession,
)
from tests.tui.driving import Driver, Project, alpha, work


def of(kind: type[Any], effects: list[Effect]) -> list[Any]:
    """Effects of a kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


# Ending


def test_ending_asks_and_enter_means_no(driver: Driver) -> None:
    """x asks; Enter, Esc, n, any other key and a paste of y end nothing."""
    for answer in ("enter", "esc", "n", "q", "k", "x", " "):
        assert not of(EndSession, driver.press("x"))
        assert "(y/N)" in driver.text()
        assert not of(EndSession, driver.press(answer))
        assert "(y/N)" not in driver.text()
    driver.press("x")
    driver.paste("y")
    assert not of(EndSession, driver.effects)
    assert not of(Quit, driver.effects)


def test_a_session_is_named_with_its_computer(driver: Driver) -> None:
    """What is sent to or ended on another computer never reaches a session here that has the same id."""
    driver.load("raspi", [alpha("raspi"), work("a", "A copy", computer="raspi")])
    driver.press("G", "l", "G", "l", "G")
    assert (driver.selected(), driver.state.session and driver.state.session.computer) == ("a", "raspi")
    driver.press("m")
    driver.type("hello")
    assert of(SendMessage, driver.press("ctrl+s")) == [SendMessage("a", "hello", "raspi")]
    driver.press("esc", "x")
    assert of(EndSession, driver.press("y")) == [EndSession("a", "A copy", "raspi")]


def test_only_y_ends_the_session_that_was_asked_about(driver: Driver) -> None:
    """What is ended is what the question named, though the selection moved by a push meanwhile."""
    driver.press("x")
    driver.put(work("0", "earlier"))
    assert of(EndSession, driver.press("y")) == [EndSession("a", "Fix the reader", "here")]


def test_k_is_up_and_never_kills(driver: Driver) -> None:
    """k moves, and asks nothing."""
    assert driver.press("k") == []
    assert driver.selected() == alpha().path
    assert driver.state.dialog is None


@pytest.mark.parametrize(
    ("agent", "panes", "says"),
    [
        ("shell", 1, "What runs in it ends"),
        ("shell", 3, "All 3 panes of it end"),
        ("claude", 3, "claude and its pane end; the other panes"),
    ],
)
def test_the_question_says_what_ends(driver: Driver, agent: str, panes: int, says: str) -> None:
    """A session without an agent ends as a whole, an agent's pane alone: the question tells which."""
    session = work("b", "Other", agent=agent)
    driver.load("here", [alpha(), replace(session, tmux=replace(session.tmux, panes=panes))])
    driver.press("g", "j", "j", "x")
    assert says in driver.text()


def test_without_a_session_there_is_nothing_to_end_or_send_to(driver: Driver) -> None:
    """On another row x and m say what to do."""
    driver.press("g")
    for key in ("x", "m"):
        driver.press(key)
        assert driver.state.dialog is None
        assert "Select the session" in driver.text()


def test_a_session_that_cannot_be_ended_is_told(driver: Driver) -> None:
    """A failure says what was not done, why, and what to do."""
    driver.press("x")
    (call,) = of(EndSession, driver.press("y"))
    driver.tell(Done(call, code="unknown", reason="raspi did not answer"))
    assert "was not ended: raspi did not answer. Look at the tree" in driver.text()


# Messages


def test_a_message_may_have_lines_and_is_sent_only_on_purpose(driver: Driver) -> None:
    """Enter is a new line; Ctrl-S sends; any script can be typed."""
    driver.press("m")
    driver.type("first\nзweite 漢🎉")
    assert not of(SendMessage, driver.effects)
    assert of(SendMessage, driver.press("ctrl+s")) == [SendMessage("a", "first\nзweite 漢🎉", "here")]


def test_a_message_can_be_sent_with_the_button(driver: Driver) -> None:
    """Tab goes to the button, and Enter presses it; it is sent once, however often it is pressed."""
    driver.press("m")
    driver.type("hello")
    assert of(SendMessage, driver.press("tab", "enter", "enter", "ctrl+s", " ")) == [SendMessage("a", "hello", "here")]


def test_a_paste_is_text_and_sends_nothing(driver: Driver) -> None:
    """Line ends and escapes in a paste neither send nor close, and no escape reaches the session."""
    driver.press("m")
    driver.paste("line\nline\x1b[201~\x13\r q")
    assert not of(SendMessage, driver.effects)
    assert driver.press("ctrl+s") == [SendMessage("a", "line\nline[201~ q", "here")]


def test_a_paste_that_was_cut_is_told(driver: Driver) -> None:
    """Of a paste that is too long the beginning is there, and the dialog says that it is not all."""
    driver.press("m")
    driver.tell(Paste("x" * 1500, is_cut=True))
    assert "Only the first 1,500 characters" in driver.text()
    driver.paste("y")
    assert "Only the first" not in driver.text()


def test_an_empty_message_is_not_sent(driver: Driver) -> None:
    """Blanks alone are no message."""
    driver.press("m")
    driver.type(" \n ")
    assert not of(SendMessage, driver.press("ctrl+s"))
    assert "nothing to send" in driver.text()


def test_what_was_typed_stays_when_the_session_waits_for_an_approval(driver: Driver) -> None:
    """The text that would have answered a prompt is refused with a warning, kept, and can be sent again."""
    driver.press("m")
    driver.type("go on")
    (call,) = of(SendMessage, driver.press("ctrl+s"))
    driver.tell(Done(call, code="waiting_for_approval", reason="approval"))
    assert "waits for an approval" in driver.text()
    assert "go on" in driver.text()
    assert of(SendMessage, driver.press("ctrl+s")) == [call]


def test_a_message_that_nothing_shows_to_be_taken_is_told_so(driver: Driver) -> None:
    """*Sent* is said of what was taken; of what an agent did not show to take it is not."""
    for delivery, told in (("submitted", "Sent."), ("not_proven", "not proven")):
        driver.press("m")
        driver.type("go on")
        (call,) = of(SendMessage, driver.press("ctrl+s"))
        driver.tell(Done(call, delivery))
        assert told in driver.text()


def test_a_refusal_after_the_dialog_was_closed_is_told_all_the_same(driver: Driver) -> None:
    """Esc closes the dialog at once; how the message ended is told above the keys, also over another dialog."""
    driver.press("m")
    driver.type("go on")
    (call,) = of(SendMessage, driver.press("ctrl+s"))
    driver.press("esc")
    driver.tell(Done(call, code="unavailable", reason="the daemon has gone"))
    assert "the daemon has gone" in driver.text()


# New sessions


def test_a_new_session_takes_the_project_of_the_selection(driver: Driver) -> None:
    """The project is that of the selected row; agent, title and message are asked for."""
    assert of(LoadAgents, driver.press("n"))
    driver.tell(Done(LoadAgents(), [AgentInfo(name="claude"), AgentInfo(name="mine")]))
    driver.press("right", "tab")
    driver.type("täst")
    driver.press("tab")
    driver.type("do it\nnow")
    assert not of(StartSession, driver.effects)
    assert of(StartSession, driver.press("ctrl+s")) == [
        StartSession("here", alpha().path, "mine", "täst", "do it\nnow")
    ]


def test_enter_in_a_field_goes_on_and_never_starts(driver: Driver) -> None:
    """From the agent to the title to the message, and there it is a new line."""
    driver.press("n", "enter")
    driver.type("title")
    driver.press("enter")
    driver.type("text")
    driver.press("enter", "enter", "enter")
    assert not of(StartSession, driver.effects)
    (start,) = of(StartSession, driver.press("tab", "enter"))
    assert (start.title, start.message) == ("title", "text\n\n\n")


def test_cancelling_starts_nothing(driver: Driver) -> None:
    """Esc and the Cancel button close the dialog."""
    driver.press("n", "esc")
    driver.press("n", "shift+tab", "shift+tab", "enter")
    assert driver.state.dialog is None
    assert not of(StartSession, driver.effects)


def test_the_new_session_is_selected_when_it_appears(driver: Driver) -> None:
    """Whether its row comes before or after the answer, in a closed project too, it ends up selected."""
    started = work("zz", "mine")
    for is_row_first in (True, False):
        driver.press("g", "j", "h", "g", "n")
        (call,) = of(StartSession, driver.press("ctrl+s"))
        if is_row_first:
            driver.put(started)
        driver.tell(Done(call, started))
        if not is_row_first:
            assert driver.selected() == "here"
            driver.put(started)
        assert driver.selected() == "zz"
        assert "mine" in driver.text()
        driver.remove("zz")


def test_a_first_message_that_was_not_sent_is_offered_again(driver: Driver) -> None:
    """The session is there, the reason is told, and the text can be sent to it as it was typed."""
    driver.press("n", "tab", "tab")
    driver.paste("precious\nlines")
    (call,) = of(StartSession, driver.press("ctrl+s"))
    fields = msgspec.structs.asdict(work("zz", "mine"))
    driver.tell(Done(call, StartedSession(**fields, message_sent=False, message_error="it asks something")))
    driver.put(work("zz", "mine"))
    assert "it asks something" in driver.text()
    assert of(SendMessage, driver.press("ctrl+s")) == [SendMessage("zz", "precious\nlines", "here")]


def test_a_refused_start_keeps_what_was_typed(driver: Driver) -> None:
    """The reason is shown in the dialog, and nothing has to be typed again."""
    driver.press("n", "tab")
    driver.type("precious")
    (call,) = of(StartSession, driver.press("ctrl+s"))
    driver.tell(Done(call, code="invalid", reason="agent: there is no claude here"))
    assert "there is no claude here" in driver.text()
    assert "precious" in driver.text()
    assert of(StartSession, driver.press("ctrl+s")) == [call]


def test_the_project_can_be_chosen(driver: Driver) -> None:
    """Every project of the computer is offered, and the home folder where there is none."""
    driver.load("here", [alpha(), Project(computer="here", path="/p/beta", name="beta")])
    driver.press("g", "n", "shift+tab", "right")
    (start,) = of(StartSession, driver.press("ctrl+s"))
    assert start.project == "/p/beta"
    driver.press("esc")
    driver.load("here", [])
    driver.press("g", "n")
    (start,) = of(StartSession, driver.press("ctrl+s"))
    assert start.project == "/home/me"


def test_nothing_is_started_on_a_computer_that_is_offline() -> None:
    """An offline computer is said to be so."""
    driver = Driver()
    driver.connect(Computer(name="raspi", status="offline"))
    driver.press("G", "n")
    assert driver.state.dialog is None
    assert "raspi is offline" in driver.text()


# The others


def test_help_names_every_command_and_closes(driver: Driver) -> None:
    """? shows the keys; Esc closes it, q too, and that does not quit."""
    driver.press("?")
    seen = driver.text()
    driver.press("pgdn", "pgdn", "pgdn")
    seen += driver.text()
    for words in ("attach", "new session", "message", "end the session", "look again", "preparation", "quit"):
        assert words in seen
    assert driver.press("q") == []
    assert driver.state.dialog is None


def test_quit_asks_nothing_and_ends_nothing(driver: Driver) -> None:
    """q and Ctrl-C leave; sessions go on."""
    assert driver.press("q") == [Quit()]
    assert driver.state.is_over


def test_refresh_asks_the_selected_computer(driver: Driver) -> None:
    """r looks again; what is there stays until the new data lands."""
    assert driver.press("r") == [LookAgain("here")]
    assert "Fix the reader" in driver.text()


def test_without_a_daemon_r_tries_again_and_starts_it() -> None:
    """The same key brings the connection back."""
    driver = Driver()
    assert {type(effect) for effect in driver.press("r")} == {Retry, StartDaemon}
