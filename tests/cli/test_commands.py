"""The command line, run as a user runs it, against a real daemon."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleclaude import __version__
from tests.machine import Machine
from tests.wait import until


def run(environ: dict[str, str], *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run `teleclaude`."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "teleclaude.cli.main", *words],
        env=environ,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A computer with a daemon."""
    made = Machine("here", '[agents.mute]\ncommand = "sleep 1000"\n')
    made.start()
    until(lambda: made.get("/health")["workers"]["supervisor"]["state"] == "running")
    yield made
    made.close()


@pytest.fixture
def idle() -> Iterator[Machine]:
    """A computer whose daemon does not run."""
    made = Machine("idle")
    yield made
    made.close()


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Standard output of a command that must have worked."""
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_version_and_help() -> None:
    """`--version` and `--help` need no daemon, and the help names every command."""
    assert said(run(dict(os.environ), "--version")) == f"teleclaude {__version__}\n"
    text = said(run(dict(os.environ), "--help"))
    for command in ("status", "sessions", "start", "message", "output", "end", "daemon", "service", "token"):
        assert f"\n  {command}" in text


@pytest.mark.parametrize(
    "words", [["bogus"], ["sessions", "--bogus"], ["message"], ["token"], ["output", "x", "--lines", "0"]]
)
def test_wrong_usage(words: list[str]) -> None:
    """Wrong words: the usage on standard error, exit status 2."""
    done = run(dict(os.environ), *words)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ")
    assert done.stdout == ""


@pytest.mark.parametrize("words", [["status"], ["sessions"], ["message", "abc", "x"], ["daemon", "reload"]])
def test_without_a_daemon(idle: Machine, words: list[str]) -> None:
    """Without a daemon: one sentence on standard error, exit status 1."""
    done = run(idle.environ, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("is_left_behind", [False, True])
def test_who_finds_no_daemon_is_told_what_to_do(idle: Machine, is_left_behind: bool) -> None:
    """Whether it never ran or was killed, and left its socket: the sentence names the command that starts it."""
    path = Path(idle.environ["TELECLAUDE_RUNTIME_DIR"]) / "api.sock"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if is_left_behind:
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(path))
    for words in (["sessions"], ["explain", "abc"], ["restore"], ["approve", "abc"]):
        done = run(idle.environ, *words)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "`teleclaude daemon start` starts it" in done.stderr
    path.unlink(missing_ok=True)
    assert "no tmux runs that could show it" in run(idle.environ, "next").stderr


def test_wrong_place(idle: Machine) -> None:
    """An environment that cannot be: one sentence that names the variable."""
    done = run({**idle.environ, "TELECLAUDE_STATE_DIR": "relative"}, "sessions")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: TELECLAUDE_STATE_DIR: must be an absolute path")


def test_status(machine: Machine) -> None:
    """`status` names each process with its pid and state, the services and the counts."""
    lines = said(run(machine.environ, "status")).splitlines()
    assert lines[0].startswith(f"here is ok (teleclaude {__version__}, pid ")
    for name in ("cache", "sync", "web"):
        (line,) = [line for line in lines if line.startswith(name)]
        assert line.split()[1:3] == ["running", str(machine.worker_pid(name))]
    assert any(line.startswith("tmux") for line in lines)
    assert any(line.startswith("1 computer, ") for line in lines)
    assert json.loads(said(run(machine.environ, "status", "--json")))["workers"]["web"]["state"] == "running"


def test_a_session_from_start_to_end(machine: Machine) -> None:
    """Started, listed, messaged, read and ended from the command line, by a short id."""
    folder = machine.code / "näher 近い"
    folder.mkdir()
    started = run(machine.environ, "start", str(folder), "--agent", "shell", "--title", "a title")
    ident = said(started).strip()
    listed = until(
        lambda: [x for x in json.loads(said(run(machine.environ, "sessions", "--json"))) if x["session_id"] == ident]
    )
    assert listed[0]["title"] == "a title"
    head, *rows = said(run(machine.environ, "sessions")).splitlines()
    assert head.split() == ["ID", "COMPUTER", "PROJECT", "AGENT", "STATUS", "AGE", "TITLE"]
    assert any(row.startswith(ident) and row.endswith("a title") for row in rows)
    short = ident[:8]
    sent = said(run(machine.environ, "message", short, "echo $((40+2)) one"))
    assert sent == "typed: nothing there shows whether it was taken\n"
    said(run(machine.environ, "message", short, given="echo $((40+2)) two"))
    output = until(lambda: "42 two" in (text := said(run(machine.environ, "output", short))) and text)
    assert "42 one" in str(output)
    assert "\x1b" not in str(output)
    refused = run(machine.environ, "end", short, given="\n")
    assert (refused.returncode, ident in said(run(machine.environ, "sessions"))) == (1, True)
    said(run(machine.environ, "end", short, "--yes"))
    until(lambda: ident not in said(run(machine.environ, "sessions")))


def test_a_first_message_that_cannot_be_sent(machine: Machine) -> None:
    """The id is printed, and standard error and exit status tell that the message was not sent, and why."""
    done = run(machine.environ, "start", str(machine.code), "--agent", "mute", "--message", "hello")
    ident = done.stdout.strip()
    assert done.returncode == 1
    assert "the message was not sent: nothing is known by which sleep shows" in done.stderr
    assert ident in said(run(machine.environ, "sessions"))
    said(run(machine.environ, "end", ident, "--yes"))


def test_filters(machine: Machine) -> None:
    """`sessions` shows only what was asked for; a status that does not exist is told."""
    assert said(run(machine.environ, "sessions", "--computer", "elsewhere")) == "no sessions\n"
    assert said(run(machine.environ, "sessions", "-q", "agent:nobody")) == "no sessions\n"
    done = run(machine.environ, "sessions", "--status", "bogus")
    assert (done.returncode, done.stdout) == (1, "")
    assert "status" in done.stderr
    assert json.loads(said(run(machine.environ, "sessions", "--json", "--project", "/nowhere"))) == []


def test_nothing_that_is_shown_acts_on_the_terminal(machine: Machine) -> None:
    """Escape sequences and bidi overrides in a folder's name come out as visible marks; in JSON they are escaped."""
    folder = machine.code / "\x1b]0;owned\x07\u202eevil"
    folder.mkdir()
    machine.tmux("new-session", "-d", "-s", "bad", "-c", str(folder))
    text = until(lambda: "evil" in (out := said(run(machine.environ, "sessions"))) and out)
    assert not set("\x1b\x07\u202e") & set(str(text))
    raw = said(run(machine.environ, "sessions", "--json"))
    assert raw.isascii()
    assert not set("\x1b\x07") & set(raw)


@pytest.mark.parametrize("ident", ["nosuchid", "../health", "%00", "x" * 5000, "--", "\u202e"])
def test_no_such_session(machine: Machine, ident: str) -> None:
    """An id that nobody has: one sentence, exit status 1 (2 where it is no word at all)."""
    done = run(machine.environ, "output", ident)
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "\u202e" not in done.stderr


def test_message_that_is_no_text(machine: Machine) -> None:
    """Bytes that are no UTF-8, or nothing at all, are refused by name."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "teleclaude.cli.main", "message", "abc"],
        env=machine.environ,
        input=b"\xff\xfe",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: text: is not UTF-8")
    assert run(machine.environ, "message", "abc").stderr == "Error: text: is empty\n"


def test_tokens(idle: Machine) -> None:
    """A token is shown once and stored as a hash only; it is listed by name, and revoked."""
    idle.place.state.mkdir(mode=0o700)
    token = said(run(idle.environ, "token", "create", "phone")).strip()
    stored = (idle.place.state / "tokens.json").read_text(encoding="utf-8")
    assert len(token) >= 43
    assert token not in stored
    assert [line.split() for line in said(run(idle.environ, "token", "list")).splitlines()] == [
        ["NAME", "COUNTS"],
        ["phone", "for", "ever"],
    ]
    said(run(idle.environ, "token", "revoke", "phone"))
    assert said(run(idle.environ, "token", "list")) == "no tokens\n"
    again = run(idle.environ, "token", "revoke", "phone")
    assert (again.returncode, again.stderr) == (1, "Error: no token is named 'phone'\n")
    assert run(idle.environ, "token", "create", "a\x1bb").returncode == 1


def test_daemon_commands(idle: Machine) -> None:
    """start, restart and stop say what they did, and restart gives another process."""
    first = said(run(idle.environ, "daemon", "start"))
    assert first.startswith("teleclaude runs now (pid ")
    pids = said(run(idle.environ, "daemon", "restart")).splitlines()
    assert pids[0].endswith("is stopped")
    assert pids[1] != first.strip()
    assert said(run(idle.environ, "daemon", "reload")).endswith("has taken its settings anew\n")
    assert said(run(idle.environ, "daemon", "stop")).endswith("is stopped\n")
    assert said(run(idle.environ, "daemon", "stop")) == "no teleclaude daemon runs\n"


def test_files_are_private(idle: Machine, tmp_path: Path) -> None:
    """What the command line writes is for the user alone, whatever the umask."""
    old = os.umask(0)
    try:
        said(run(idle.environ, "token", "create", "x"))
    finally:
        os.umask(old)
    assert (idle.place.state / "tokens.json").stat().st_mode & 0o077 == 0
