"""Claude Code itself takes an answer from afar, by our hook as `hooks install` puts it there, its own dialog open."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.agents.answers import QUESTION
from tests.agents.claude import CLAUDE, PERMISSION
from tests.agents.conftest import Programs
from tests.agents.lab import SIGN_WITHIN, Lab
from tests.terminal import Terminal
from tests.wait import until


@pytest.fixture(scope="module")
def computer(programs: Programs) -> Iterator[Lab]:
    """The computer on which it runs, with a client that looks at it."""
    lab = Lab(CLAUDE, programs.folder, "[agents.claude]\nwait_for_answer = 120\n", hooks=True)
    client = Terminal([sys.executable, "-m", "teleclaude.tui"], lab.machine.environ)
    client.wait_for("lab", 60)
    yield lab
    client.close()
    lab.close()


@pytest.fixture
def claude(computer: Lab) -> Iterator[Lab]:
    """Claude Code at its prompt."""
    with computer.step("start") as step:
        computer.start()
        step.file("idle").shows("idle", asks="")
    yield computer
    computer.end()


def asked(lab: Lab) -> dict[str, Any]:
    """What it asks, once that can be answered from afar."""

    def found() -> dict[str, Any]:
        asks: dict[str, Any] = lab.row.get("asks") or {}
        return asks if asks.get("id") else {}

    return until(found, SIGN_WITHIN)


def give(lab: Lab, ask: str, **more: Any) -> tuple[int, Any]:
    """Answer it, as a client does."""
    return lab.machine.call("POST", f"/sessions/{lab.row['session_id']}/approve", {"ask": ask, **more})


def test_it_goes_on_when_it_is_allowed(claude: Lab) -> None:
    """Its own dialog goes away within a second, the tool runs, and the outcome is told."""
    with claude.step("allowed from afar") as step:
        claude.prompt("do LONG")
        step.file("waiting")
        claude.wait_screen(PERMISSION)
        ask = asked(claude)
        begin = time.monotonic()
        assert give(claude, ask["id"]) == (200, {"outcome": "taken"})
        gone = claude.wait_screen(PERMISSION, gone=True)
        print(f"allowed to its dialog's end: {(gone - begin) * 1000:.0f} ms")
        step.file("busy").shows("working", asks="")
        claude.keys("Escape")
        step.file("idle").shows("idle")


def test_it_is_told_why_it_is_denied(claude: Lab) -> None:
    """The reason reaches it, and the tool does not run."""
    with claude.step("denied from afar") as step:
        claude.prompt("do BASH")
        step.file("waiting")
        claude.wait_screen(PERMISSION)
        status, told = give(claude, asked(claude)["id"], decision="deny", reason="not on a Friday")
        assert (status, told["outcome"]) == (200, "taken")
        claude.wait_screen("not on a Friday")
        step.file("idle").shows("idle")


def test_what_it_suggests_for_its_session_is_asked_no_more(claude: Lab) -> None:
    """The second time it does not ask."""
    with claude.step("allowed for the session") as step:
        claude.prompt("do WRITE")
        step.file("waiting")
        claude.wait_screen(PERMISSION)
        assert give(claude, asked(claude)["id"], decision="suggested")[0] == 200
        step.file("idle").shows("idle")
    with claude.step("the second time") as step:
        claude.prompt("do WRITE")
        step.file("busy")
        step.file("idle").shows("idle")
        step.never_shown("waiting")


def test_a_question_gets_the_answer_that_was_chosen(claude: Lab) -> None:
    """As if it had been chosen there."""
    with claude.step("a question answered from afar") as step:
        claude.prompt("do ASK")
        step.file("waiting")
        claude.wait_screen(re.escape(QUESTION))
        assert give(claude, asked(claude)["id"], answers=["Blue"]) == (200, {"outcome": "taken"})
        claude.wait_screen("Blue")
        step.file("idle").shows("idle")


@pytest.mark.parametrize("key", ["Enter", "Escape"])
def test_who_comes_after_its_own_terminal_is_told(claude: Lab, key: str) -> None:
    """What was answered there counts."""
    with claude.step(f"{key} at its own terminal first") as step:
        claude.prompt("do BASH")
        step.file("waiting")
        claude.wait_screen(PERMISSION)
        ask = asked(claude)
        claude.keys(key)
        step.file("idle").shows("idle", asks="")
        status, told = give(claude, ask["id"])
        assert (status, "its own terminal" in told["error"]["message"]) == (409, True)
