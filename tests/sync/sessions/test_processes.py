"""What runs in a pane."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from itertools import count

import pytest

from teleclaude.core.settings import AgentProfile
from teleclaude.sync.sessions import processes
from teleclaude.sync.sessions.processes import Foregrounds, is_interactive, profiles_by_signature, signature
from tests.wait import until


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("claude --resume x", "claude"),
        ("/usr/local/bin/claude", "claude"),
        ("node /usr/local/bin/claude", "claude"),
        ("node --no-warnings /opt/codex/bin/codex.js -x", "codex"),
        ("/usr/bin/python3.11 -u /opt/agent.py", "agent"),
        ("python -m agent", "agent"),
        ("/bin/sh /opt/agent.sh", "agent"),
        ("env A=b gemini", "gemini"),
        ("-bash", "bash"),
        ("bash", "bash"),
        ("vim claude", "vim"),
        ("grep claude codex.js", "grep"),
        ("", ""),
    ],
)
def test_signature(line: str, name: str) -> None:
    """A command line is named by what it runs, not by what only runs it nor by what it works on."""
    assert signature(line.split(" ")) == name


def test_signature_of_inline_scripts() -> None:
    """A script given as a word is not taken for a program's name."""
    assert signature(["sh", "-c", "echo claude; sleep 1"]) == "sh"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-bash", True),
        ("bash", True),
        ("/bin/zsh -l -i", True),
        ("bash --rcfile /tmp/x --posix", True),
        ("zsh -o vi", True),
        ("bash script.sh", False),
        ("sh -c true", False),
        ("bash -lc true", False),
        ("python3", False),
        ("", False),
    ],
)
def test_interactive(line: str, expected: bool) -> None:
    """A shell that runs a script is at no prompt."""
    assert is_interactive(line.split(" ")) is expected


def test_profiles() -> None:
    """Profiles are known by what they run; a plain shell is nobody's mark, and the first of equals wins."""
    agents = {
        "one": AgentProfile(command="claude"),
        "two": AgentProfile(command="claude --danger"),
        "sh": AgentProfile(command="bash"),
        "shell": AgentProfile(command=""),
    }
    assert profiles_by_signature(agents) == {"claude": "one"}
    found = Foregrounds(agents)
    assert found.are_same("two", "one")
    assert not found.are_same("shell", "one")
    assert not found.are_same("gone", "one")


def test_processes_that_are_gone() -> None:
    """A process that ended meanwhile is no error."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert processes.read_process(child.pid) is None
    assert processes.children(child.pid) == []
    assert processes.command_line(child.pid) == []
    assert Foregrounds({}).look(child.pid, "x", 0.0) == processes.Foreground()


def test_own_process() -> None:
    """A process' group, start and command line are those of /proc, also with a hostile name."""
    found = processes.read_process(os.getpid())
    assert found is not None
    assert found.group == os.getpgrp()
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import ctypes; ctypes.CDLL(None).prctl(15, b') Z 1 ('); print('x', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        named = processes.read_process(child.pid)
        assert named is not None
        assert named.group == os.getpgrp()
        assert child.pid in processes.children(os.getpid())
        child.communicate(b"\n")


def test_glance_tells_a_change() -> None:
    """Another process in the foreground, another folder, and that it is not what was last found, change a glance."""
    pid, fd = pty.fork()
    if pid == 0:  # pragma: no cover  (the child)
        os.execve("/bin/sh", ["sh", "-i"], {"PS1": "$ ", "PATH": os.environ["PATH"]})
    try:
        foregrounds, clock = Foregrounds({}), count(1e6, 100.0)
        until(lambda: foregrounds.look(pid, "sh", next(clock)).at_prompt)
        quiet = foregrounds.glance(pid)
        assert foregrounds.glance(pid) == quiet
        os.write(fd, b"sleep 100\n")
        until(lambda: foregrounds.glance(pid)[1] == b"sleep")
        assert foregrounds.glance(pid)[3]
        foregrounds.look(pid, "sleep", next(clock))
        assert not foregrounds.glance(pid)[3]
        os.write(fd, b"\x03")
        until(lambda: foregrounds.glance(pid)[:2] == quiet[:2])
        assert foregrounds.glance(pid) != quiet  # as it was, but another one was found meanwhile
        os.write(fd, b"cd /usr\n")
        until(lambda: foregrounds.glance(pid)[2] == "/usr")
    finally:
        os.close(fd)
        os.waitpid(pid, 0)
    assert foregrounds.glance(pid) == (0, b"", "", False)
