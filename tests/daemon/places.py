"""Folders of one daemon under test, short enough for sockets, and a daemon whose workers a test chooses."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from teleclaude.core.lifeline import WorkerState
from teleclaude.core.paths import Places
from teleclaude.daemon.lifecycle import worker_states
from tests.wait import until

ROOT = Path(__file__).parents[2]

# A worker that does its duty and nothing else: ready, beats, ends on SIGTERM, counts SIGHUPs.
DUTIFUL = """
import os, signal, sys, time
from teleclaude.core.lifeline import Lifeline
life = Lifeline.from_environment()
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
def reload(*_):
    print("reloaded", sys.argv[1], file=sys.stderr, flush=True)
    life.settings_taken()
signal.signal(signal.SIGHUP, reload)
life.ready()
while True:
    life.beat()
    time.sleep(0.1)
"""


def dutiful(name: str) -> list[str]:
    """Command line of a dutiful worker."""
    return [sys.executable, "-c", DUTIFUL, name]


class Daemon:
    """A daemon in the foreground. `workers`: command lines in place of the usual; None for the real ones."""

    def __init__(self, workers: Mapping[str, list[str]] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tc", dir="/tmp"))
        self.place = Places(config=self.folder / "c", state=self.folder / "s", runtime=self.folder / "r")
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("TELECLAUDE_", "TMUX"))},
            "TELECLAUDE_CONFIG_DIR": str(self.place.config),
            "TELECLAUDE_STATE_DIR": str(self.place.state),
            "TELECLAUDE_RUNTIME_DIR": str(self.place.runtime),
            "TELECLAUDE_TMUX_SOCKET": self.folder.name,
            "XDG_CONFIG_HOME": str(self.folder / "xdg"),
            "PYTHONPATH": str(ROOT),
        }
        self.workers = workers
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **more: str) -> Daemon:
        """Start it, with `more` in its environment; do not wait."""
        how = {name: dutiful(name) for name in ("cache", "sync", "web")} if self.workers is None else self.workers
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.daemon.supervised", msgspec.json.encode(how).decode()],
                env={**self.environ, **more},
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self.process is not None
        return self.process.pid

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the daemon's own command line in these places."""
        return subprocess.run(
            [sys.executable, "-m", "teleclaude.daemon", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def states(self) -> dict[str, WorkerState]:
        """What the supervisor tells."""
        return worker_states(self.place)

    def wait_for(self, timeout: float = 20.0, **wanted: str) -> dict[str, WorkerState]:
        """Wait until each worker that is named is in the state that is given; `all` names all."""
        every = wanted.pop("all", "")
        wanted |= dict.fromkeys(("cache", "sync", "web"), every) if every else {}

        def reached() -> dict[str, WorkerState]:
            found = self.states()
            right = all(name in found and found[name].state == state for name, state in wanted.items())
            return found if right else {}

        try:
            return until(reached, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.states()}\n{self.log()}") from None

    def wait_restarted(self, name: str, times: int = 1) -> dict[str, WorkerState]:
        """Wait until a worker runs again for the nth time."""

        def again() -> dict[str, WorkerState]:
            found = self.states()
            return found if found[name].restarts == times and found[name].state == "running" else {}

        return until(again)

    def log(self) -> str:
        """All that was logged."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def close(self) -> None:
        """End what is there."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.command("stop")
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon with dutiful workers, not started yet."""
    made = Daemon()
    yield made
    made.close()


def alive(pid: int) -> bool:
    """Whether there is a process of that number that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2].split()
                if int(fields[1]) == pid and fields[0] != "Z":
                    found.append(int(entry.name))
    return found
