"""Commands on a real tmux."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from teleclaude.core.errors import NotFound
from teleclaude.core.records import Session
from teleclaude.core.requests import Outcome, Request, new_id
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.settings import parse
from teleclaude.core.verbs import TEXT_LIMIT, Args, End, Explain, Keys, Message, Notify, Output, Refresh, Rename, Start
from teleclaude.sync.commands import start
from teleclaude.sync.commands.actions import Actions
from teleclaude.sync.commands.executor import Executor
from teleclaude.sync.commands.pane_now import Target
from teleclaude.sync.commands.session_panes import SessionPanes
from tests.sync.conftest import Local, TmuxServer
from tests.wait import until

StartHalf = Callable[..., Local]

CATCHER = """
import sys, os, termios, tty
tty.setraw(0)
with open(sys.argv[2], "wb", buffering=0) as file:
    os.write(1, b"\\x1b[?2004h" if sys.argv[1] == "bracketed" else b"")
    os.write(1, b"ready")
    while data := os.read(0, 65536):
        file.write(data)
"""


class Bench:
    """Commands, and the half they act through."""

    def __init__(self, tmux: TmuxServer, half: Local, folder: Path, settings: str) -> None:
        self.tmux, self.local, self.folder = tmux, half, folder
        self.flushed = 0
        self.told: list[SessionNotice] = []
        self.panes = SessionPanes(half.half, half.own, self)
        self.actions = Actions(self.panes, parse(settings), self.told.extend)
        self.executor = Executor(self.actions)

    def flush(self, timeout: float) -> bool:
        """Count; there is no cache here."""
        self.flushed += 1
        return True

    def run(self, args: Args, *, within: float = 10.0, origin: str = "") -> Outcome:
        """Run a command."""
        request = Request(id=new_id(), computer="here", args=args, deadline=time.monotonic() + within, origin=origin)
        return self.executor.run(request)

    def ok(self, args: Args, **more: Any) -> dict[str, Any]:
        """Run a command that must succeed; its data."""
        outcome = self.run(args, **more)
        assert outcome.status == "ok", outcome
        return outcome.data

    def start(self, agent: str = "shell", **more: Any) -> Session:
        """Start a session; its record."""
        data = self.ok(Start(project=str(self.folder), agent=agent, **more), within=30.0)
        return msgspec.convert(data["session"], Session)

    def catcher(self, *, bracketed: bool = False) -> tuple[Session, Path]:
        """Start a session that writes what it is given into a file."""
        program, caught = self.folder / "catcher.py", self.folder / f"caught{new_id()}"
        program.write_text(CATCHER)
        how = "bracketed" if bracketed else "plain"
        pane = self.tmux.new(f"c{new_id()[:6]}", "python3", str(program), how, str(caught))
        until(lambda: "ready" in self.tmux("capture-pane", "-p", "-t", pane))
        return self.local.wait(lambda s: s.tmux.pane == pane), caught


@contextlib.contextmanager
def attached(tmux: TmuxServer, name: str, *, columns: int, rows: int) -> Iterator[None]:
    """A client of that size, attached to a session."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = ["tmux", "-u", "-L", tmux.name, "attach-session", "-t", name]
    client = subprocess.Popen(command, env=tmux.environ | {"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs)
    try:
        until(lambda: tmux("list-clients", "-F", "#{client_width}") == str(columns))
        yield
    finally:
        client.terminate()
        client.wait(10)
        os.close(ours)
        os.close(theirs)


OF_AN_AGENT = ("CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION_ID", "CODEX_SANDBOX", "GEMINI_CLI")
SETTINGS = """
[agents.fake]
command = "{0}/fake-agent 'one word' semi;"
ready = "<one word>"
thinking_modes = {{ deep = "--think hard" }}
[agents.lone]
command = "{0}/fake-agent"
[agents.brief]
command = "true x"
[agents.missing]
command = "no-such-program-anywhere"
"""


@pytest.fixture
def bench(tmux: TmuxServer, local: StartHalf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A half with agents, and commands on it; shells are plain ones."""
    for name in ("SHELL", "PS1", "ENV"):
        monkeypatch.setenv(name, tmux.environ[name])
    monkeypatch.setenv("HOME", str(folder))
    script = folder / "fake-agent"
    script.write_text(
        '#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\nwhile read line; do echo "got $line"; done\n'
    )
    script.chmod(0o755)
    settings = SETTINGS.format(folder)
    return Bench(tmux, local(settings), folder, settings)


# Start.


def test_start_shell(bench: Bench) -> None:
    """A shell is started in the project, in a detached session of a good size, and its record is there already."""
    session = bench.start(title="My title")
    assert (session.title, session.agent, session.cwd) == ("My title", "shell", str(bench.folder))
    assert session.tmux.name == "My-title"
    assert session.attached == 0
    assert bench.local.own.get("sessions", session.session_id)
    assert bench.flushed
    assert bench.tmux("display-message", "-p", "-t", session.tmux.pane, "#{window_width}x#{window_height}") == "200x50"


def test_start_is_seen_complete_or_not_at_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody ever sees a started session without its agent and title, nor under another id."""
    real = start.new_session

    def slow(*args: Any) -> start.CreatedSession:
        made = real(*args)
        assert bench.local.half.look_now(5)  # what a look would see before the session is filled in
        return made

    monkeypatch.setattr(start, "new_session", slow)
    seen: list[Session] = []
    bench.local.own.listen(lambda _, change: seen.extend(r for r in change.puts.values() if isinstance(r, Session)))
    ids = [bench.start("fake", title=f"title {number}").session_id for number in range(5)]
    assert {s.session_id for s in seen} == set(ids)
    assert {s.agent for s in seen} == {"fake"}
    assert all(s.title.startswith("title ") for s in seen)


def test_start_agent_with_its_words_and_mode(bench: Bench) -> None:
    """An agent gets the words of its profile and of the mode, each as one argument."""
    session = bench.start("fake", thinking_mode="deep")
    assert (session.agent, session.thinking_mode) == ("fake", "deep")
    until(lambda: "<hard>" in bench.ok(Output(session_id=session.session_id))["text"])
    assert bench.ok(Output(session_id=session.session_id))["text"].splitlines() == [
        "<one word>",
        "<semi;>",
        "<--think>",
        "<hard>",
    ]


def test_start_agent_of_one_word(bench: Bench) -> None:
    """A command of one word is run as it is, not by a shell."""
    session = bench.start("lone")
    assert session.agent in {"lone", "fake"}
    children = bench.tmux("display-message", "-p", "-t", session.tmux.pane, "#{pane_pid}")
    words = Path(f"/proc/{children}/cmdline").read_bytes().split(b"\0")
    assert b"-c" not in words


def test_start_with_hostile_title_and_folder(bench: Bench) -> None:
    """Titles and folders that tmux or a shell would act on are shown as they are, and nothing is run."""
    pwned = bench.folder / "pwned"
    for text in (
        f"#(touch {pwned})",
        "#{pid}",
        f"$(touch {pwned})",
        f"`touch {pwned}`;",
        "-R",
        "--",
        "%0",
        "=a*:b.c",
        "✓ é",
    ):
        where = bench.folder / text.replace("/", "_")
        where.mkdir()
        data = bench.ok(Start(project=str(where), agent="shell", title=text))
        session = msgspec.convert(data["session"], Session)
        assert (session.title, session.cwd) == (text, str(where))
        assert session.tmux.name[0] not in "-$%=@"
    assert not pwned.exists()


def test_start_twice_with_one_title(bench: Bench) -> None:
    """Two sessions of one title are two sessions."""
    one, two = bench.start(title="same"), bench.start(title="same")
    assert one.session_id != two.session_id
    assert (one.tmux.name, two.tmux.name) == ("same", "same-2")


def test_start_refuses(bench: Bench) -> None:
    """Wrong agent, mode, project or program: the field is named, and nothing is started."""
    folder = str(bench.folder)
    cases = [
        (Start(project=folder, agent="nobody"), "agent"),
        (Start(project=folder, agent="missing"), "agent"),
        (Start(project=folder, agent="fake", thinking_mode="none"), "thinking_mode"),
        (Start(project="code", agent="shell"), "project"),
        (Start(project=f"{folder}/none", agent="shell"), "project"),
        (Start(project=f"{folder}/fake-agent", agent="shell"), "project"),
        (Start(project=folder, agent="shell", title="x" * 200), "title"),
    ]
    for args, field in cases:
        outcome = bench.run(args)
        assert (outcome.status, outcome.code, outcome.field) == ("error", "invalid", field), outcome
    assert not bench.local.sessions()


def test_start_from_another_computer(bench: Bench) -> None:
    """Another computer starts only below the configured roots, links resolved."""
    inside = bench.folder / "code" / "project"
    inside.mkdir(parents=True)
    (bench.folder / "code" / "link").symlink_to("/usr")
    bench.actions.settings = parse(f'[projects]\nroots = ["{bench.folder}/code"]\n')
    for path in ("/usr", f"{bench.folder}/code/link", f"{bench.folder}/code/../", f"{bench.folder}/codex"):
        outcome = bench.run(Start(project=path, agent="shell"), origin="other")
        assert outcome.code == "refused", (path, outcome)
    assert bench.ok(Start(project=str(inside), agent="shell"), origin="other")


def test_start_of_what_ends_at_once(bench: Bench) -> None:
    """A program that ends as soon as it starts is an error that says so."""
    outcome = bench.run(Start(project=str(bench.folder), agent="brief"))
    assert outcome.code == "conflict"
    assert "ended" in outcome.message


@pytest.mark.parametrize("option", ["destroy-unattached", "exit-unattached"])
def test_start_where_tmux_ends_what_nobody_sees(bench: Bench, option: str) -> None:
    """A started session stays although nobody is attached; where that cannot be, the option is named."""
    config = bench.folder / ".tmux.conf"  # a server that is started reads it
    config.write_text(f"set-option -{'s' if option[0] == 'e' else 'g'} {option} on\n")
    outcome = bench.run(Start(project=str(bench.folder), agent="shell"))
    if option == "exit-unattached":
        assert (outcome.code, option in outcome.message) == ("conflict", True)
    else:
        assert outcome.status == "ok", outcome
        assert bench.tmux("list-sessions", "-F", "#{session_name}") == outcome.data["session"]["tmux"]["name"]


def test_who_is_attached_leaves_with_the_session(bench: Bench) -> None:
    """When a started session ends, who is attached to it is let go, and not put into another session."""
    bench.tmux.new("another")
    bench.tmux("set-option", "-g", "detach-on-destroy", "off")
    session = bench.start()
    with attached(bench.tmux, session.tmux.session, columns=90, rows=25):
        until(lambda: bench.tmux("list-clients", "-F", "#{session_id}") == session.tmux.session)
        bench.tmux("kill-session", "-t", session.tmux.session)
        until(lambda: bench.tmux("list-clients", "-F", "#{session_id}") == "")


def test_start_beside_a_tiny_client(bench: Bench) -> None:
    """A new session has a good size whatever window somebody has open, and still follows who attaches to it."""
    bench.tmux.new("tiny")
    with attached(bench.tmux, "tiny", columns=2, rows=1):
        session = bench.start()
        size = "#{window_width}x#{window_height} #{window-size}"
        shown = bench.tmux("display-message", "-p", "-t", session.tmux.pane, size)
        assert shown == f"{start.WIDTH}x{start.HEIGHT} latest"


def test_start_with_first_message(bench: Bench) -> None:
    """The first message is given when the program takes it."""
    session = bench.start("fake", message="hello\nworld ✓")
    until(lambda: "got world ✓" in bench.ok(Output(session_id=session.session_id))["text"])


def test_first_message_that_cannot_be_given(bench: Bench, folder: Path) -> None:
    """A program that shows nothing gets no message; the outcome says so, and the session is there."""
    bench.actions.settings = parse('[agents.mute]\ncommand = "sleep 1000"\n')
    data = bench.ok(Start(project=str(folder), agent="mute", message="hello"), within=2.0)
    assert data["message_sent"] is False
    assert data["message_error"]
    assert data["session"]["agent"] == "mute"


def test_started_shell_has_nothing_of_the_daemon(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is the daemon's own does not reach the sessions: its variables, its umask, its deafness to ^C."""
    for name in ("NOTIFY_SOCKET", "INVOCATION_ID", "TMUX", "TELECLAUDE_LIFELINE", "WATCHDOG_USEC", *OF_AN_AGENT):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("TELECLAUDE_STATE_DIR", "leaked")
    mask, deaf = os.umask(0o077), signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        session = bench.start(message="env | grep leaked; umask; echo done; sleep 1000")
    finally:
        os.umask(mask)
        signal.signal(signal.SIGINT, deaf)
    until(lambda: "\ndone" in bench.ok(Output(session_id=session.session_id))["text"])
    text = bench.ok(Output(session_id=session.session_id))["text"]
    assert "=leaked" not in text
    assert "0022" in text
    bench.local.wait(lambda s: s.status == "running")
    bench.ok(Keys(session_id=session.session_id, keys=["C-c"]))
    bench.local.wait(lambda s: s.status == "idle")


@pytest.mark.parametrize("agent", ["shell", "fake", "lone"])
def test_a_session_has_nothing_of_the_agent_that_its_server_was_started_in(bench: Bench, agent: str) -> None:
    """A server that was started inside of an agent hands nothing of that on; a user's settings of agents stay."""
    bench.tmux("new-session", "-d", "-s", "first", "sleep 1000")
    for name in (*OF_AN_AGENT, "CLAUDE_CONFIG_DIR"):
        bench.tmux("set-environment", "-g", name, "leaked")
    session = bench.start(agent)
    pid = int(bench.tmux("display-message", "-p", "-t", session.tmux.pane, "#{pane_pid}"))
    bench.tmux("split-window", "-d", "-t", session.tmux.pane, "sleep 1000")
    panes = bench.tmux("list-panes", "-s", "-t", session.tmux.session, "-F", "#{pane_pid}").split()
    for each in map(int, panes):
        variables = until(lambda each=each: Path(f"/proc/{each}/environ").read_bytes()).split(b"\0")  # type: ignore[misc]
        assert b"CLAUDE_CONFIG_DIR=leaked" in variables
        of_agent = {name for name, _, value in (v.partition(b"=") for v in variables) if value == b"leaked"}
        assert of_agent == {b"CLAUDE_CONFIG_DIR"}, each == pid


# Message and keys.


@pytest.mark.parametrize("bracketed", [False, True])
def test_message_of_the_greatest_size_is_exact(bench: Bench, bracketed: bool) -> None:
    """256 KiB of any Unicode arrive exactly, as one paste, and Enter after it."""
    session, caught = bench.catcher(bracketed=bracketed)
    line = "aé✓漢🦀\u202e'\"\\$(x) `y` #{z};\t|\n"
    text = (line * (TEXT_LIMIT // len(line.encode()) + 1)).encode()[:TEXT_LIMIT].decode("utf-8", "ignore")
    bench.ok(Message(session_id=session.session_id, text=text))
    expected = text.encode()
    if bracketed:
        expected = b"\x1b[200~" + expected + b"\x1b[201~"
    until(lambda: caught.stat().st_size >= len(expected) + 1)
    assert caught.read_bytes() == expected + b"\r"


def test_message_cannot_end_its_paste(bench: Bench) -> None:
    """An embedded end of the paste, escapes and control keys are taken out."""
    session, caught = bench.catcher(bracketed=True)
    text = "a\x1b[201~b\x1b[20\x1b[201~1~c\x03\x04d\x9b201~e\x1bcf\x07\r\ng"
    bench.ok(Message(session_id=session.session_id, text=text))
    until(lambda: caught.read_bytes().endswith(b"\r"))
    assert caught.read_bytes() == b"\x1b[200~ab[201~cdecf\ng\x1b[201~\r"


@pytest.mark.parametrize("mode", ["copy-mode", "choose-tree"])
def test_message_reaches_a_pane_in_a_mode_as_one_paste(bench: Bench, mode: str) -> None:
    """Where a person scrolled back, the message goes in with the marks of a paste: its lines are not inputs each."""
    session, caught = bench.catcher(bracketed=True)
    bench.tmux(mode, "-t", session.tmux.pane)
    bench.ok(Message(session_id=session.session_id, text="two\nlines"))
    until(lambda: caught.read_bytes().endswith(b"\r"))
    assert caught.read_bytes() == b"\x1b[200~two\nlines\x1b[201~\r"


def test_keys_reach_the_program_of_a_pane_in_copy_mode(bench: Bench) -> None:
    """Keys are for the program, not for the mode that a person left the pane in."""
    session, caught = bench.catcher()
    bench.tmux("copy-mode", "-t", session.tmux.pane)
    bench.ok(Keys(session_id=session.session_id, keys=["x", "Enter"]))
    until(lambda: caught.read_bytes() == b"x\r")


def test_a_pane_whose_input_is_off_refuses(bench: Bench) -> None:
    """What tmux would swallow is refused with the command that mends it, and never told as sent."""
    session, caught = bench.catcher()
    bench.tmux("select-pane", "-d", "-t", session.tmux.pane)
    for args in (Message(session_id=session.session_id, text="x"), Keys(session_id=session.session_id, keys=["x"])):
        outcome = bench.run(args)
        assert outcome.code == "conflict"
        assert "select-pane -e" in outcome.message
    bench.tmux("select-pane", "-e", "-t", session.tmux.pane)
    bench.ok(Keys(session_id=session.session_id, keys=["y"]))
    until(lambda: caught.read_bytes() == b"y")


def test_keys_to_synchronised_panes_are_refused(bench: Bench) -> None:
    """Keys for one session are never pressed in another; a message goes to its own pane only."""
    session, caught = bench.catcher()
    bench.tmux("split-window", "-d", "-t", session.tmux.pane, "cat")
    bench.tmux("set-option", "-w", "-t", session.tmux.pane, "synchronize-panes", "on")
    outcome = bench.run(Keys(session_id=session.session_id, keys=["x"]))
    assert (outcome.code, "synchronised" in outcome.message) == ("conflict", True)
    bench.ok(Message(session_id=session.session_id, text="m"))
    until(lambda: caught.read_bytes() == b"m\r")


def test_a_line_that_a_terminal_would_cut_is_refused(bench: Bench) -> None:
    """A program that reads whole lines gets all of a message, or the sender is told that it cannot."""
    caught = bench.folder / "lines"
    pane = bench.tmux.new("lines", "sh", "-c", f"printf ready; cat > {caught}")
    until(lambda: "ready" in bench.tmux("capture-pane", "-p", "-t", pane))
    session = bench.local.wait(lambda s: s.tmux.pane == pane)
    outcome = bench.run(Message(session_id=session.session_id, text="short\n" + "x" * 5000))
    assert (outcome.status, outcome.field) == ("error", "text")
    assert "5000 bytes" in outcome.message
    text = "\n".join(["é" * 2000] * 20)
    bench.ok(Message(session_id=session.session_id, text=text))
    until(lambda: caught.stat().st_size > len(text.encode()))
    assert caught.read_text() == text + "\n"


def test_message_leaves_no_buffer(bench: Bench) -> None:
    """Neither a message that arrived nor one whose pane is gone leaves a buffer behind."""
    session, _ = bench.catcher()
    bench.tmux.new("keep")
    bench.ok(Message(session_id=session.session_id, text="hello"))
    assert bench.tmux("list-buffers") == ""
    gone = Target("nobody", "%999", "$0", "%999", bench.local.half.server, is_marked=True)
    with pytest.raises(NotFound, match="ended"):
        bench.actions._input._from_buffer(gone, "buffer", "lost", time.monotonic() + 5)
    assert bench.tmux("list-buffers") == ""


def test_message_refused_while_an_approval_is_awaited(bench: Bench) -> None:
    """Text sent while the agent waits for an approval would answer it: refused, with an error of its own."""
    session, caught = bench.catcher()
    waiting = msgspec.structs.replace(session, status="waiting", status_reason="approval")
    bench.local.own._records["sessions"][session.session_id] = waiting
    outcome = bench.run(Message(session_id=session.session_id, text="yes"))
    assert outcome.code == "waiting_for_approval"
    assert caught.read_bytes() == b""


def test_message_refuses(bench: Bench) -> None:
    """Empty, too long, of control characters only, or to nobody: an error that names the field."""
    session, caught = bench.catcher()
    for text in ("", "x" * (TEXT_LIMIT + 1), "\x1b\x03", "\ud800"):
        assert bench.run(Message(session_id=session.session_id, text=text)).field == "text"
    assert bench.run(Message(session_id="nobody", text="x")).code == "not_found"
    assert caught.read_bytes() == b""


def test_keys(bench: Bench) -> None:
    """Keys arrive by their names and as characters, a semicolon too."""
    session, caught = bench.catcher()
    bench.ok(
        Keys(
            session_id=session.session_id, keys=["a", ";", "é", "Space", " ", "C-c", "Up", "Escape", "-", "#", "Enter"]
        )
    )
    until(lambda: caught.read_bytes().endswith(b"\r"))
    assert caught.read_bytes() == "a;é  \x03\x1b[A\x1b-#\r".encode()


def test_keys_refuse(bench: Bench) -> None:
    """What is no key is refused, and no key of that list is pressed."""
    session, caught = bench.catcher()
    for key in ("rm -rf", "-R", "--", "\x1b", "\n", "#{pid}", "EnterEnter", "", "C-", "ab"):
        outcome = bench.run(Keys(session_id=session.session_id, keys=["a", key]))
        assert (outcome.status, (outcome.field or "")[:4]) == ("error", "keys"), key
    assert caught.read_bytes() == b""


# Rename, end, output.


def test_rename(bench: Bench) -> None:
    """A new title is in the answer and in the record, kept in tmux; only our own tmux sessions get another name."""
    ours = bench.start(title="one")
    pane = bench.tmux.new("theirs")
    theirs = bench.local.wait(lambda s: s.tmux.pane == pane)
    for session, name in ((ours, "two-touch-x"), (theirs, "theirs")):
        data = bench.ok(Rename(session_id=session.session_id, title="two #(touch x);"))
        assert data["session"]["title"] == "two #(touch x);"
        assert data["session"]["tmux"]["name"] == name
        assert bench.local.own.get("sessions", session.session_id) == msgspec.convert(data["session"], Session)


def test_end(bench: Bench) -> None:
    """The pane ends, and its session when it was the only one; ending it again is no error."""
    session = bench.start()
    keep = bench.start(title="keep")
    bench.ok(End(session_id=session.session_id))
    assert [s.session_id for s in bench.local.sessions()] == [keep.session_id]
    assert session.tmux.name not in bench.tmux("list-sessions", "-F", "#{session_name}").splitlines()
    bench.ok(End(session_id=session.session_id))
    assert bench.run(End(session_id="never-was")).code == "not_found"


def test_end_is_by_id(bench: Bench) -> None:
    """Ending `ab` never ends `abc`."""
    abc = bench.start(title="abc")
    ab = bench.start(title="ab")
    bench.ok(End(session_id=ab.session_id))
    assert [s.session_id for s in bench.local.sessions()] == [abc.session_id]


def test_end_ends_what_the_row_is(bench: Bench) -> None:
    """A session without an agent ends with all its panes; an agent's pane ends alone."""
    whole = bench.start(title="whole")
    bench.tmux("split-window", "-d", "-t", whole.tmux.pane)
    bench.tmux("new-window", "-t", f"{whole.tmux.session}:")
    agent = bench.start("fake", title="agent")
    other = bench.tmux("split-window", "-P", "-F", "#{pane_id}", "-t", agent.tmux.pane)
    bench.ok(End(session_id=whole.session_id))
    assert bench.tmux("list-sessions", "-F", "#{session_name}") == agent.tmux.name
    bench.ok(End(session_id=agent.session_id))
    assert bench.tmux("list-panes", "-a", "-F", "#{pane_id}") == other


def test_a_session_is_reached_whatever_pane_is_active(bench: Bench) -> None:
    """What is typed for a session goes to its active pane, under the same id."""
    session = bench.start(title="ab")
    pane = bench.tmux("new-window", "-P", "-F", "#{pane_id}", "-t", f"{session.tmux.session}:", "cat")
    bench.local.wait(lambda s: (s.session_id, s.tmux.pane) == (session.session_id, pane))
    bench.ok(Keys(session_id=session.session_id, keys=["h", "i"]))
    until(lambda: "hi" in bench.ok(Output(session_id=session.session_id))["text"])
    assert "hi" in bench.tmux("capture-pane", "-p", "-t", pane)


def test_stale_ids_of_a_restarted_server_do_nothing(bench: Bench) -> None:
    """A command for a pane of the server before never reaches the pane that has its number now."""
    session = bench.start()
    server = bench.local.half.server
    bench.tmux("kill-server")
    until(lambda: bench.tmux.new("innocent") == session.tmux.pane)
    with pytest.raises(Exception, match="restarted"):
        bench.panes.tmux("kill-pane", "-t", session.tmux.pane, server=server, deadline=time.monotonic() + 5)
    assert bench.tmux("list-sessions", "-F", "#{session_name}") == "innocent"


def test_nothing_reaches_a_pane_without_the_mark(bench: Bench) -> None:
    """Where tmux shows another mark, or none, in a pane of that number, no command acts on it."""
    session, caught = bench.catcher()
    until(lambda: not bench.local.half.identities.unwritten())
    tmux = session.tmux
    for mark in ('{"id":"somebody-else"}', ""):
        bench.tmux("set-option", "-t", tmux.session, "@teleclaude_session", mark)
        target = Target(
            session.session_id, tmux.session, tmux.session, tmux.pane, bench.local.half.server, is_marked=True
        )
        deadline = time.monotonic() + 30
        with pytest.raises(NotFound):
            bench.actions._input.look(target, deadline)
        with pytest.raises(NotFound):
            bench.panes.act(target, ["kill-pane", "-t", target.pane], deadline=deadline)
        with pytest.raises(NotFound):
            bench.actions._input._from_buffer(target, "buffer", "x", deadline)
    assert caught.read_bytes() == b""
    assert bench.tmux("list-buffers") == ""
    assert session.tmux.pane in bench.tmux("list-panes", "-a", "-F", "#{pane_id}").splitlines()


def test_prefix_of_an_id(bench: Bench) -> None:
    """A unique prefix of an id is enough; one that fits several is refused."""
    session = bench.start()
    bench.start()
    assert bench.ok(Output(session_id=session.session_id[:12])) is not None
    assert bench.run(Output(session_id="zz")).code == "not_found"
    bench.local.own._records["sessions"]["zz1"] = session
    bench.local.own._records["sessions"]["zz2"] = session
    bench.local.own._records["sessions"]["zz1"] = msgspec.structs.replace(session, session_id="zz1")
    bench.local.own._records["sessions"]["zz2"] = msgspec.structs.replace(session, session_id="zz2")
    assert bench.run(Output(session_id="zz")).code == "ambiguous"


def test_output_has_colours_and_nothing_else(bench: Bench) -> None:
    """The last lines of screen and history come with their colours; titles, links and bells do not."""
    program = bench.folder / "colours"
    program.write_text(
        "#!/bin/sh\nseq 300\nprintf '\\033[31mred\\033[0m \\033]2;t\\007\\033]8;;http://x\\007link\\033]8;;\\007\\007"
        " \\033(0qx\\033(B\\n'\nsleep 1000\n"
    )
    program.chmod(0o755)
    pane = bench.tmux.new("a", str(program))
    session = bench.local.wait(lambda s: s.tmux.pane == pane)
    until(lambda: "link" in bench.ok(Output(session_id=session.session_id))["text"])
    lines = bench.ok(Output(session_id=session.session_id, lines=200))["text"].split("\n")
    assert len(lines) == 200
    assert lines[0] == "102"
    assert lines[-1].startswith("\x1b[31mred\x1b[")
    assert lines[-1].endswith("link ─│")
    assert "\x1b]" not in lines[-1]


def test_pages_of_output(bench: Bench) -> None:
    """Page before page to the first line, and whether there are more; a wrapped line counts as one."""
    program = bench.folder / "pages"
    program.write_text("#!/bin/sh\nseq 300\nprintf '%0400d\\nend' 7\nsleep 1000\n")
    program.chmod(0o755)
    pane = bench.tmux.new("a", str(program))
    session = bench.local.wait(lambda s: s.tmux.pane == pane)
    until(lambda: "end" in bench.ok(Output(session_id=session.session_id))["text"])
    found: list[str] = []
    has_more = True
    while has_more:
        page = bench.ok(Output(session_id=session.session_id, lines=101, before=len(found)))
        found, has_more = page["text"].split("\n") + found, page["has_more"]
    assert found == [*map(str, range(1, 301)), f"{7:0400d}", "end"]


# The rules for all.


def test_expired_request_never_runs(bench: Bench) -> None:
    """A request that comes after its deadline does nothing and says so."""
    session = bench.start()
    outcome = bench.run(End(session_id=session.session_id), within=-0.001)
    assert (outcome.status, outcome.code) == ("error", "unavailable")
    bench.local.half.look_now(5)
    assert bench.local.own.get("sessions", session.session_id)


def test_request_runs_once(bench: Bench) -> None:
    """The same request again gives the same outcome, and runs nothing."""
    start = Start(project=str(bench.folder), agent="shell")
    request = Request(id=new_id(), computer="here", args=start, deadline=time.monotonic() + 10)
    assert bench.executor.run(request) == bench.executor.run(request)
    bench.local.half.look_now(5)
    assert len(bench.local.sessions()) == 1


def test_what_is_kept_of_outcomes_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of what only reads are not kept, and those that are take no more than so many bytes."""
    session = bench.start()
    kept = bench.executor._outcomes
    before = list(kept)
    for _ in range(5):
        bench.ok(Output(session_id=session.session_id))
        bench.ok(Refresh())
    assert list(kept) == before
    assert not bench.executor._running
    monkeypatch.setattr("teleclaude.sync.commands.executor.KEPT_BYTES", 3000)
    for number in range(20):
        bench.ok(Rename(session_id=session.session_id, title=f"title {number}"))
    assert 0 < sum(map(len, kept.values())) == bench.executor._bytes <= 3000


def test_a_session_that_has_ended_is_told_as_such(bench: Bench) -> None:
    """By its id and by its beginning; what never was is told otherwise."""
    session = bench.start()
    bench.start(title="keep")
    bench.ok(End(session_id=session.session_id))
    for ident in (session.session_id, session.session_id[:10]):
        outcome = bench.run(Output(session_id=ident))
        assert (outcome.code, outcome.message) == ("not_found", f"the session {ident} has ended")
    assert bench.run(Output(session_id="never-was")).message == "no session here has the id 'never-was'"


def test_hung_tmux_refuses_at_once(bench: Bench) -> None:
    """While tmux hangs commands are refused at once; one that was under way ends as unknown."""
    session = bench.start()
    pid = bench.tmux.stop()
    outcome = bench.run(Keys(session_id=session.session_id, keys=["a"]), within=0.3)
    assert outcome.status == "unknown"
    bench.local.half.look_now(0.05)
    until(lambda: bench.local.state() == "hung")
    for args in (Keys(session_id=session.session_id, keys=["a"]), Start(project="/tmp", agent="shell"), Refresh()):
        outcome = bench.run(args, within=5.0)
        assert (outcome.status, outcome.code) == ("error", "unavailable"), outcome
    bench.tmux.go_on(pid)
    until(lambda: bench.local.state() == "ok")
    assert bench.ok(Refresh()) == {}


def test_refresh_without_tmux(bench: Bench) -> None:
    """Where no server runs a refresh has nothing to say, and is no error."""
    assert bench.ok(Refresh()) == {}
    assert bench.flushed


def test_another_computer_tells_the_user_of_its_own_sessions_only(bench: Bench) -> None:
    """Whose sessions they are is who asks, whatever it says; more at once than is allowed is refused."""
    notice = SessionNotice(computer="somebody", session_id="ab", state="waiting")
    bench.ok(Notify(notices=[notice]), origin="raspi")
    assert [one.computer for one in bench.told] == ["raspi"]
    for wrong in ([], [notice] * 65):
        assert bench.run(Notify(notices=wrong), origin="raspi").code == "invalid"
    assert len(bench.told) == 1


# Explain.


def test_session_is_explained(bench: Bench) -> None:
    """A session says by which evidence it is said to do what it does; one that is not there is not found."""
    session = bench.start()
    bench.local.wait(lambda s: s.status == "idle")
    told = bench.ok(Explain(session_id=session.session_id[:6]))
    assert (told["session_id"], told["status"]) == (session.session_id, "idle")
    assert [piece["source"] for piece in told["evidence"] if piece["won"]] == ["process"]
    assert told["would_change"]
    assert bench.run(Explain(session_id="nobody")).code == "not_found"
