"""A tmux server of the test's own, and the local half on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teleclaude.cache import wire
from teleclaude.core.records import Session
from teleclaude.core.settings import parse
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.local_loop import LocalLoop
from teleclaude.sync.own_records import OwnRecords
from teleclaude.sync.projects.project_service import ProjectService
from teleclaude.sync.sessions.agents.state_files import StateFiles
from teleclaude.sync.sessions.processes import read_process
from teleclaude.sync.sessions.session_journal import JournalClock, SessionJournal, StoredJournal
from teleclaude.sync.tmux.client import socket_path
from tests.wait import until


class TmuxServer:
    """A real tmux on a socket of its own, driven as its user would."""

    def __init__(self) -> None:
        self.name = f"tct-{uuid.uuid4().hex[:12]}"
        self.path = socket_path(self.name)
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("TMUX", "TELECLAUDE_"))}
        self.environ |= {"SHELL": "/bin/sh", "PS1": "$ ", "ENV": ""}
        self.stopped: set[int] = set()

    def __call__(self, *args: str, cwd: str | bytes | None = None) -> str:
        """Run a command; what it printed."""
        command = ["tmux", "-u", "-L", self.name, "-f", "/dev/null", *args]
        done = subprocess.run(command, env=self.environ, cwd=cwd, capture_output=True, timeout=20, check=False)
        if done.returncode:
            raise OSError(f"{args}: {done.stderr.decode()}")
        return done.stdout.decode("utf-8", "replace").rstrip("\n")

    def new(self, name: str, *command: str, cwd: str | bytes = "/tmp", size: tuple[int, int] = (100, 30)) -> str:
        """Start a detached session; its pane's id."""
        words = ["new-session", "-d", "-P", "-F", "#{pane_id}", "-s", name, "-x", str(size[0]), "-y", str(size[1])]
        return self(*words, *(["--", *command] if command else []), cwd=cwd)

    @property
    def pid(self) -> int:
        """The server's process."""
        return int(self("display-message", "-p", "#{pid}"))

    def stop(self) -> int:
        """SIGSTOP the server; its process."""
        pid = self.pid
        os.kill(pid, signal.SIGSTOP)
        self.stopped.add(pid)
        return pid

    def go_on(self, pid: int) -> None:
        """SIGCONT it."""
        os.kill(pid, signal.SIGCONT)
        self.stopped.discard(pid)

    def close(self) -> None:
        """End the server and remove its socket."""
        for pid in list(self.stopped):
            with contextlib.suppress(ProcessLookupError):
                self.go_on(pid)
        with contextlib.suppress(OSError):
            self("kill-server")
        self.path.unlink(missing_ok=True)


def _started(pid: int) -> int | None:
    process = read_process(pid)
    return process.started if process and not process.is_zombie else None


class Local:
    """A local half that runs in a thread, and what it tells."""

    def __init__(
        self,
        tmux: TmuxServer,
        settings: str = "",
        hooks: Path | None = None,
        journal: SessionJournal | None = None,
    ) -> None:
        self.ops: list[wire.Op] = []
        self.own = OwnRecords("here", self.ops.extend)
        parsed = parse(settings)
        projects = ProjectService("here", parsed.projects, ThreadGroup())
        self.hooks = hooks or Path(tempfile.mkdtemp(prefix="tc", dir="/tmp"))
        files = StateFiles(ThreadGroup())
        self.kept: list[StoredJournal] = []
        journal = journal or SessionJournal(
            JournalClock(time.time, "boot", 0.0, _started), StoredJournal(), self.kept.append
        )
        self.half = LocalLoop(parsed, tmux.name, self.own, projects, self.hooks / "spool", files, journal)
        self.beats = 0
        self._thread = threading.Thread(target=self.half.run, args=(self._beat,), daemon=True)
        self._thread.start()
        until(lambda: self.own.me)

    def _beat(self) -> None:
        self.beats += 1

    def sessions(self) -> list[Session]:
        """The records now."""
        return [record for record in self.own.snapshot("sessions")[1] if isinstance(record, Session)]

    def named(self, name: str) -> Session | None:
        """The first record of the tmux session of that name."""
        return next((session for session in self.sessions() if session.tmux.name == name), None)

    def wait(self, condition: Callable[[Session], object], timeout: float = 20.0) -> Session:
        """Wait for a record for which the condition holds."""
        return until(lambda: next((s for s in self.sessions() if condition(s)), None), timeout)  # type: ignore[return-value]

    def state(self) -> str:
        """How tmux is, by this computer's record."""
        me = self.own.me
        assert me is not None
        return me.services[0].state

    def close(self) -> None:
        """End it."""
        self.half.stop()
        self._thread.join(5)
        assert not self._thread.is_alive()
        shutil.rmtree(self.hooks, ignore_errors=True)


@pytest.fixture
def tmux() -> Iterator[TmuxServer]:
    """A tmux server's socket; the server runs from the first session on."""
    server = TmuxServer()
    yield server
    server.close()


@pytest.fixture
def local(tmux: TmuxServer) -> Iterator[Callable[..., Local]]:
    """Starts local halves on that server."""
    running: list[Local] = []

    def start(settings: str = "", hooks: Path | None = None, journal: SessionJournal | None = None) -> Local:
        running.append(Local(tmux, settings, hooks, journal))
        return running[-1]

    yield start
    for half in running:
        half.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name."""
    path = Path(tempfile.mkdtemp(prefix="tc", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
