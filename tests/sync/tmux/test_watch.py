"""What happens in a real tmux is in the records by itself."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teleclaude.sync.sessions.session_records import COARSE
from teleclaude.sync.tmux.schedule import SAFETY
from tests.sync.conftest import Local, TmuxServer
from tests.wait import until

Start = Callable[..., Local]


@contextlib.contextmanager
def attached(tmux: TmuxServer, session: str) -> Iterator[int]:
    """A client on a pty of its own; its process."""
    pid, fd = pty.fork()
    if pid == 0:  # pragma: no cover  (the child)
        os.execvpe("tmux", ["tmux", "-u", "-L", tmux.name, "attach", "-t", session], {**tmux.environ, "TERM": "xterm"})
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.close(fd)
        os.waitpid(pid, 0)


def is_quiet(here: Local) -> bool:
    """Whether nothing is to be done for what happened so far."""
    watch = here.half._watch
    is_rested = watch.listening._ttys.next_due() is None
    return is_rested and not watch.listening.next_peek() and watch._schedule._asked is None


def test_new_session_is_seen(tmux: TmuxServer, local: Start) -> None:
    """A session that somebody starts is a record, with an id, its folder and its tmux ids."""
    here = local()
    tmux.new("a", cwd="/usr")
    session = here.wait(lambda s: s.tmux.name == "a" and s.status == "idle")
    assert session.computer == "here"
    assert session.cwd == "/usr"
    assert session.project == "/usr"
    assert session.title == "a"
    assert session.agent == "shell"
    assert session.tmux.pane.startswith("%")
    assert session.created_at.endswith("Z")
    assert session.last_activity


def test_rename_is_seen(tmux: TmuxServer, local: Start) -> None:
    """A session's new name is in its record, under the same id."""
    here = local()
    tmux.new("a")
    before = here.wait(lambda s: s.tmux.name == "a")
    tmux("rename-session", "-t", "a", "b")
    after = here.wait(lambda s: s.tmux.name == "b")
    assert after.session_id == before.session_id
    assert after.title == "b"
    assert here.named("a") is None


def test_end_is_seen(tmux: TmuxServer, local: Start) -> None:
    """A session that ends is gone, and the others are not."""
    here = local()
    tmux.new("a")
    tmux.new("b")
    here.wait(lambda s: s.tmux.name == "b")
    tmux("kill-session", "-t", "=a")
    until(lambda: here.named("a") is None)
    assert here.named("b") is not None


def test_exit_of_a_program_is_seen(tmux: TmuxServer, local: Start) -> None:
    """A pane whose program ends by itself is gone."""
    here = local()
    tmux.new("keep")
    tmux.new("a", "sh", "-c", "read line")
    here.wait(lambda s: s.tmux.name == "a")
    tmux("send-keys", "-t", "=a:", "Enter")
    until(lambda: here.named("a") is None)


def test_dead_pane_has_ended(tmux: TmuxServer, local: Start) -> None:
    """A pane that remains after its program ended says so, with the exit status, though tmux 3.3a does not look for it.

    It forgets to when the end of file comes before SIGCHLD, so it is sent one.
    """
    here = local()
    tmux.new("keep")
    tmux("set-option", "-g", "remain-on-exit", "on")
    tmux.new("a", "sh", "-c", "exit 3")
    here.wait(lambda s: s.tmux.name == "a" and (s.status, s.status_reason) == ("ended", "exit 3"))


def test_command_is_seen(tmux: TmuxServer, local: Start) -> None:
    """A command that runs in a shell is told, with the state; and its end."""
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.status == "idle")
    until(lambda: is_quiet(here))
    tmux("send-keys", "-t", "=a:", "sleep 100", "Enter")
    session = here.wait(lambda s: s.command == "sleep", 3)  # the terminal echoes for this shell: nothing writes
    assert (session.status, session.status_reason) == ("running", "sleep")
    tmux("send-keys", "-t", "=a:", "C-c")
    here.wait(lambda s: s.status == "idle")


def test_folder_is_seen(tmux: TmuxServer, local: Start) -> None:
    """A shell's new folder is told, and the project with it."""
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.status == "idle")
    tmux("send-keys", "-t", "=a:", "cd /usr", "Enter")
    assert here.wait(lambda s: s.cwd == "/usr").project == "/usr"


def test_title_is_seen(tmux: TmuxServer, local: Start) -> None:
    """A terminal's title is told."""
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.status == "idle")
    tmux("send-keys", "-t", "=a:", r"printf '\033]2;my title\033\\'", "Enter")
    here.wait(lambda s: s.title == "my title")


def test_change_while_a_terminal_rests_is_seen(tmux: TmuxServer, local: Start) -> None:
    """A change shortly after another one, when the terminal is not watched for a moment, is seen without a clock."""
    here = local()
    say = r"while read x; do printf '\033]2;one\033\\'; sleep 0.08; printf '\033]2;two %s\033\\' $x; done"
    tmux.new("a", "sh", "-c", say)
    here.wait(lambda s: s.tmux.name == "a")
    for number in range(4):
        until(lambda: is_quiet(here))
        tmux("send-keys", "-t", "=a:", str(number), "Enter")
        here.wait(lambda s, number=number: s.title == f"two {number}", 3)  # type: ignore[misc]  # safety looks: 5 s


def test_attached_clients_are_counted(tmux: TmuxServer, local: Start) -> None:
    """Clients that attach and leave are told."""
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.attached == 0)
    with attached(tmux, "a"):
        here.wait(lambda s: s.attached == 1, 3)  # none of it is left to the safety look, which comes every 5 s
        with attached(tmux, "a"):
            here.wait(lambda s: s.attached == 2, 3)
        here.wait(lambda s: s.attached == 1)
    here.wait(lambda s: s.attached == 0)


def test_activity_is_seen_and_does_not_storm(tmux: TmuxServer, local: Start) -> None:
    """A pane that writes all the time is working, and changes its record a few times, not with each line."""
    here = local()
    tmux.new("a", "sh", "-c", "while :; do echo x; sleep 0.01; done")
    tty = tmux("display-message", "-p", "-t", "=a:", "#{pane_tty}")
    wrote_at = here.half._watch.listening.wrote_at
    until(lambda: wrote_at(tty))
    changes = here.own.heads()["sessions"]
    began = time.time()
    for _ in range(10):
        last = wrote_at(tty)
        until(lambda last=last: wrote_at(tty) > last)  # type: ignore[misc]
        assert here.half.look_now(10)
    assert here.own.heads()["sessions"] - changes <= 2 + (time.time() - began) / COARSE


def test_output_and_titles_look_at_no_other_pane(tmux: TmuxServer, local: Start) -> None:
    """Output that goes on, and a title that changes, lead to no look at all panes; only the safety look does."""
    here = local()
    tmux.new("a", "sh", "-c", "while :; do printf '\\r\\033[2K%s' $((n += 1)); sleep 0.05; done")
    tmux.new("b", "sh", "-c", r"while read x; do printf '\033]2;title %s\033\\' $x; done")
    tty = tmux("display-message", "-p", "-t", "=a:", "#{pane_tty}")
    watch = here.half._watch
    here.wait(lambda s: s.tmux.name == "b")
    until(lambda: watch.listening.wrote_at(tty))
    until(lambda: watch._schedule._asked is None and not here.half.identities.unwritten())
    begun, since = watch.begun, time.monotonic()
    for number in range(5):
        last = watch.listening.wrote_at(tty)
        until(lambda last=last: watch.listening.wrote_at(tty) > last)  # type: ignore[misc]
        tmux("send-keys", "-t", "=b:", str(number), "Enter")
        here.wait(lambda s, number=number: s.title == f"title {number}")  # type: ignore[misc]
    assert watch.begun - begun <= 1 + (time.monotonic() - since) / SAFETY


def test_a_sessions_row_stays_whatever_pane_is_active(tmux: TmuxServer, local: Start) -> None:
    """Windows and panes that are made and chosen change the pane of a session's record, not its id; nor does an end."""
    here = local()
    first = tmux.new("a")
    own = here.wait(lambda s: s.tmux.pane == first).session_id
    split = tmux("split-window", "-P", "-F", "#{pane_id}", "-t", "=a:")
    here.wait(lambda s: (s.session_id, s.tmux.pane, s.tmux.panes) == (own, split, 2))
    window = tmux("new-window", "-P", "-F", "#{pane_id}", "-t", "=a:")
    here.wait(lambda s: (s.session_id, s.tmux.pane) == (own, window))
    tmux("select-window", "-t", "=a:0", ";", "select-pane", "-t", first)
    here.wait(lambda s: (s.session_id, s.tmux.pane) == (own, first))
    tmux("kill-pane", "-t", first)
    here.wait(lambda s: (s.session_id, s.tmux.pane, s.tmux.panes) == (own, split, 2))
    assert len(here.sessions()) == 1


def test_sessions_that_share_a_window_have_a_row_each(tmux: TmuxServer, local: Start) -> None:
    """A session whose current window is linked from another one, or of its group, is there, under its own name."""
    here = local()
    tmux.new("a")
    tmux.new("b")
    tmux("link-window", "-s", "=a:0", "-t", "=b:5", ";", "select-window", "-t", "=b:5")
    tmux("new-session", "-d", "-t", "=a", "-s", "grouped")
    until(lambda: sorted(s.tmux.name for s in here.sessions()) == ["a", "b", "grouped"])
    assert len({s.session_id for s in here.sessions()}) == 3
    tmux("kill-session", "-t", "=a")
    until(lambda: sorted(s.tmux.name for s in here.sessions()) == ["b", "grouped"])


AGENT = '[agents.fake]\ncommand = "{0}/fake-agent"\n[agents.piper]\ncommand = "python3 {0}/piper.py --fast"\n'


@pytest.fixture
def agents(folder: Path) -> str:
    """Settings with two agents: a shell script, and a Python program."""
    script = folder / "fake-agent"
    script.write_text("#!/bin/sh\nwhile read line; do printf '\\033]2;%s\\033\\\\' \"$line\"; done\n")
    script.chmod(0o755)
    (folder / "piper.py").write_text("import sys\nfor line in sys.stdin: pass\n")
    return AGENT.format(folder)


def test_agents_are_found_behind_their_runners(tmux: TmuxServer, local: Start, agents: str, folder: Path) -> None:
    """An agent that nobody started through us is seen, also behind sh and python, and when typed into a shell."""
    here = local(agents)
    tmux.new("direct", f"{folder}/fake-agent", cwd=str(folder))
    tmux.new("python", "python3", f"{folder}/piper.py", "--slow", cwd=str(folder))
    tmux.new("typed", cwd=str(folder))
    tmux("send-keys", "-t", "=typed:", "./fake-agent", "Enter")
    tmux.new("other", "python3", "-c", "input()", cwd=str(folder))
    for name, agent in (("direct", "fake"), ("python", "piper"), ("typed", "fake"), ("other", "other")):
        here.wait(lambda s, name=name, agent=agent: (s.tmux.name, s.agent) == (name, agent), 3)  # type: ignore[misc]


def test_a_row_stays_when_an_agent_begins_and_ends_in_it(
    tmux: TmuxServer, local: Start, agents: str, folder: Path
) -> None:
    """A shell in which somebody starts an agent, and ends it, is one row all the time."""
    here = local(agents)
    tmux.new("a", cwd=str(folder))
    own = here.wait(lambda s: s.status == "idle").session_id
    tmux("send-keys", "-t", "=a:", "./fake-agent", "Enter")
    here.wait(lambda s: (s.agent, s.session_id) == ("fake", own))
    tmux("send-keys", "-t", "=a:", "C-c")
    here.wait(lambda s: (s.agent, s.session_id) == ("shell", own))
    assert len(here.sessions()) == 1


def test_agents_panes_are_all_shown(tmux: TmuxServer, local: Start, agents: str, folder: Path) -> None:
    """Each agent's pane is a record, active or not, and stands for its session."""
    here = local(agents)
    tmux.new("a", f"{folder}/fake-agent")
    tmux("split-window", "-d", "-t", "=a:", f"{folder}/fake-agent")
    tmux("split-window", "-t", "=a:")
    until(lambda: [s.agent for s in here.sessions()] == ["fake", "fake"])


def test_marks_in_an_agents_title_are_its_state(tmux: TmuxServer, local: Start, agents: str, folder: Path) -> None:
    """A spinner before the title means working, a star idle; neither is part of the title."""
    here = local(agents)
    pane = tmux.new("a", f"{folder}/fake-agent")
    here.wait(lambda s: s.agent == "fake")

    def say(title: str) -> None:
        tmux("send-keys", "-t", pane, "-l", title)
        tmux("send-keys", "-t", pane, "Enter")

    say("⠂ Mending")
    session = here.wait(lambda s: s.status == "working" and s.title == "Mending")
    changes = here.own.heads()["sessions"]
    say("⠐ Mending")
    here.half.look_now(5)
    assert here.own.heads()["sessions"] - changes <= 1  # at most the time of its output
    say("✳ Mending")
    assert here.wait(lambda s: s.status == "idle" and s.title == "Mending").status_since > session.status_since


HOSTILE = [
    b"#(touch {pwned})",
    b"a\nb\tc",
    b"\x1b]0;x\x07",
    b"x;",
    b"caf\xc3\xa9 \xff",
    b"$(touch {pwned})",
    b"<b>|'\"",
]


def test_hostile_folders_titles_and_names(tmux: TmuxServer, local: Start, folder: Path) -> None:
    """Newlines, escapes, commands and bytes that are no UTF-8 spoil no record, and nothing is run."""
    pwned = folder / "pwned"
    here = local()
    pane = ""
    for number, text in enumerate(HOSTILE):
        name = text.replace(b"{pwned}", b"pwned")
        path = os.fsencode(folder) + b"/" + name
        os.mkdir(path)
        pane = tmux.new(f"s{number}", "sleep", "1000", cwd=path)
        subprocess.run(["tmux", "-L", tmux.name, "rename-window", "-t", pane, name.replace(b"#", b"##")], check=True)
        here.wait(lambda s, path=path: s.cwd == path.decode("utf-8", "replace"))  # type: ignore[misc]
    tmux("select-pane", "-t", pane, "-T", "title ##(touch x) ; 'q\" \u202e ✳")
    here.wait(lambda s: s.title == "title #(touch x) ; 'q\" \u202e ✳")
    tmux("rename-session", "-t", "=s0", 'na\'me "%1" $1')
    here.wait(lambda s: s.tmux.name == 'na\'me "%1" $1')
    assert len(here.sessions()) == len(HOSTILE)
    assert not pwned.exists()
    assert not Path("pwned").exists()  # the server's folder, where tmux would run it


def test_short_lived_sessions_cost_nobody_their_id(tmux: TmuxServer, local: Start) -> None:
    """A session that ends before its id is written into tmux is let go; those made afterwards get theirs kept."""
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.status == "idle")
    tmux("set-hook", "-g", "after-set-option", "kill-session -t =brief")  # gone in the middle of what writes the ids
    tmux.new("brief", "sleep", "100")
    until(lambda: tmux("list-sessions", "-F", "#{session_name}") == "a")
    tmux.new("b")
    session = here.wait(lambda s: s.tmux.name == "b")
    until(lambda: not here.half.identities.unwritten(), 4)
    assert session.session_id in tmux("show-options", "-v", "-t", "=b:", "@teleclaude_session")


def test_three_hundred_sessions(tmux: TmuxServer, local: Start) -> None:
    """300 sessions made at once are all there with ids of their own, and a change among them is seen."""
    here = local()
    tmux.new("first", "sleep", "1000")
    words: list[str] = []
    for number in range(299):
        words += [";", "new-session", "-d", "-s", f"n{number}", "sleep 1000"]
    tmux(*words[1:])
    until(lambda: len(here.sessions()) == 300, 30)
    assert len({session.session_id for session in here.sessions()}) == 300
    until(lambda: not here.half.identities.unwritten(), 20)
    kept = tmux("list-sessions", "-F", "#{@teleclaude_session}").splitlines()
    assert {session.session_id for session in here.sessions()} == {text.split('"')[3] for text in kept}
    tmux("rename-session", "-t", "=n7", "renamed")
    here.wait(lambda s: s.tmux.name == "renamed")
