"""A cache process and a web process, really running, with the test in the place of the sync process."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from teleclaude.cache import wire
from teleclaude.cache.cache_client import CacheClient
from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.lifeline import WorkerState
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.paths import Places, places
from teleclaude.core.records import Computer, Kind, Record, Session, Tmux
from teleclaude.core.request_wire import OutputEndFrame, OutputFrame
from teleclaude.core.requests import Outcome, Request
from teleclaude.core.verbs import Args
from tests.request_link import Asker
from tests.wait import until
from tests.web.raw_http import Answer, ask

LOCAL = "here"
STARTED_WITHIN = 60.0  # seconds; the machine may be busy

Answerer = Callable[[Args], dict[str, Any]]


def session(number: int, *, computer: str = LOCAL, **fields: Any) -> Session:
    """Make a session record."""
    values: dict[str, Any] = {
        "session_id": f"a{number:05d}",
        "computer": computer,
        "project": "/p",
        "title": f"session {number}",
        "status": "idle",
        "tmux": Tmux(name=f"t{number}", session=f"${number}", window=f"@{number}", pane=f"%{number}"),
    }
    return Session(**(values | fields))


class Daemon:
    """The two processes. `sync` is the cache's door that the sync process would use, `asker` its end for requests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "TELECLAUDE_CONFIG_DIR": str(folder / "config"),
            "TELECLAUDE_STATE_DIR": str(folder / "state"),
            "TELECLAUDE_RUNTIME_DIR": str(folder / "run"),
            "TELECLAUDE_TMUX_SOCKET": "unused",
        }
        self.place: Places = places(self.environment)
        for made in (self.place.config, self.place.state, self.place.runtime):
            made.mkdir(mode=0o700)
        self.place.key_file.write_bytes(secrets.token_bytes(32))
        self.settings(f'[computer]\nname = "{LOCAL}"\n')
        self.sync = CacheClient(self.place)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.requests: list[Request] = []
        self.answer: Answerer = lambda _: {}
        self._limits: list[str] = []
        self.asker: Asker | None = None

    def settings(self, text: str) -> None:
        """Write the settings."""
        self.place.settings_file.write_text(text, encoding="utf-8")

    def limit_fds(self, most: int) -> None:
        """Start workers with that many descriptors at most."""
        self._limits = ["prlimit", f"--nofile={most}:{most}"]

    @property
    def api(self) -> Path:
        """The unix socket of the web process."""
        return self.place.api_socket

    # Processes.

    def start(self, *names: str) -> None:
        """Start workers, and wait until they serve."""
        for name in names or ("cache", "web"):
            with (self.folder / f"{name}.log").open("ab") as out:
                argv = [*self._limits, sys.executable, "-m", f"teleclaude.{name}"]
                self.processes[name] = subprocess.Popen(argv, env=self.environment, stderr=out)  # noqa: S603
            until(self._serves_cache if name == "cache" else self._serves_web, STARTED_WITHIN)

    def _serves_cache(self) -> bool:
        try:
            return bool(self.sync.stats())
        except TeleclaudeError:
            return False

    def _serves_web(self) -> bool:
        return self.get("/openapi.json").status == 200

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """End a worker; gives how it ended."""
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(10)

    def log(self, name: str = "web") -> str:
        """What a worker logged."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def workers(self, **states: str) -> None:
        """Write what the supervisor would."""
        found = {name: WorkerState(state=state, pid=1) for name, state in states.items()}
        temporary = self.place.runtime / "workers.new"
        temporary.write_bytes(msgspec.json.encode(found))
        temporary.rename(self.place.workers_file)

    def close(self) -> None:
        """End all."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)
        self.drop_asker()

    # In the place of the sync process.

    def fill(self, *records: Record) -> tuple[str, int]:
        """Do the first look: this computer and what it has."""
        local = Computer(name=LOCAL, is_local=True)
        return self.put(local, *records, filled=True)

    def put(self, *records: Record, filled: bool = False) -> tuple[str, int]:
        """Put records, visible when this returns."""
        ops = wire.put(list(records)) + ([wire.Filled()] if filled else [])
        return self.sync.write(ops, flush=True)

    def reset(self) -> None:
        """Make what is cached as it was: three sessions, and no command was run."""
        ops: list[wire.Op] = [
            wire.ForgetComputer("other"),
            wire.ReplaceProjects(LOCAL, []),
            wire.ReplaceTodos(LOCAL, []),
        ]
        ops.append(wire.ReplaceSessions(LOCAL, [session(number) for number in range(3)]))
        self.sync.write(ops)
        self.fill()
        self.answer = lambda _: {}
        self.requests.clear()
        self.seen()

    def seen(self) -> None:
        """Wait until the web process' hub has seen all that is written."""
        version = self.sync.stats()["version"]
        until(lambda: f"data_version {version}.0".encode() in self.get("/metrics").body, STARTED_WITHIN)

    def run_commands(self, answer: Answerer | None = None) -> None:
        """Ask for requests, and answer them; again after the asker or the web process is gone."""
        self.answer = answer or self.answer
        if self.asker is None or self.asker.is_gone:
            self.asker = Asker(self.place.requests_socket, self._run)

    def drop_asker(self) -> None:
        """End as the sync process would when it is killed."""
        if self.asker:
            self.asker.close()
            self.asker = None

    @property
    def interest(self) -> dict[str, list[Kind]] | None:
        """What clients look at, as the sync process is told."""
        return self.asker.interest if self.asker and not self.asker.is_gone else None

    @property
    def watched(self) -> list[tuple[str, str]]:
        """What clients watch, as the sync process is told."""
        return self.asker.watched if self.asker and not self.asker.is_gone else []

    def end_output(self, session_id: str) -> None:
        """Send that nothing more comes of a watched screen."""
        assert self.asker
        self.asker.send(OutputEndFrame(LOCAL, session_id, "not_found", "the session has ended"))

    def emit(self, session_id: str, text: str) -> None:
        """Send a watched screen of a session here."""
        assert self.asker
        self.asker.send(
            OutputFrame(LOCAL, session_id, LiveScreen(rows=tuple(text.split("\n")), columns=80, cursor=(0, 1)))
        )

    def _run(self, request: Request) -> Outcome:
        self.requests.append(request)
        return Outcome(id=request.id, status="ok", data=self.answer(request.args))

    # As a client.

    def get(self, path: str, **headers: str) -> Answer:
        """GET over the unix socket."""
        return ask(self.api, "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def metric(self, name: str) -> float:
        """One number of /metrics."""
        lines = self.get("/metrics").body.decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"teleclaude_{name} "))

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a JSON body over the unix socket."""
        data = b"" if body is None else msgspec.json.encode(body)
        return ask(self.api, method, path, data, {"Content-Type": "application/json"} if data else {})


@contextlib.contextmanager
def daemon() -> Iterator[Daemon]:
    """A daemon in a folder of its own; nothing is left of it."""
    folder = Path(tempfile.mkdtemp(prefix="tc", dir="/tmp"))
    found = Daemon(folder)
    try:
        yield found
    finally:
        found.close()
        shutil.rmtree(folder)
