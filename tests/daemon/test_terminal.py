"""The daemon in the foreground of a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from io import FileIO

import msgspec
import pytest

from tests.daemon.places import Daemon, alive, daemon, dutiful
from tests.wait import until

__all__ = ["daemon"]


@pytest.fixture
def terminal(daemon: Daemon) -> Iterator[FileIO]:
    """The other side of a terminal in which the daemon runs."""
    master, slave = pty.openpty()
    how = {name: dutiful(name) for name in ("cache", "sync", "web")}
    daemon.process = subprocess.Popen(
        [sys.executable, "-m", "tests.daemon.supervised", msgspec.json.encode(how).decode()],
        env=daemon.environ,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  (this process has one thread)
    )
    os.close(slave)
    with os.fdopen(master, "r+b", buffering=0) as screen:
        yield screen


def test_ctrl_c_ends_all_in_order(daemon: Daemon, terminal: FileIO) -> None:
    """Ctrl-C reaches the supervisor only, which ends its workers in order; nothing is left."""
    states = daemon.wait_for(all="running")
    terminal.write(b"\x03")
    text = b""
    while b"stopped" not in text:
        text += terminal.read(65536)
    assert daemon.process is not None
    assert daemon.process.wait(15) == 0
    ended = [line.split()[-2] for line in text.decode().splitlines() if line.endswith(" ended")]
    assert ended == ["web", "sync", "cache"]
    assert not any(alive(state.pid) for state in states.values())
    assert list(daemon.place.runtime.iterdir()) == []


def test_closed_terminal_ends_all(daemon: Daemon, terminal: FileIO) -> None:
    """A terminal window that is closed ends the daemon that ran in it, where SIGHUP else means: read the settings."""
    states = daemon.wait_for(all="running")
    terminal.close()
    assert daemon.process is not None
    assert daemon.process.wait(15) == 0
    assert not any(alive(state.pid) for state in states.values())


def test_terminal_that_is_held_keeps_nobody(daemon: Daemon, terminal: FileIO) -> None:
    """Output that nobody reads (Ctrl-S) fills the terminal; the daemon works on, and a killed worker comes back."""
    daemon.wait_for(all="running")
    terminal.write(b"\x13")
    for times in range(1, 4):
        os.kill(daemon.states()["web"].pid, 9)
        daemon.wait_restarted("web", times)
    terminal.write(b"\x11")
    until(lambda: b"web is ready" in terminal.read(65536))
