"""A computer for tests: a full daemon with folders, runtime and tmux socket of its own, and a client's eye on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from teleclaude.core.paths import Places
from teleclaude.core.records import Session
from tests.wait import until

ROOT = Path(__file__).parents[1]


def request(path: Path, method: str, target: str, body: object = None, *, timeout: float = 15.0) -> tuple[int, bytes]:
    """One HTTP/1.1 request over a unix socket: (status, body). Raises OSError."""
    data = b"" if body is None else msgspec.json.encode(body)
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(head.encode() + b"\r\n" + data)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    header, _, content = answer.partition(b"\r\n\r\n")
    if not header:
        raise ConnectionError("closed without an answer")
    if b"transfer-encoding: chunked" in header.lower():
        raise ConnectionError("unexpected chunked answer")
    return int(header.split(None, 2)[1]), content


ALLOW = '[fleet.allow]\n"*" = ["view", "message", "start", "end", "shell"]\n'  # tests start shells, and no agents


class Machine:
    """One simulated computer. `start` brings the daemon up; `close` ends all that it made.

    `prefix`: words before the command of its daemon, such as those that put it into a network of its own.
    """

    def __init__(
        self, name: str, settings: str = "", environ: Mapping[str, str] | None = None, *, prefix: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.prefix = list(prefix)
        self.folder = Path(tempfile.mkdtemp(prefix="tc", dir="/tmp"))
        self.tmux_socket = f"tc-{os.path.basename(self.folder)}"
        self.place = Places(
            config=self.folder / "c", state=self.folder / "s", runtime=self.folder / "r", tmux_socket=self.tmux_socket
        )
        self.place.config.mkdir(mode=0o700)
        self.code = self.folder / "code"
        self.code.mkdir()
        self.write_settings(settings)
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("TELECLAUDE_", "TMUX"))},
            "TELECLAUDE_CONFIG_DIR": str(self.place.config),
            "TELECLAUDE_STATE_DIR": str(self.place.state),
            "TELECLAUDE_RUNTIME_DIR": str(self.place.runtime),
            "TELECLAUDE_TMUX_SOCKET": self.tmux_socket,
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "SHELL": "/bin/sh",
            "PS1": "$ ",
            **(environ or {}),
        }
        self.daemon: subprocess.Popen[bytes] | None = None

    def write_settings(self, more: str = "") -> None:
        """Write the settings file: name, one project root, and `more`."""
        text = f'[computer]\nname = "{self.name}"\n[projects]\nroots = ["{self.code}"]\n{ALLOW}{more}'
        self.place.settings_file.write_text(text, encoding="utf-8")
        self.place.settings_file.chmod(0o600)

    def start(self) -> Machine:
        """Start the daemon in the foreground of its own process, and wait until it serves data."""
        self.folder.joinpath("log").touch()
        with self.folder.joinpath("log").open("ab") as log:
            self.daemon = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "teleclaude.daemon"],
                env=self.environ,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.wait_until_serving()
        return self

    def wait_until_serving(self) -> None:
        """Wait until the daemon answers with data."""
        try:
            until(lambda: self.get_status("/sessions") == 200, 30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-3000:]}") from None

    def log(self) -> str:
        """What the daemon logged so far."""
        return self.folder.joinpath("log").read_text(encoding="utf-8", errors="replace")

    def get_status(self, target: str) -> int:
        """Status of a GET. Raises OSError."""
        return request(self.place.api_socket, "GET", target)[0]

    def get(self, target: str) -> Any:
        """JSON of a GET that must be answered 200."""
        status, body = request(self.place.api_socket, "GET", target)
        assert status == 200, (status, body)
        return msgspec.json.decode(body)

    def call(self, method: str, target: str, body: object = None) -> tuple[int, Any]:
        """(status, JSON) of a request."""
        status, data = request(self.place.api_socket, method, target, body)
        return status, msgspec.json.decode(data) if data else None

    def sessions(self, computer: str | None = None) -> list[Session]:
        """Sessions in the view, of one computer or of all."""
        target = "/sessions" if computer is None else f"/sessions?computer={computer}"
        return msgspec.convert(self.get(target), list[Session])

    def worker_pid(self, name: str) -> int:
        """Process id of a worker, as /health tells it."""
        return int(self.get("/health")["workers"][name]["pid"])

    def tmux(self, *args: str) -> str:
        """Run tmux on this computer's server, as its user would."""
        command = ["tmux", "-u", "-L", self.tmux_socket, "-f", "/dev/null", *args]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.rstrip("\n")

    @contextlib.contextmanager
    def hung(self, *workers: str) -> Iterator[None]:
        """Have workers hang, and the supervisor before them, or it would end what hangs."""
        assert self.daemon is not None
        pids = [self.daemon.pid, *(self.worker_pid(name) for name in workers)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    def clear(self) -> None:
        """End all sessions, and wait until the daemon has seen that; what a client kept or logged is gone."""
        with contextlib.suppress(subprocess.CalledProcessError):  # no server
            self.tmux("kill-server")
        for name in ("tui.json", "tui.log"):
            self.place.state.joinpath(name).unlink(missing_ok=True)
        until(lambda: not self.sessions(self.name), 20)

    def stop(self) -> int:
        """SIGTERM the daemon; its exit status."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
        return self.daemon.wait(20)

    def kill(self) -> None:
        """SIGKILL the supervisor; its workers end by themselves."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait()

    def close(self) -> None:
        """End the daemon and this computer's tmux server, and remove the folders."""
        if self.daemon is not None and self.daemon.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        with contextlib.suppress(subprocess.SubprocessError):
            self.tmux("kill-server")
        folder = Path(os.environ.get("TMUX_TMPDIR", "/tmp")) / f"tmux-{os.geteuid()}"
        folder.joinpath(self.tmux_socket).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
