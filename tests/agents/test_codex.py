"""Codex itself, through every row of what it was seen to do, with our hooks and without any."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.agents.codex import APPROVAL, ASKS, AT_REST, CODEX, NEW, WORKS
from tests.agents.conftest import Programs
from tests.agents.lab import Lab


@pytest.fixture(scope="module", params=["hooks", "no hooks"])
def computer(programs: Programs, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The computer on which it runs."""
    lab = Lab(CODEX, programs.folder, hooks=request.param == "hooks")
    if lab.hooks:
        lab.start(until_ready=False)
        lab.wait_screen("\u203a 1. Review hooks")  # what it asks about hooks that it does not know
        time.sleep(1.0)  # it takes no key yet
        lab.keys("Down")
        lab.wait_screen("\u203a 2. Trust all")
        lab.keys("Enter")
        lab.wait_screen(CODEX.ready)
        lab.end()
    yield lab
    lab.close()


@pytest.fixture
def codex(computer: Lab) -> Iterator[Lab]:
    """Codex at its prompt, and shown to be."""
    with computer.step("start") as step:
        computer.start()
        step.title(AT_REST).shows("idle", asks="")
    yield computer
    computer.end()


def test_a_turn(codex: Lab) -> None:
    """A prompt is *working* until the answer is there."""
    with codex.step("a prompt") as step:
        codex.prompt("do SLOW")
        step.title(WORKS).shows("working")
        step.title(AT_REST).shows("idle")


@pytest.mark.parametrize("key", ["y", "Escape"])
def test_an_approval(codex: Lab, key: str) -> None:
    """An approval that is asked is *waiting*; given it works, and refused it is idle at once."""
    with codex.step(f"an approval, {key}") as step:
        codex.prompt("do BASH")
        kind, tool = codex.of_hooks("approval", "approval|unknown"), codex.of_hooks("Bash")
        asked = step.title(ASKS).shows("waiting", asks=kind, tool=tool)
        if codex.hooks:
            assert codex.stub.tools.of("BASH") in asked["asks"]["text"]
        codex.wait_screen(APPROVAL)
        codex.keys(key)
        step.title(AT_REST).shows("idle", asks="")


def test_a_tool_that_runs_long(codex: Lab) -> None:
    """Once it is approved the tool runs, which is *working*, and Esc ends it."""
    with codex.step("a long tool") as step:
        codex.prompt("do LONG")
        step.title(ASKS).shows("waiting", asks="approval|unknown")
        codex.wait_screen(APPROVAL)
        codex.keys("y")
        step.title(WORKS).shows("working", asks="")
        codex.keys("Escape")
        step.title(AT_REST).shows("idle")


@pytest.mark.parametrize("key", ["Escape", "C-c"])
def test_a_turn_that_is_stopped(codex: Lab, key: str) -> None:
    """Esc and Ctrl-C make it idle at once."""
    with codex.step(f"{key} at work") as step:
        codex.prompt("do SLOW")
        step.title(WORKS).shows("working")
        codex.wait_screen("slow part")
        codex.keys(key)
        step.title(AT_REST).shows("idle")


def test_an_error(codex: Lab) -> None:
    """An error fires no hook, and the title is at rest: it is not shown as working."""
    with codex.step("error 400") as step:
        codex.prompt("do ERR400")
        step.screen("^\u25a0").shows("idle|error")


def test_a_new_conversation(codex: Lab) -> None:
    """/new ends idle, the row stays the same one, and the next prompt works."""
    before = codex.row["session_id"]
    with codex.step("/new") as step:
        codex.prompt("say TEXT")
        codex.wait_screen("Stub answer")
        step.shows("idle")
        codex.prompt("/new")
        codex.wait_screen("Stub answer", gone=True)
        codex.prompt("do SLOW")
        step.title(WORKS).shows("working")
        step.title(AT_REST).shows("idle")
    assert codex.row["session_id"] == before


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


def test_its_first_questions(computer: Lab) -> None:
    """In a folder that it does not know it asks whether to trust it: *waiting (setup)*, with no sign but its screen."""
    other = computer.machine.code / "unknown"
    subprocess.run(["git", "init", "-q", str(other)], check=True)
    with computer.step("first questions") as step:
        computer.start(f"exec env CODEX_HOME={computer.home / NEW} codex", other, until_ready=False)
        step.screen("trust").shows("waiting", asks="setup", within=2.0)
    computer.end()
