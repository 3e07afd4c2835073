"""Real Claude Code on one of three computers: what it asks there is answered on another, over a real Redis."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from teleclaude.core.records import Session
from tests.agents.claude import CLAUDE, PERMISSION
from tests.agents.conftest import Programs
from tests.agents.eye import HOLD
from tests.agents.lab import MEASURED, SLACK, Lab, Measured
from tests.fleet import join_all
from tests.machine import Machine
from tests.redis_process import RedisProcess
from tests.terminal import Terminal
from tests.wait import until

ANSWERED_WITHIN = 1.0  # seconds
SETTINGS = """laptop = ["view", "message", "approve"]
guest = ["view", "message"]
[agents.claude]
wait_for_answer = 60
"""


class Computers:
    """Where Claude Code runs (lab), where somebody looks who may answer (laptop), and one who may not (guest)."""

    def __init__(self, programs: Programs) -> None:
        self._redis = RedisProcess()
        self.laptop, self.guest = Machine("laptop"), Machine("guest")
        self.lab = Lab(CLAUDE, programs.folder, SETTINGS, hooks=True, prepare=self._join)
        for machine in (self.laptop, self.guest):
            machine.start()
            until(lambda here=machine: "lab" in self._online(here), 30)  # type: ignore[misc]  # a default binds it
        self._client = self._look(self.laptop)

    def _look(self, machine: Machine) -> Terminal:
        """Open a client that looks at the lab's sessions: nothing waits for an answer where nobody looks."""
        client = Terminal([sys.executable, "-m", "teleclaude.tui"], machine.environ)
        client.wait_for("lab", 30)
        client.send("Gl")
        client.wait_for(HOLD, 30)
        return client

    def _join(self, lab: Machine) -> None:
        join_all([lab, self.laptop, self.guest], self._redis.url)

    @staticmethod
    def _online(machine: Machine) -> set[str]:
        return {computer["name"] for computer in machine.get("/computers") if computer["status"] == "online"}

    def asked(self, on: Machine) -> Session:
        """The session, once what it asks can be answered there."""

        def found() -> Session | None:
            return next((session for session in on.sessions("lab") if session.asks and session.asks.id), None)

        return until(found, 30)  # type: ignore[return-value]  # never None

    def laptop_status(self, session_id: str) -> str:
        """How the session is, as the laptop shows it; empty while it does not."""
        return next((one.status for one in self.laptop.sessions("lab") if one.session_id == session_id), "")

    def close(self) -> None:
        """End all of it."""
        self._client.close()
        for machine in (self.laptop, self.guest):
            machine.close()
        self.lab.close()
        self._redis.close()


@pytest.fixture(scope="module")
def computers(programs: Programs) -> Iterator[Computers]:
    """All three."""
    made = Computers(programs)
    yield made
    made.close()


@pytest.fixture
def claude(computers: Computers) -> Iterator[Lab]:
    """Claude Code at its prompt."""
    computers.lab.start()
    yield computers.lab
    computers.lab.end()


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_a_permission_is_answered_on_another_computer(computers: Computers, claude: Lab, decision: str) -> None:
    """By its own hook, within a second end to end; who may not answer is refused, and an old id is."""
    claude.prompt("do BASH")
    session = computers.asked(computers.laptop)
    assert session.asks is not None
    assert claude.stub.tools.of("BASH") in session.asks.text
    target, body = f"/sessions/{session.session_id}/approve", {"ask": session.asks.id, "decision": decision}
    refused, _ = computers.guest.call("POST", f"{target}?computer=lab", body)
    assert refused in {403, 404}
    assert not claude.stub.tools.marker.exists()
    began = time.monotonic()
    assert computers.laptop.call("POST", target, body) == (200, {"outcome": "taken"})
    until(lambda: computers.laptop_status(session.session_id) not in {"", "waiting"}, 20)
    late = time.monotonic() - began
    MEASURED.append(Measured("claude", f"{decision} from afar", late, ANSWERED_WITHIN))
    until(lambda: computers.laptop_status(session.session_id) == "idle", 20)
    assert claude.stub.tools.marker.exists() == (decision == "allow")
    assert late < ANSWERED_WITHIN * SLACK
    assert computers.laptop.call("POST", target, body)[0] in {404, 409}


def test_its_own_terminal_may_be_first(computers: Computers, claude: Lab) -> None:
    """An answer that comes after that is told to be too late, and does nothing."""
    claude.prompt("do BASH")
    session = computers.asked(computers.laptop)
    assert session.asks is not None
    claude.wait_screen(PERMISSION)
    claude.keys("Escape")
    until(lambda: computers.laptop_status(session.session_id) == "idle", 20)
    status, told = computers.laptop.call(
        "POST", f"/sessions/{session.session_id}/approve", {"ask": session.asks.id, "decision": "allow"}
    )
    assert status in {404, 409}, told
    assert not claude.stub.tools.marker.exists()
