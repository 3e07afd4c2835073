"""Live output, whole: a screen of one computer on another one's terminal, over cuts and restarts; and what it costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.fleet import join_all
from tests.machine import Machine
from tests.redis_process import RedisProcess
from tests.sync.fleet.keyhole import Monitor, raw
from tests.terminal import Terminal
from tests.wait import until

BUSY = 20


class Watched:
    """A laptop and a raspi of one fleet; on the raspi runs a shell called `far`."""

    def __init__(self) -> None:
        self.redis = RedisProcess()
        self.laptop, self.raspi = Machine("laptop"), Machine("raspi")
        self.machines = (self.laptop, self.raspi)
        self.raspi.tmux("new-session", "-d", "-s", "far", "-x", "80", "-y", "20")
        self.captured = self.raspi.folder / "captured"
        self.captured.touch()
        self.raspi.tmux("set-hook", "-g", "after-capture-pane", f"run-shell 'echo x >>{self.captured}'")
        join_all(self.machines, self.redis.url)
        for machine in self.machines:
            machine.start()
        until(lambda: len([c for c in self.laptop.get("/computers") if c["status"] == "online"]) == 2, 30)

    def captures(self) -> int:
        """How often tmux on the raspi was asked for what stands in a pane."""
        return len(self.captured.read_text().split())

    def type(self, text: str) -> None:
        """Type into that shell, and Enter."""
        self.raspi.tmux("send-keys", "-t", "=far:", text, "Enter")

    def close(self) -> None:
        """End all of it."""
        for machine in self.machines:
            machine.close()
        self.redis.close()


@pytest.fixture(scope="module")
def fleet() -> Iterator[Watched]:
    """Both, running."""
    found = Watched()
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def looking(fleet: Watched) -> Iterator[Terminal]:
    """The laptop's client, which shows the screen of that shell."""
    terminal = Terminal([sys.executable, "-m", "teleclaude.tui"], fleet.laptop.environ)
    try:
        terminal.wait_for("raspi")
        terminal.send("Gl")
        terminal.wait_for("far", 20)
        until(lambda: terminal.send("G") or "far" in terminal.selected(), 20)  # type: ignore[func-returns-value]
        fleet.type("clear; echo $((40+2)) is the answer")
        terminal.send("v")
        terminal.wait_for("42 is the answer", 20)
        yield terminal
    finally:
        terminal.close()


def test_nobody_watches(fleet: Watched) -> None:
    """Many busy sessions: no screen is looked at by tmux, and none goes to Redis."""
    before = fleet.captures()
    monitor = Monitor(fleet.redis)
    for number in range(BUSY):
        command = "while :; do date +%N; sleep 0.05; done"
        fleet.raspi.tmux("new-session", "-d", "-s", f"busy{number}", "sh", "-c", command)
    try:
        until(lambda: len(fleet.raspi.sessions("raspi")) == BUSY + 1, 30)
        heard = {s.session_id: s.last_output for s in fleet.raspi.sessions("raspi")}
        monitor.commands.clear()  # those who looked before may just have told that they look away

        def all_wrote() -> bool:
            busy = [s for s in fleet.raspi.sessions("raspi") if s.tmux.name.startswith("busy")]
            return all(s.last_output > heard[s.session_id] for s in busy)

        until(all_wrote, 60)
        assert fleet.captures() == before
        assert raw(fleet.redis, "KEYS", "*screens:*") == []
    finally:
        monitor.close()
        for number in range(BUSY):
            fleet.raspi.tmux("kill-session", "-t", f"=busy{number}")
    assert "XADD" not in monitor.commands


def test_a_watched_screen_goes_on_over_everything(fleet: Watched, looking: Terminal) -> None:
    """With no key pressed: workers of both computers die, Redis goes and comes back, and what is typed is seen."""
    assert fleet.captures() > 0
    for number, (machine, worker) in enumerate((m, w) for m in fleet.machines for w in ("web", "sync", "cache")):
        pid = machine.worker_pid(worker)
        os.kill(pid, signal.SIGKILL)
        until(lambda machine=machine, worker=worker, pid=pid: _is_new(machine, worker, pid), 30)  # type: ignore[misc]
        fleet.type(f"echo after $((100+{number})) deaths")
        looking.wait_for(f"after {100 + number} deaths", 30)
    fleet.redis.kill()
    until(lambda: _redis(fleet.laptop) != "ok", 30)
    fleet.type("echo lost $((7*7))")
    fleet.redis.start()
    looking.wait_for("lost 49", 30)
    looking.send("\x1b")
    until(lambda: "lost 49" not in looking.text(), 10)
    until(lambda: raw(fleet.redis, "KEYS", "*screens:*") == [], 70)


def _is_new(machine: Machine, worker: str, pid: int) -> bool:
    """Whether a worker has started anew, and the daemon serves."""
    try:
        return machine.worker_pid(worker) != pid and machine.get("/health")["status"] == "ok"
    except (OSError, AssertionError):
        return False


def _redis(machine: Machine) -> str:
    """How a computer reaches Redis."""
    services = machine.get("/health")["services"]
    return next((str(s["state"]) for s in services if s["name"] == "redis"), "")


def test_the_end_of_a_watched_session_is_said(fleet: Watched, looking: Terminal) -> None:
    """Its last screen stays, with the reason why nothing more comes."""
    fleet.raspi.tmux("new-session", "-d", "-s", "stays")
    fleet.raspi.tmux("kill-session", "-t", "=far")
    looking.wait_for("has ended", 20)
    assert "42 is the answer" in looking.text()
    fleet.raspi.tmux("kill-session", "-t", "=stays")
    fleet.raspi.tmux("new-session", "-d", "-s", "far", "-x", "80", "-y", "20")


def test_follow(fleet: Watched) -> None:
    """`output ID --follow` prints each screen into a pipe, and paints it on a terminal, in colours."""

    def named() -> str:
        return next((s.session_id for s in fleet.raspi.sessions("raspi") if s.tmux.name == "far"), "")

    far = str(until(named))
    argv = [sys.executable, "-P", "-m", "teleclaude.cli.main", "output", far[:10], "--follow"]
    piped = subprocess.Popen(argv, env=fleet.raspi.environ, stdout=subprocess.PIPE, text=True)
    assert piped.stdout
    try:
        fleet.type("printf '\\033[31m%s\\n' r\"\"ed")
        lines = iter(piped.stdout.readline, "")
        assert any(line == "red\n" for line in lines)
        assert any(line == "\f\n" for line in lines)
        piped.send_signal(signal.SIGINT)
        assert piped.wait(20) == 0
    finally:
        piped.kill()
        piped.wait()
        piped.stdout.close()
    terminal = Terminal(argv, fleet.raspi.environ, rows=24, columns=80)
    try:
        terminal.wait_for("red", 20)
        row = next(number for number, line in enumerate(terminal.lines()) if line == "red")
        assert terminal.screen.buffer[row][0].fg == "red"
        fleet.raspi.tmux("new-session", "-d", "-s", "stays")
        fleet.raspi.tmux("kill-session", "-t", "=far")
        assert terminal.process.wait(20) == 1
        until(lambda: "has ended" in terminal.text())
    finally:
        terminal.close()
