"""Claude Code itself, through every row of what it was seen to do, with our hooks and without any."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from tests.agents.answers import QUESTION
from tests.agents.claude import CLAUDE, PERMISSION
from tests.agents.conftest import Programs
from tests.agents.lab import Lab


@pytest.fixture(scope="module", params=["hooks", "no hooks"])
def computer(programs: Programs, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The computer on which it runs."""
    lab = Lab(CLAUDE, programs.folder, hooks=request.param == "hooks")
    yield lab
    lab.close()


@pytest.fixture
def claude(computer: Lab) -> Iterator[Lab]:
    """Claude Code at its prompt, and shown to be."""
    with computer.step("start") as step:
        computer.start()
        step.file("idle").shows("idle", asks="")
    yield computer
    computer.end()


def test_a_turn(claude: Lab) -> None:
    """A prompt is *working* until the answer is there."""
    with claude.step("a prompt") as step:
        claude.prompt("do SLOW")
        step.file("busy").shows("working")
        step.file("idle").shows("idle")


@pytest.mark.parametrize("word", ["BASH", "WRITE"])
@pytest.mark.parametrize("key", ["Enter", "Escape", "3"])
def test_a_permission(claude: Lab, word: str, key: str) -> None:
    """A permission that is asked is *waiting*, with what is asked; allowed it works, and denied it is idle at once."""
    with claude.step(f"a permission, {key}") as step:
        claude.prompt(f"do {word}")
        tool = claude.of_hooks({"BASH": "Bash", "WRITE": "Write"}[word])
        asked = step.file("waiting").shows("waiting", asks="approval", tool=tool)
        if claude.hooks:
            assert claude.stub.tools.of(word) in asked["asks"]["text"]
        claude.wait_screen(PERMISSION)
        claude.keys(key)
        step.file("idle").shows("idle", asks="")


def test_a_tool_that_runs_long(claude: Lab) -> None:
    """Once it is allowed the tool runs, which is *working* at once, and Esc ends it without any hook."""
    with claude.step("a long tool") as step:
        claude.prompt("do LONG")
        step.file("waiting").shows("waiting", asks="approval")
        claude.wait_screen(PERMISSION)
        claude.keys("Enter")
        step.file("busy").shows("working", asks="")
        claude.keys("Escape")
        step.file("idle").shows("idle")


@pytest.mark.parametrize("key", ["Escape", "C-c"])
def test_a_turn_that_is_stopped(claude: Lab, key: str) -> None:
    """Esc and Ctrl-C fire no hook; it is idle at once all the same."""
    with claude.step(f"{key} at work") as step:
        claude.prompt("do SLOW")
        step.file("busy").shows("working")
        claude.wait_screen("slow part")
        claude.keys(key)
        step.file("idle").shows("idle")


@pytest.mark.parametrize("key", ["Enter", "Escape"])
def test_a_question(claude: Lab, key: str) -> None:
    """A question waits, with its choices; an answer lets it work, Esc makes it idle."""
    with claude.step(f"a question, {key}") as step:
        claude.prompt("do ASK")
        asked = step.file("waiting").shows("waiting", asks=claude.of_hooks("question", "approval|question|unknown"))
        if claude.hooks:
            assert (asked["asks"]["text"], asked["asks"]["choices"]) == (QUESTION, ["Red", "Blue"])
        claude.wait_screen(re.escape(QUESTION))
        claude.keys(key)
        step.file("idle").shows("idle", asks="")


def test_a_plan(claude: Lab) -> None:
    """A plan waits to be allowed."""
    claude.keys("BTab")
    claude.wait_screen("accept edits")
    claude.keys("BTab")
    claude.wait_screen("plan mode on")
    with claude.step("a plan") as step:
        claude.prompt("do PLAN")
        step.file("waiting").shows("waiting", asks=claude.of_hooks("plan", "approval|plan|unknown"))
        claude.wait_screen("Exit plan mode|1. do it")
        claude.keys("Escape")
        step.file("idle").shows("idle", asks="")


def test_a_subagent(claude: Lab) -> None:
    """A subagent is part of the turn."""
    with claude.step("a subagent") as step:
        claude.prompt("do SUBAGENT")
        step.file("busy").shows("working")
        step.file("idle").shows("idle")


def test_a_prompt_while_it_works(claude: Lab) -> None:
    """A prompt is queued while it works, and done next."""
    with claude.step("a queued prompt") as step:
        claude.prompt("do SLOW")
        step.file("busy").shows("working")
        claude.prompt("say TEXT queued")
        claude.wait_screen("Stub answer")
        step.file("idle").shows("idle")


def test_a_command_of_the_shell(claude: Lab) -> None:
    """`! sleep` works while it runs, though no hook tells of its start."""
    claude.keys("!")
    with claude.step("! command") as step:
        claude.prompt("sleep 2; echo over")
        step.file("busy").shows("working")
        step.file("idle").shows("idle")


@pytest.mark.parametrize(("status", "reason"), [(401, "authentication"), (429, "rate limit"), (400, "refused")])
def test_an_error(claude: Lab, status: int, reason: str) -> None:
    """An error that ends the turn is shown as one, with its reason; without hooks it is idle."""
    with claude.step(f"error {status}") as step:
        claude.prompt(f"do ERR{status}")
        step.screen("API Error|API key|rate limit")
        if claude.hooks:
            step.shows("error", reason=reason)
        else:
            step.shows("idle")
    with claude.step("a prompt after an error") as step:
        claude.prompt("do SLOW")
        step.file("busy").shows("working")
        step.file("idle").shows("idle")


def test_clear_and_compact(claude: Lab) -> None:
    """/clear and /compact end idle, and the row stays the same one."""
    before = claude.row["session_id"]
    for command in ("/compact", "/clear"):
        with claude.step("a prompt") as step:
            claude.prompt("do SLOW")
            step.file("busy").shows("working")
            step.file("idle").shows("idle")
        with claude.step(command) as step:
            claude.prompt(command)
            claude.wait_screen("Compacted|no content|\\(no|\u276f\\s*$")
            step.shows("idle", asks="")
    assert claude.row["session_id"] == before


def test_its_ends(computer: Lab) -> None:
    """However it ends, its pane is shown as ended, with what ended it."""
    for name, reason in (("/exit", "exit 0"), ("SIGTERM", ""), ("SIGHUP", ""), ("SIGKILL", "signal 9")):
        with computer.step(f"end by {name}") as step:
            computer.start()
            step.file("idle").shows("idle")
            if name == "/exit":
                computer.prompt("/exit")
            else:
                computer.signal(signal.Signals[name])
            step.dead().shows("ended", asks="", reason=reason)
        computer.end()


def test_its_first_questions(computer: Lab) -> None:
    """In a folder that it does not know it asks whether to trust it: *waiting (setup)*, without any hook."""
    other = computer.machine.code / "unknown"
    other.mkdir()
    with computer.step("first questions") as step:
        computer.start(folder=other, until_ready=False)
        step.screen("Yes, I trust this folder").shows("waiting", asks="setup", within=2.0)
    computer.end()


def test_a_stopped_one(computer: Lab) -> None:
    """After Ctrl-Z its shell has the pane: it is not shown as working."""
    computer.start("exec bash --norc", until_ready=False)
    computer.prompt("claude")
    computer.wait_screen("^\u276f")
    with computer.step("Ctrl-Z") as step:
        computer.prompt("do SLOW")
        step.file("busy").shows("working")
        computer.keys("C-z")
        step.screen("Stopped|suspended").shows("idle", within=2.0)
    computer.end()
