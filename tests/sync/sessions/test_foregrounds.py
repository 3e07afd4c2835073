"""What runs in a pane."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from teleclaude.core.settings import BUILT_IN_AGENTS, AgentProfile
from teleclaude.sync.sessions import processes
from teleclaude.sync.sessions.foregrounds import NOTHING_KNOWN, Foreground, Foregrounds
from tests.wait import until


def test_same_profiles() -> None:
    """Two profiles that run the same program are told by what a session was started as."""
    found = Foregrounds(
        {
            "one": AgentProfile(command="claude"),
            "two": AgentProfile(command="claude --danger"),
            "shell": AgentProfile(command=""),
        }
    )
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
    assert Foregrounds({}).look(child.pid, "x", 0.0) == NOTHING_KNOWN


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


class _Terminal:
    """A shell at a terminal of its own, as a pane has it."""

    def __init__(self, pid: int, fd: int, agents: dict[str, AgentProfile]) -> None:
        self.pid, self.fd = pid, fd
        self.foregrounds = Foregrounds(agents)
        self._clock = count(1e6, 100.0)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def look(self) -> Foreground:
        """What runs, looked at so late that nothing found before holds by its age."""
        leader = processes.read_process(processes.read_process(self.pid).foreground)  # type: ignore[union-attr]
        return self.foregrounds.look(self.pid, leader.name.decode() if leader else "", next(self._clock))

    def runs(self, agent: str) -> bool:
        return self.look().profile == agent

    def is_at_prompt(self) -> bool:
        return self.look().at_prompt


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[..., Path]:
    """Makes a program of that name, which sleeps."""

    def make(name: str) -> Path:
        made = tmp_path / name
        made.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(shutil.which("sleep") or "", made)
        return made

    return make


@contextlib.contextmanager
def _terminal(agents: dict[str, AgentProfile] = BUILT_IN_AGENTS, **environment: str) -> Iterator[_Terminal]:
    pid, fd = pty.fork()
    if pid == 0:  # pragma: no cover  (the child)
        words = ["bash", "--norc", "--noprofile", "-i"]
        os.execve("/bin/bash", words, {"PS1": "$ ", "PATH": os.environ["PATH"], **environment})
    try:
        yield _Terminal(pid, fd, agents)
    finally:
        below = list(_below(pid))
        os.close(fd)
        for each in [*below, pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        os.waitpid(pid, 0)


def _below(pid: int) -> Iterator[int]:
    for child in processes.children(pid):
        yield child
        yield from _below(child)


@pytest.mark.parametrize(
    "how",
    [
        "{claude} 100",
        "timeout 100 {claude} 100",
        "sh -c '{claude} 100; true'",
        "sh -c 'true; {claude} 100 & wait'",
        "setsid -w {claude} 100",
        "script -qec '{claude} 100; true' /dev/null",
        "script -qec 'script -qec \"{claude} 100; true\" /dev/null; true' /dev/null",
        "true | {claude} 100",
        "bash --norc -ic '{claude} 100; true'",
        "{python} -c 'import subprocess, threading as t; "
        'x = t.Thread(target=subprocess.run, args=(["{claude}", "100"],)); x.start(); x.join()\'',
    ],
)
def test_an_agent_is_found_however_it_runs(how: str, stand_in: Callable[..., Path]) -> None:
    """An agent is found below what runs it: in other groups, sessions and terminals, and when a thread started it."""
    with _terminal() as terminal:
        until(terminal.is_at_prompt)
        terminal.type(how.format(claude=stand_in("claude"), python=sys.executable) + "\n")
        until(lambda: terminal.runs("claude"))
        until(lambda: processes.command_line(terminal.look().pid)[0].endswith("claude"))
        assert not terminal.look().at_prompt


@pytest.mark.parametrize("name", [".claude-wrapped", "claude-unwrapped", "claude-raw", "claude.exe"])
def test_an_agent_is_found_under_a_packagers_name(name: str, stand_in: Callable[..., Path]) -> None:
    """What a packager put around an agent's name hides it not."""
    with _terminal() as terminal:
        terminal.type(f"{stand_in(name)} 100\n")
        until(lambda: terminal.runs("claude"))


def test_an_agent_in_the_background_is_not_in_front(stand_in: Callable[..., Path]) -> None:
    """While an agent is suspended, or a job, its shell is what the pane runs; in front again, it is found again."""
    with _terminal() as terminal:
        terminal.type(f"{stand_in('claude')} 100\n")
        until(lambda: terminal.runs("claude"))
        terminal.type("\x1a")
        until(terminal.is_at_prompt)
        assert terminal.look().profile == ""
        terminal.type("sleep 100\n")
        until(lambda: not terminal.is_at_prompt())
        assert terminal.look().profile == ""
        terminal.type("\x03fg\n")
        until(lambda: terminal.runs("claude"))
        terminal.type(
            f"\x1abg; script -qec '{stand_in('codex')} 100; true' /dev/null </dev/null >/dev/null & sleep 99\n"
        )
        until(lambda: any("codex" in processes.command_line(pid)[0] for pid in _below(terminal.pid)))
        assert terminal.look().profile == ""


def test_an_agent_in_a_nested_terminal_is_suspended(stand_in: Callable[..., Path]) -> None:
    """In a shell inside of `script` too, a glance tells when an agent starts, is suspended, or ends."""
    with _terminal() as terminal:
        terminal.type("script -qc 'bash --norc --noprofile -i' /dev/null\n")
        until(lambda: any("-i" in processes.command_line(pid) for pid in list(_below(terminal.pid))))
        assert terminal.look().profile == ""
        until(lambda: not terminal.look().at_prompt and not terminal.foregrounds.glance(terminal.pid)[3])
        terminal.type(f"{stand_in('claude')} 100\n")
        until(lambda: terminal.foregrounds.glance(terminal.pid)[3])
        until(lambda: terminal.runs("claude"))
        assert not terminal.foregrounds.glance(terminal.pid)[3]
        terminal.type("\x1a")
        until(lambda: terminal.foregrounds.glance(terminal.pid)[3])
        until(lambda: terminal.runs(""))


def test_a_glance_finds_an_agent_that_a_young_program_starts(tmp_path: Path, stand_in: Callable[..., Path]) -> None:
    """What a wrapper starts a while after it began is told by the next glance, though the wrapper leads as before."""
    go = tmp_path / "go"
    with _terminal() as terminal:
        until(terminal.is_at_prompt)
        terminal.type(f"sh -c 'until [ -e {go} ]; do sleep 0.02; done; {stand_in('claude')} 100; true'\n")
        until(lambda: not terminal.is_at_prompt() and not terminal.foregrounds.glance(terminal.pid)[3])
        go.touch()
        until(lambda: terminal.foregrounds.glance(terminal.pid)[3])
        until(lambda: terminal.runs("claude"))


def test_what_was_found_holds() -> None:
    """What is no agent is not walked again while its pane writes nothing; nor an agent's pane while it is in front."""
    with _terminal() as terminal:
        until(terminal.is_at_prompt)
        terminal.type("sleep 100\n")
        until(lambda: not terminal.is_at_prompt())
        found, pid = terminal.foregrounds, terminal.pid
        first = found.look(pid, "sleep", 5e6, wrote=4e6)
        assert found.look(pid, "sleep", 5e6 + 50, wrote=4e6) is first
        assert found.look(pid, "sleep", 5e6 + 51, wrote=5e6 + 50) is not first


@pytest.mark.parametrize(("name", "agent"), [("codex", "codex"), ("nobody", ""), ("shell", "")])
def test_the_environment_names_an_agent(name: str, agent: str) -> None:
    """`TELECLAUDE_AGENT` tells what a process is, when it names a profile."""
    with _terminal() as terminal:
        terminal.type(f"TELECLAUDE_AGENT={name} sh -c 'sleep 100; true'\n")
        until(lambda: name in {processes.hint(pid) for pid in _below(terminal.pid)})
        until(lambda: not terminal.is_at_prompt())
        assert terminal.look().profile == agent


def test_the_environment_of_a_panes_shell_names_none() -> None:
    """What a pane's own shell has in its environment, and so all that it runs, tells nothing of any of it."""
    with _terminal(TELECLAUDE_AGENT="codex") as terminal:
        until(terminal.is_at_prompt)
        terminal.type("sleep 100\n")
        until(lambda: not terminal.is_at_prompt())
        assert "codex" in {processes.hint(pid) for pid in _below(terminal.pid)}
        assert terminal.look().profile == ""


def test_programs_to_detect(stand_in: Callable[..., Path]) -> None:
    """A program that a profile names is that agent."""
    with _terminal({"mine": AgentProfile(command="my-agent", detect=("other-name",))}) as terminal:
        terminal.type(f"timeout 100 {stand_in('other-name')} 100\n")
        until(lambda: terminal.runs("mine"))
