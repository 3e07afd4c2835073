"""opencode itself, with our plugin and without it: its title never tells a state."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.agents.answers import QUESTION, SAID
from tests.agents.conftest import Programs
from tests.agents.lab import Lab
from tests.agents.opencode import OPENCODE, PERMISSION


@pytest.fixture(scope="module", params=["hooks", "no hooks"])
def computer(programs: Programs, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The computer on which it runs."""
    lab = Lab(OPENCODE, programs.folder, hooks=request.param == "hooks")
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def opencode(computer: Lab) -> Lab:
    """opencode at its prompt, one for all: it takes half a minute to come up."""
    computer.start()
    return computer


def test_a_turn(opencode: Lab) -> None:
    """A prompt is *working* until the answer is there; without the plugin it is idle once it is silent."""
    with opencode.step("a prompt") as step:
        opencode.prompt("do SLOW")
        step.screen("slow part").shows("working")
        step.screen("slow part 9").shows("idle")


@pytest.mark.parametrize("key", ["Enter", "Escape"])
def test_a_permission(opencode: Lab, key: str) -> None:
    """With the plugin a permission is *waiting* with what is asked, and answered either way it is idle soon."""
    if not opencode.hooks:
        pytest.skip("nothing but its screen tells")
    with opencode.step(f"a permission, {key}") as step:
        opencode.prompt("do BASH")
        asked = step.screen(PERMISSION).shows("waiting", asks="approval", tool="bash|external_directory")
        assert opencode.stub.tools.of("BASH") in asked["asks"]["text"]
        if key == "Enter" and asked["asks"]["tool"] == "external_directory":  # outside of its folder: it asks twice
            opencode.keys(key)
            step.shows("waiting", asks="approval", tool="bash")
        opencode.keys(key)
        step.screen(PERMISSION, gone=True).shows("idle", asks="")


def test_a_question(opencode: Lab) -> None:
    """With the plugin a question waits with its choices."""
    if not opencode.hooks:
        pytest.skip("nothing but its screen tells")
    with opencode.step("a question") as step:
        opencode.prompt("do ASK")
        asked = step.screen(QUESTION).shows("waiting", asks="question")
        assert asked["asks"]["choices"] == ["Red", "Blue"]
        opencode.keys("Enter")
        step.screen(SAID).shows("idle", asks="")


def test_its_end(opencode: Lab) -> None:
    """Killed, its pane is shown as ended."""
    with opencode.step("end by SIGKILL") as step:
        opencode.signal(signal.SIGKILL)
        step.dead().shows("ended", asks="", reason="signal 9")
