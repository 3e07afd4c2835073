"""State files are heard of as they change, in whatever state they are; no folder of a user's holds up who asks."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.sessions.agents import state_files
from teleclaude.sync.sessions.agents.claude_state import ClaudeState, read_state
from teleclaude.sync.sessions.agents.evidence import FileSign
from teleclaude.sync.sessions.agents.state_files import StateFiles
from teleclaude.sync.sessions.lineage import is_alive
from teleclaude.sync.sessions.processes import children, read_process
from teleclaude.sync.tmux.boot_clock import since_boot
from tests.wait import until


class Agent:
    """A process in a pane's place, and the agent below it, with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.sessions = folder / "sessions"
        self.pane = subprocess.Popen(
            ["sh", "-c", "sleep 1000; true"], env=os.environ | {"CLAUDE_CONFIG_DIR": str(folder)}
        )
        self.pid = until(lambda: children(self.pane.pid))[0]
        process = read_process(self.pid)
        assert process
        self.started = process.started

    def write(self, status: str, **more: Any) -> None:
        """The agent writes its file."""
        self.sessions.mkdir(parents=True, exist_ok=True)
        state = {"pid": self.pid, "status": status, "procStart": str(self.started), "sessionId": "s"} | more
        self.path.write_bytes(msgspec.json.encode(state))

    @property
    def path(self) -> Path:
        """Its file."""
        return self.sessions / f"{self.pid}.json"

    def kill(self) -> None:
        """Both end, and nothing is cleaned up."""
        for pid in [*children(self.pane.pid), self.pane.pid]:
            os.kill(pid, 9)
        self.pane.wait(10)
        until(lambda: not is_alive(self.pid, self.started))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """An agent whose folder is there."""
    agent = Agent(tmp_path / "config")
    agent.sessions.mkdir()
    yield agent
    if agent.pane.poll() is None:
        agent.kill()


@pytest.fixture
def files() -> Iterator[StateFiles]:
    """The files, with nobody asking yet."""
    files = StateFiles(ThreadGroup())
    files.start(lambda: None)
    yield files
    files.close()


def status(files: StateFiles, agent: Agent) -> str:
    """What is known of an agent."""
    found = files.signs().get(agent.pane.pid)
    return found.status if found else "-"


def test_each_change_is_heard(agent: Agent, files: StateFiles) -> None:
    """What is there when it is asked for, each change, the end; and since when, by the file's own time."""
    agent.write("idle", statusUpdatedAt=(time.time() - 5.0) * 1000)
    files.want({agent.pane.pid})
    until(lambda: status(files, agent) == "idle")
    sign = files.signs()[agent.pane.pid]
    assert (sign.session, sign.process) == ("s", agent.pid)
    assert abs(since_boot() - 5.0 - sign.since) < 3.0
    agent.write("waiting", waitingFor="permission prompt")
    until(lambda: status(files, agent) == "waiting")
    assert files.signs()[agent.pane.pid].waiting_for == "permission prompt"
    replaced = agent.sessions / "new"
    replaced.write_bytes(agent.path.read_bytes().replace(b"waiting", b"busy"))
    replaced.rename(agent.path)
    until(lambda: status(files, agent) == "busy")
    agent.path.unlink()
    until(lambda: status(files, agent) == "-")


def test_file_that_is_half_written_says_nothing_new(agent: Agent, files: StateFiles) -> None:
    """What is not whole is read again, and what was known stays meanwhile."""
    agent.write("busy")
    files.want({agent.pane.pid})
    until(lambda: status(files, agent) == "busy")
    seen: list[FileSign | None] = []
    files.start(lambda: seen.append(files.signs().get(agent.pane.pid)))
    whole = agent.path.read_bytes().replace(b"busy", b"idle")
    with agent.path.open("wb") as file:
        file.write(whole[:20])
        file.flush()
        os.fsync(file.fileno())
    with agent.path.open("wb") as file:
        file.write(whole)
    until(lambda: status(files, agent) == "idle")
    assert [sign and sign.status for sign in seen] == ["idle"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff" * 100, b'{"pid": "x"}', b'{"pid": 1, "status": "busy"}', b"9" * 200_000],
)
def test_what_is_no_state_is_none(agent: Agent, files: StateFiles, content: bytes) -> None:
    """Whatever stands in the folder, only what is of a living agent is believed, and the next change is heard."""
    agent.path.write_bytes(content)
    os.mkfifo(agent.sessions / f"{agent.pane.pid}.json")
    (agent.sessions / "x.json").write_text("{}")
    (agent.sessions / "99999999999.json").mkdir()
    files.want({agent.pane.pid})
    agent.write("busy")
    until(lambda: status(files, agent) == "busy")


def test_file_of_a_killed_agent_does_not_count(agent: Agent, files: StateFiles) -> None:
    """SIGKILL leaves the file: another agent's change tells that its process is gone."""
    agent.write("busy")
    other = Agent(agent.sessions.parent)
    files.want({agent.pane.pid, other.pane.pid})
    until(lambda: status(files, agent) == "busy")
    agent.kill()
    other.write("idle")
    until(lambda: status(files, other) == "idle")
    assert status(files, agent) == "-"
    other.kill()


def test_folder_that_hangs_is_left_alone(tmp_path: Path, files: StateFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead mount holds one thread, which is left behind: who asks never waits, and other folders are heard."""
    dead, well = Agent(tmp_path / "dead"), Agent(tmp_path / "well")
    dead.write("busy")
    well.write("busy")
    release = threading.Event()

    def hangs(path: Path) -> ClaudeState | None:
        return None if "dead" in path.parts and release.wait() else read_state(path)

    monkeypatch.setattr(state_files, "read_state", hangs)
    files.want({dead.pane.pid})
    until(lambda: files._reader and files._reader.at)
    files.want({dead.pane.pid, well.pane.pid})
    files.check(time.monotonic() + state_files.PATIENCE + 1.0)
    until(lambda: status(files, well) == "busy")
    assert status(files, dead) == "-"
    monkeypatch.undo()
    release.set()
    until(lambda: status(files, dead) == "busy")
    dead.kill()
    well.kill()


@pytest.mark.parametrize("gone", [False, True])
def test_folder_that_is_not_there(tmp_path: Path, files: StateFiles, gone: bool) -> None:
    """Where there is no folder, nor the one above, nothing is said, and it is found when it is made."""
    agent = Agent(tmp_path / "config")
    if gone:
        agent.sessions.parent.rmdir()
    files.want({agent.pane.pid})
    until(lambda: files._reader and files._reader._awaited)
    agent.write("busy")
    until(lambda: status(files, agent) == "busy")
    agent.kill()


def test_the_last_words_come_with_the_state(agent: Agent, files: StateFiles) -> None:
    """As its state changes, its transcript's last prompt and answer are read."""
    transcript = agent.sessions.parent / "projects" / "-p" / "af5eb99d-4316.jsonl"
    transcript.parent.mkdir(parents=True)
    told = {"type": "user", "message": {"content": "say TEXT"}}
    transcript.write_bytes(msgspec.json.encode(told))
    agent.write("busy", sessionId="af5eb99d-4316", cwd="/p")
    files.want({agent.pane.pid})
    until(lambda: status(files, agent) == "busy")
    assert files.signs()[agent.pane.pid].prompt == "say TEXT"
