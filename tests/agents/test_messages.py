"""Messages to the real agents: one is proven to be taken, and none ever answers what an agent asks."""

from __future__ import annotations

import re

import pytest

from tests.agents import claude, codex, gemini, opencode
from tests.agents.conftest import Programs
from tests.agents.lab import SIGN_WITHIN, Lab, RealAgent
from tests.wait import until

# opencode shows its prompt in no known way, and its plugin may tell of it only after the second that is waited for.
MAY_BE_UNPROVEN = "opencode"


@pytest.mark.parametrize(
    ("agent", "asks", "hooks"),
    [
        (claude.CLAUDE, claude.PERMISSION, False),
        (codex.CODEX, codex.APPROVAL, False),
        (gemini.GEMINI, gemini.PERMISSION, False),
        (opencode.OPENCODE, opencode.PERMISSION, True),  # without its plugin nothing but its screen tells
    ],
    ids=["claude", "codex", "gemini", "opencode"],
)
def test_a_message_is_taken_and_answers_nothing(programs: Programs, agent: RealAgent, asks: str, hooks: bool) -> None:
    """It is *submitted*; while the agent waits for an answer to its permission, the next is refused."""
    lab = Lab(agent, programs.folder, hooks=hooks)
    try:
        lab.start()
        until(lambda: lab.row.get("status") == "idle", SIGN_WITHIN)
        target = f"/sessions/{lab.row['session_id']}/message"
        status, told = lab.machine.call("POST", target, {"text": "do BASH"})
        assert status == 200, told
        assert told["delivery"] == "submitted" or agent.name == MAY_BE_UNPROVEN, told
        lab.wait_screen(asks)
        until(lambda: lab.row.get("status") == "waiting", SIGN_WITHIN)
        for text in ("yes", "1", "y\n\n"):
            status, told = lab.machine.call("POST", target, {"text": text})
            assert (status, told["error"]["code"]) == (409, "waiting_for_approval")
        assert re.search(asks, lab.screen)
        assert not lab.stub.tools.marker.exists()
    finally:
        lab.close()
