"""Gemini CLI itself, through every row of what it was seen to do, with our hooks and without any."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.agents.answers import QUESTION
from tests.agents.conftest import Programs
from tests.agents.gemini import ASKS, AT_REST, GEMINI, PERMISSION, WORKS
from tests.agents.lab import Lab


@pytest.fixture(scope="module", params=["hooks", "no hooks"])
def computer(programs: Programs, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The computer on which it runs."""
    lab = Lab(GEMINI, programs.folder, hooks=request.param == "hooks")
    yield lab
    lab.close()


@pytest.fixture
def gemini(computer: Lab) -> Iterator[Lab]:
    """Gemini CLI at its prompt, and shown to be."""
    with computer.step("start") as step:
        computer.start()
        step.title(AT_REST).shows("idle", asks="")
    yield computer
    computer.end()


def test_a_turn(gemini: Lab) -> None:
    """A prompt is *working* until the answer is there."""
    with gemini.step("a prompt") as step:
        gemini.prompt("do SLOW")
        step.title(WORKS).shows("working")
        step.title(AT_REST).shows("idle")


@pytest.mark.parametrize("key", ["Enter", "Escape"])
def test_a_permission(gemini: Lab, key: str) -> None:
    """A permission that is asked is *waiting*, with what is asked; answered either way it is idle soon."""
    with gemini.step(f"a permission, {key}") as step:
        gemini.prompt("do BASH")
        kind, tool = gemini.of_hooks("approval", "unknown"), gemini.of_hooks("exec")
        asked = step.title(ASKS).shows("waiting", asks=kind, tool=tool)
        if gemini.hooks:
            assert gemini.stub.tools.of("BASH") in asked["asks"]["text"]
        gemini.wait_screen(PERMISSION)
        gemini.keys(key)
        step.title(AT_REST).shows("idle", asks="")


def test_a_tool_that_runs_long(gemini: Lab) -> None:
    """Once it is allowed the tool runs, which is *working*, and Esc ends it, with AfterTool and no AfterAgent."""
    with gemini.step("a long tool") as step:
        gemini.prompt("do LONG")
        step.title(ASKS).shows("waiting", asks="approval|unknown")
        gemini.wait_screen(PERMISSION)
        gemini.keys("Enter")
        step.title(WORKS).shows("working", asks="")
        gemini.keys("Escape")
        step.title(AT_REST).shows("idle")


def test_a_turn_that_is_stopped(gemini: Lab) -> None:
    """Esc makes it idle at once."""
    with gemini.step("Escape at work") as step:
        gemini.prompt("do SLOW")
        step.title(WORKS).shows("working")
        gemini.wait_screen("slow part")
        gemini.keys("Escape")
        step.title(AT_REST).shows("idle")


def test_a_question(gemini: Lab) -> None:
    """A question waits; its answer lets it go on."""
    with gemini.step("a question") as step:
        gemini.prompt("do ASK")
        gemini.wait_screen(QUESTION)
        step.title(ASKS).shows("waiting", asks="approval|question|unknown")
        gemini.keys("Enter")
        step.title(AT_REST).shows("idle", asks="")


def test_its_ends(computer: Lab) -> None:
    """However it ends, its pane is shown as ended."""
    for name, reason in (("/quit", ""), ("SIGKILL", "signal 9")):
        with computer.step(f"end by {name}") as step:
            computer.start()
            step.title(AT_REST).shows("idle")
            if name == "/quit":
                computer.prompt("/quit")
            else:
                computer.signal(signal.Signals[name])
            step.dead().shows("ended", asks="", reason=reason)
        computer.end()
