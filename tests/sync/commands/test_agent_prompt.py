"""Messages to agents that ask, start or work: fakes that show what the agents were seen to show."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from teleclaude.core.records import Kind, Session
from teleclaude.core.settings import parse
from teleclaude.core.verbs import Message, Start
from teleclaude.sync.own_records import OwnChange
from tests.sync.commands.test_commands import Bench
from tests.sync.conftest import TmuxServer
from tests.wait import until

# It shows the screen and title of the file `show` beside it, again when that changes, and keeps what it is given.
AGENT = r"""#!/usr/bin/python3
import json, os, select, sys, termios, tty
here = os.path.dirname(os.path.abspath(sys.argv[0]))
tty.setraw(0)
shown, draft, deaf = None, b"", 0
got = open(here + "/got", "ab", buffering=0)
while True:
    try:
        show = json.load(open(here + "/show"))
    except (OSError, ValueError):
        show = shown
    if show != shown:
        shown = show
        if show.get("status"):
            os.makedirs(here + "/.claude/sessions", exist_ok=True)
            with open(f"{here}/.claude/sessions/{os.getpid()}.json", "w") as file:
                named = {} if show["status"] == "none" else {"status": show["status"]}
                json.dump({"pid": os.getpid()} | named, file)
        screen = show["screen"].replace("\n", "\r\n")
        os.write(1, f"\x1b[?2004h\x1b[2J\x1b[H{screen}\x1b]2;{show['title']}\x07".encode())
    if select.select([0], [], [], 0.02)[0]:
        data = os.read(0, 65536)
        got.write(data)
        if "works" in show and b"\r" in data:
            os.write(1, b"\x1b]2;\xe2\xa0\x82 at work\x07")
        if "asks" in show and b"\r" in data:
            with open(f"{here}/.claude/sessions/{os.getpid()}.json", "w") as file:
                json.dump({"pid": os.getpid(), "status": "waiting"}, file)
        if "deaf" in show:  # what is typed stands at the prompt, and so many Enters are lost
            draft += data.replace(b"\x1b[200~", b"").replace(b"\x1b[201~", b"").replace(b"\r", b"")
            if b"\r" in data and deaf < show["deaf"]:
                deaf += 1
            elif b"\r" in data:
                open(here + "/prompts", "ab").write(draft + b"\n")
                draft = b""
            os.write(1, b"\x1b[2J\x1b[H\xe2\x9d\xaf\xc2\xa0" + draft)
"""
TRUST = " Accessing workspace:\n\n \u276f 1. Yes, I trust this folder\n   2. No, exit\n"
PROMPT = " \u2500\u2500\u2500\u2500\n\u276f\u00a0\n \u2500\u2500\u2500\u2500\n"


class Agents:
    """A bench on which claude, codex and gemini are fakes."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.folder = bench, bench.folder
        text = ""
        for name in ("claude", "codex", "gemini", "other"):
            program = bench.folder / name
            program.write_text(AGENT)
            program.chmod(0o755)
            text += f'[agents.{name}]\ncommand = "{program}"\n'
        text += f'[agents.mine]\ncommand = "{bench.folder}/other"\nready = "what now"\n'
        bench.actions.settings = parse(text)
        bench.local.half.reload(bench.actions.settings, bench.tmux.name)

    def show(self, screen: str, title: str, status: str = "", **more: int) -> None:
        """Have the fake show this."""
        text = json.dumps({"screen": screen, "title": title, "status": status, **more})
        new = self.folder / "show.new"
        new.write_text(text)
        new.rename(self.folder / "show")

    @property
    def got(self) -> bytes:
        """What the fake was given."""
        path = self.folder / "got"
        return path.read_bytes() if path.exists() else b""

    def start(self, agent: str, *, within: float = 10.0) -> dict[str, Any]:
        """Start a fake with a first message."""
        return self.bench.ok(Start(project=str(self.folder), agent=agent, message="hello"), within=within)

    def seen(self, session: Session, screen: str, title: str) -> None:
        """Wait until tmux shows this of it."""
        last = screen.strip().rpartition("\n")[2].strip()
        until(lambda: last in self.bench.tmux("capture-pane", "-p", "-t", session.tmux.pane))
        until(lambda: self.bench.tmux("display-message", "-p", "-t", session.tmux.pane, "#{pane_title}") == title)


@pytest.fixture
def agents(tmux: TmuxServer, local: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Agents:
    """The bench."""
    for name in ("SHELL", "PS1", "ENV"):
        monkeypatch.setenv(name, tmux.environ[name])
    monkeypatch.setenv("HOME", str(folder))
    tmux.environ["HOME"] = str(folder)
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    return Agents(Bench(tmux, local(""), folder, ""))


@pytest.mark.parametrize("agent", ["claude", "codex", "gemini"])
def test_a_first_message_never_answers_a_question(agents: Agents, agent: str) -> None:
    """At "trust this folder?" nothing is typed, the session is there, and it is told why the text was not sent."""
    pointer = {"claude": "\u276f", "codex": "\u203a", "gemini": "\u25cf"}[agent]
    agents.show(TRUST.replace("\u276f", pointer), "\u25c7  Ready (x)" if agent == "gemini" else "vm")
    data = agents.start(agent, within=5.0)
    assert data["message_sent"] is False
    assert "Yes, I trust this folder" in data["message_error"]
    assert data["session"]["agent"] == agent
    assert agents.got == b""


@pytest.mark.parametrize(
    ("agent", "screen", "title", "status"),
    [
        ("claude", PROMPT, "\u2733 Claude Code", ""),
        ("claude", PROMPT, "whatever", "idle"),
        ("codex", "\u203a Ask Codex to do anything\n", "FOLDER", ""),
        ("gemini", " >   Type your message or @path\n", "\u25c7  Ready (x)   ", ""),
        ("mine", "what now?\n", "", ""),
    ],
)
def test_a_first_message_goes_in_once_the_agent_is_ready(
    agents: Agents, agent: str, screen: str, title: str, status: str
) -> None:
    """When the agent shows its own sign, also after its first question was answered, the text is sent."""
    title = title.replace("FOLDER", agents.folder.name)
    agents.show("starting", "")
    seen = threading.Event()

    def answer(kind: Kind, change: OwnChange) -> None:
        if kind == "sessions" and change.puts and not seen.is_set():
            seen.set()
            agents.show(screen, title, status)

    agents.bench.local.own.listen(answer)
    assert agents.start(agent)["message_sent"] is True
    assert seen.is_set()
    until(lambda: agents.got == b"\x1b[200~hello\x1b[201~\r")


def test_an_enter_that_is_lost_is_pressed_again(agents: Agents) -> None:
    """An agent that has just started may lose Enter: what still stands at its prompt is not told as sent."""
    agents.show(PROMPT, "\u2733 Claude Code", deaf=2)
    assert agents.start("claude")["message_sent"] is True
    assert until((agents.folder / "prompts").read_bytes) == b"hello\n"


@pytest.mark.parametrize(("more", "delivery"), [({"deaf": 0}, "submitted"), ({}, "not_proven")])
def test_how_far_a_text_came_is_told(agents: Agents, more: dict[str, int], delivery: str) -> None:
    """*submitted* is said of what stood at the prompt and does no more; of what was never seen there it is not."""
    agents.show(PROMPT, "\u2733 Claude Code", "", **more)
    data = agents.start("claude")
    assert (data["message_sent"], data["delivery"]) == (True, delivery)
    assert agents.bench.ok(Message(session_id=data["session"]["session_id"], text="more"))["delivery"] == delivery


def test_an_agent_that_begins_to_work_has_taken_the_text(agents: Agents) -> None:
    """Its prompt shows nothing; but its title works right after Enter, which nothing else brought about."""
    agents.show(PROMPT, "\u2733 Claude Code", "", works=1)
    assert agents.start("claude")["delivery"] == "submitted"


def test_an_agent_that_asks_right_after_enter_has_taken_the_text(agents: Agents) -> None:
    """Its turn may be so quick that nobody saw it work."""
    agents.show(PROMPT, "\u2733 Claude Code", "idle", asks=1)
    assert agents.start("claude")["delivery"] == "submitted"


def test_a_shell_shows_nothing_of_what_it_takes(agents: Agents) -> None:
    """What goes into a shell is *typed*, and no more is said of it."""
    data = agents.start("shell")
    assert (data["message_sent"], data["delivery"]) == (True, "typed")


def test_a_text_that_is_never_taken_is_told_as_such(agents: Agents) -> None:
    """What stands at the prompt after all Enters may be sent yet, and nobody is told that it was."""
    agents.show(PROMPT, "\u2733 Claude Code", deaf=99)
    data = agents.start("claude")
    assert (data["message_sent"], "Enter was not taken" in data["message_error"]) == (False, True)
    outcome = agents.bench.run(Message(session_id=data["session"]["session_id"], text="more"))
    assert outcome.status == "unknown"


def test_a_state_file_without_a_status_is_not_ready(agents: Agents) -> None:
    """Claude's file is there before the agent is: until it names a status, nothing is sent."""
    folder = agents.folder / ".claude" / "sessions"
    agents.show(PROMPT, "\u2733 Claude Code", "none")
    data = agents.start("claude", within=5.0)
    assert data["message_sent"] is False
    assert list(folder.iterdir())
    assert agents.got == b""


def test_what_shows_no_known_sign_gets_no_first_message(agents: Agents) -> None:
    """A screen that stands still may be a question: the profile's `ready` is named as the way."""
    agents.show("what now?", "")
    data = agents.start("other")
    assert data["message_sent"] is False
    assert "`ready`" in data["message_error"]
    assert agents.got == b""


@pytest.mark.parametrize(
    ("agent", "screen", "title", "status"),
    [
        ("claude", PROMPT, "\u2733 x", "waiting"),
        ("claude", TRUST, "\u2733 x", ""),
        ("codex", "\u203a Ask", "[ ! ] Action Required | x", ""),
        ("gemini", "Allow?", "\u270b  Action Required (x)", ""),
    ],
)
def test_a_message_never_answers_a_question(agents: Agents, agent: str, screen: str, title: str, status: str) -> None:
    """While the agent waits for an answer a message is refused with an error of its own; later it is taken."""
    agents.show(screen, title, status)
    pane = agents.bench.tmux.new("a", str(agents.folder / agent))
    session = agents.bench.local.wait(lambda s: s.tmux.pane == pane and s.agent == agent)
    agents.seen(session, screen, title)
    outcome = agents.bench.run(Message(session_id=session.session_id, text="yes"))
    assert (outcome.status, outcome.code) == ("error", "waiting_for_approval"), outcome
    assert agents.got == b""
    title = "\u2733 x" if agent == "claude" else "x"
    agents.show(PROMPT, title, "idle" if status else "")
    agents.seen(session, PROMPT, title)
    if status:  # its screen was the same before
        states = agents.folder / ".claude/sessions"
        until(lambda: any('"idle"' in state.read_text() for state in states.iterdir()))
    agents.bench.ok(Message(session_id=session.session_id, text="yes"))
    until(lambda: agents.got == b"\x1b[200~yes\x1b[201~\r")


def test_a_question_that_comes_between_the_text_and_enter_is_not_answered(
    agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enter is pressed only when no question has come up since the paste."""
    agents.show(PROMPT, "\u2733 x")
    pane = agents.bench.tmux.new("a", str(agents.folder / "claude"))
    session = agents.bench.local.wait(lambda s: s.tmux.pane == pane and s.agent == "claude")
    agents.seen(session, PROMPT, "\u2733 x")

    class Clock:
        @staticmethod
        def sleep(_seconds: float) -> None:
            agents.show(TRUST, "\u2733 y")
            agents.seen(session, TRUST, "\u2733 y")

    monkeypatch.setattr("teleclaude.sync.commands.pane_input.time", Clock)
    outcome = agents.bench.run(Message(session_id=session.session_id, text="text"))
    assert outcome.code == "waiting_for_approval"
    assert agents.got == b"\x1b[200~text\x1b[201~"
