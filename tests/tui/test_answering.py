"""Answering what an agent asks: keys on its row, dialogs, and what is told of how it ended."""

from __future__ import annotations

from typing import Any

import pytest

from teleclaude.core.records import Ask, Computer
from teleclaude.tui.state import AnswerAsk, Done, Effect, GiveAnswer
from tests.tui.driving import Driver, work

APPROVAL = Ask(kind="approval", tool="Bash", text="rm -r build", id="p1")
QUESTION = Ask(kind="question", tool="AskUserQuestion", text="Which colour?", choices=("Red", "Blue"), id="p2")


def driver(asks: Ask | None, computer: str = "here", **more: Any) -> Driver:
    """A client whose only session asks, and is selected."""
    found = Driver()
    found.connect(*([] if computer == "here" else [Computer(name=computer)]))
    status = "waiting" if asks else "idle"
    found.load(computer, [work("a", "Clean up", computer=computer, status=status, asks=asks, **more)])
    found.press("G")
    if computer != "here":
        found.press("l")
    found.press("G")
    assert found.selected() == "a"
    found.effects.clear()
    return found


def given(effects: list[Effect]) -> list[GiveAnswer]:
    """The answers that were asked to be given."""
    return [effect for effect in effects if isinstance(effect, GiveAnswer)]


@pytest.mark.parametrize(("key", "decision"), [("a", "allow"), ("A", "suggested")])
def test_a_key_allows_what_is_asked(key: str, decision: Any) -> None:
    """With the id of the question that is on the screen; how it ended is said."""
    client = driver(APPROVAL)
    (call,) = given(client.press(key))
    assert (call.session_id, call.computer, call.ask, call.decision) == ("a", "here", "p1", decision)
    assert "Allowing Bash: rm -r build" in client.text()
    client.tell(Done(call, "taken"))
    assert "Allowed" in client.text()
    client.tell(Done(call, "sent"))
    assert "not known yet" in client.text()


def test_it_is_denied_with_a_reason_that_is_typed() -> None:
    """The dialog shows what is asked, and where."""
    client = driver(APPROVAL, where="/home/me/code/beta")
    client.press("d")
    assert "Bash: rm -r build" in client.text()
    assert "/home/me/code/beta" in client.text()
    client.type("not now")
    (call,) = given(client.press("ctrl+s"))
    assert (call.ask, call.decision, call.reason, call.answers) == ("p1", "deny", "not now", ())
    assert given(client.press("ctrl+s")) == []
    client.tell(Done(call, "taken"))
    assert client.state.dialog is None
    assert "Denied" in client.text()


def test_a_question_is_answered_by_a_choice() -> None:
    """Or, where it offers none, by a text."""
    client = driver(QUESTION)
    client.press("a")
    assert "Which colour?" in client.text()
    (call,) = given(client.press("right", "ctrl+s"))
    assert (call.decision, call.answers) == ("allow", ("Blue",))
    client = driver(Ask(kind="question", text="What name?", id="p3"))
    client.press("a")
    assert given(client.press("ctrl+s")) == []
    client.type("Ada")
    (call,) = given(client.press("ctrl+s"))
    assert call.answers == ("Ada",)


def test_what_is_refused_is_said_where_it_can_be_mended() -> None:
    """A wrong answer in the dialog; one that comes too late closes it."""
    client = driver(QUESTION)
    client.press("a")
    (call,) = given(client.press("ctrl+s"))
    client.tell(Done(call, code="invalid", reason="answers: it asks 2 questions, and each needs an answer"))
    assert isinstance(client.state.dialog, AnswerAsk)
    assert "2 questions" in client.text()
    (call,) = given(client.press("ctrl+s"))
    client.tell(Done(call, code="conflict", reason="it is too late: answered at its own terminal"))
    assert "own terminal" in client.text()
    assert "Which colour?" not in client.text()


@pytest.mark.parametrize("key", ["a", "A", "d"])
@pytest.mark.parametrize(
    ("asks", "words"),
    [
        (None, "asks nothing"),
        (Ask(kind="approval", tool="Bash", text="x"), "Enter attaches"),
        (Ask(kind="approval", tool="Bash", text="x", answered="expired"), "(expired)"),
    ],
)
def test_what_is_asked_at_its_own_terminal_only_is_not_answered(asks: Ask | None, words: str, key: str) -> None:
    """The key says why, and does nothing."""
    client = driver(asks)
    assert given(client.press(key)) == []
    assert client.state.dialog is None
    assert words in client.text()


def test_what_is_not_shown_whole_is_not_allowed_by_a_key() -> None:
    """The end of it was not seen."""
    client = driver(Ask(kind="approval", tool="Bash", text="x … [70 more characters]", id="p1"))
    assert given(client.press("a")) == []
    assert "Enter attaches" in client.text()


def test_a_question_that_is_another_by_now_is_not_answered_by_what_was_typed() -> None:
    """The dialog keeps the id with which it was opened."""
    client = driver(APPROVAL)
    client.press("d")
    client.put(work("a", "Clean up", status="waiting", asks=Ask(kind="approval", text="other", id="p9")))
    (call,) = given(client.press("ctrl+s"))
    assert call.ask == "p1"


def test_a_computer_that_is_away_is_not_answered() -> None:
    """It is said."""
    client = driver(APPROVAL, "raspi")
    client.put(Computer(name="raspi", status="offline"))
    assert given(client.press("a")) == []
    assert "offline" in client.text()
