"""Lost sessions, on a real tmux whose server is killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from teleclaude.core.records import Session
from teleclaude.core.settings import parse
from teleclaude.core.verbs import End, Forget, Keys, Message, Rename, Restore
from teleclaude.sync.commands.restore import resumed_argv
from teleclaude.sync.sessions.agents.hook_event import HookEvent
from teleclaude.sync.sessions.session_journal import JournalClock, JournalEntry, SessionJournal, StoredJournal
from teleclaude.sync.tmux.boot_clock import since_boot
from tests.sync.commands.test_commands import Bench, StartHalf
from tests.sync.conftest import TmuxServer
from tests.wait import until

SETTINGS = """
[agents.claude]
command = "{0}/claude --flag"
thinking_modes = {{ deep = "--deep" }}
"""
# Says what it was given, and ends at once when told to resume what it does not know.
CLAUDE = """#!/bin/sh
echo "$@" >> {0}/calls
case "$*" in *--resume\\ unknown*) exit 1;; esac
exec {0}/sleeping 1000
"""


@pytest.fixture
def bench(tmux: TmuxServer, local: StartHalf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Commands, with a stand-in for Claude Code."""
    for name in ("SHELL", "PS1", "ENV"):
        monkeypatch.setenv(name, tmux.environ[name])
    script = folder / "claude"
    script.write_text(CLAUDE.format(folder))
    script.chmod(0o755)
    (folder / "sleeping").symlink_to("/bin/sleep")
    settings = SETTINGS.format(folder)
    return Bench(tmux, local(settings), folder, settings)


def kill_server(tmux: TmuxServer) -> None:
    """End the server as a crash does."""
    os.kill(tmux.pid, signal.SIGKILL)


def calls(bench: Bench) -> list[str]:
    """How the stand-in was started, each time."""
    return (bench.folder / "calls").read_text().splitlines()


def start(bench: Bench, agent_session: str = "its-own-id", **more: str) -> Session:
    """Start the stand-in, which tells its own session's id by a hook."""
    session = bench.start("claude", **more)
    bench.local.wait(lambda s: s.session_id == session.session_id and s.agent == "claude")
    if agent_session:
        pid = int(bench.tmux("display-message", "-p", "-t", session.tmux.pane, "#{pane_pid}"))
        event = HookEvent(
            agent="claude",
            event="SessionStart",
            at=since_boot(),
            parent=pid,
            pane=session.tmux.pane,
            server=bench.tmux.pid,
            body={"session_id": agent_session, "source": "startup"},
        )
        bench.local.half.call(lambda: _report(bench, event))
        until(lambda: any(entry.agent_session == agent_session for entry in bench.local.kept[-1].entries))
    return session


def _report(bench: Bench, event: HookEvent) -> None:
    bench.local.half._book.hooked([event], since_boot(), time.time() - since_boot())  # noqa: SLF001  (as a spool does)
    bench.local.half._publish()  # noqa: SLF001


def lost(bench: Bench, session: Session) -> Session:
    """Wait until a session is lost."""
    return bench.local.wait(lambda s: s.session_id == session.session_id and s.status == "lost")


def test_an_agent_is_lost_with_its_server_and_brought_back(bench: Bench) -> None:
    """When the server dies its agents are lost rows under their ids, and restored ones resume what they did."""
    session = start(bench, title="Mine", thinking_mode="deep")
    bench.start("shell")
    kill_server(bench.tmux)
    row = lost(bench, session)
    assert (row.title, row.cwd, row.agent, row.thinking_mode) == ("Mine", str(bench.folder), "claude", "deep")
    assert row.tmux.pane == row.tmux.session == ""
    assert [s.session_id for s in bench.local.sessions()] == [session.session_id]  # a shell is not offered
    back = bench.ok(Restore(session_id=session.session_id[:8]))["session"]
    assert (back["session_id"], back["title"], back["cwd"]) == (session.session_id, "Mine", str(bench.folder))
    assert back["status"] != "lost"
    assert back["tmux"]["name"] == session.tmux.name
    assert calls(bench) == ["--flag --deep", "--flag --deep --resume its-own-id"]
    assert [s.session_id for s in bench.local.sessions()] == [session.session_id]
    assert bench.run(Restore(session_id=session.session_id)).code == "conflict"


def test_a_resume_that_fails_is_offered_afresh(bench: Bench) -> None:
    """It is told, lost once more, and started afresh the next time; never resumed in a loop."""
    session = start(bench, "unknown")
    kill_server(bench.tmux)
    lost(bench, session)
    bench.tmux.new("other", "sleep", "1000")
    bench.local.wait(lambda s: s.tmux.name == "other")
    failed = bench.run(Restore(session_id=session.session_id))
    assert failed.code == "conflict"
    assert "afresh" in failed.message
    assert "afresh" in lost(bench, session).status_reason
    bench.ok(Restore(session_id=session.session_id))
    assert calls(bench) == ["--flag", "--flag --resume unknown", "--flag"]


def test_what_ended_on_purpose_is_not_lost(bench: Bench) -> None:
    """Neither a session that was ended by a command, nor one whose agent left, nor those of a server told to end."""
    ended, left, killed = start(bench), start(bench), start(bench)
    bench.ok(End(session_id=ended.session_id))
    pid = int(bench.tmux("display-message", "-p", "-t", left.tmux.pane, "#{pane_pid}"))
    os.kill(pid, signal.SIGTERM)
    until(lambda: {s.session_id for s in bench.local.sessions()} == {killed.session_id})
    bench.tmux("kill-server")
    until(lambda: bench.local.state() == "off" and not bench.local.sessions())
    last = start(bench)
    pid = int(bench.tmux("display-message", "-p", "-t", last.tmux.pane, "#{pane_pid}"))
    os.kill(pid, signal.SIGTERM)  # and its server ends with it
    until(lambda: bench.local.state() == "off" and not bench.local.sessions())


def test_a_lost_session_takes_nothing_but_its_return(bench: Bench) -> None:
    """Messages, keys and names are refused in words; to end it is to forget it."""
    one, two = start(bench), start(bench)
    kill_server(bench.tmux)
    for session in (one, two):
        lost(bench, session)
    for args in (
        Message(session_id=one.session_id, text="x"),
        Keys(session_id=one.session_id, keys=["x"]),
        Rename(session_id=one.session_id, title="x"),
    ):
        outcome = bench.run(args)
        assert outcome.code == "conflict"
        assert "restore it first" in outcome.message
    bench.ok(End(session_id=one.session_id))
    bench.ok(Forget(session_id=two.session_id))
    until(lambda: not bench.local.sessions())
    assert bench.run(Forget(session_id=two.session_id)).code == "not_found"
    assert not bench.local.kept[-1].entries


def test_a_reboot_is_told_by_the_next_daemon(bench: Bench, local: StartHalf) -> None:
    """What ran before the computer was started anew is lost; a daemon that only restarts loses nothing."""
    session = start(bench)
    kept = bench.local.kept[-1]
    again: list[StoredJournal] = []

    def journal(boot: str) -> SessionJournal:
        return SessionJournal(JournalClock(time.time, boot, time.time(), lambda _: kept.started), kept, again.append)

    same = local(journal=journal("boot"))
    assert same.wait(lambda s: s.session_id == session.session_id).status != "lost"
    other = local(journal=journal("another boot"))
    other.wait(lambda s: s.session_id == session.session_id)
    until(lambda: [entry.session_id for entry in again[-1].entries] == [session.session_id])


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("claude", "claude --resume own"),
        ("codex", "codex resume own"),
        ("gemini", "gemini --resume own"),
        ("opencode", "opencode --session own"),
    ],
)
def test_each_agent_resumes_by_its_own_words(agent: str, words: str) -> None:
    """An agent is given the id that it told; without one, or after a failure, it starts afresh."""
    entry = JournalEntry(session_id="abcd", agent=agent, agent_session="own")
    assert resumed_argv(entry, parse("")) == (words.split(), True)
    for fresh in (
        JournalEntry(session_id="abcd", agent=agent),
        JournalEntry(session_id="abcd", agent=agent, agent_session="own", failed=True),
    ):
        assert resumed_argv(fresh, parse("")) == ([agent], False)
