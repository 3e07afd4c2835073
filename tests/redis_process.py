"""A real redis-server for tests, on a unix socket and where asked on TCP as well, and the faults it can have."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis

from tests.wait import until

_PORT = 6379  # on TCP, in a network namespace of its own


class RedisProcess:
    """One redis-server in a folder of its own, without persistence.

    `prefix`: words before its command; `address`: where it listens on TCP, besides its unix socket.
    """

    def __init__(self, *options: str, prefix: Sequence[str] = (), address: str = "", password: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tcr", dir="/tmp"))
        self.path = self.folder / "redis.sock"
        self.password = password  # the one that counts now
        self.url = f"redis://:{password}@{address}:{_PORT}" if address else f"unix://{self.path}"
        self._prefix = list(prefix)
        self._options = list(options)
        if address:
            self._options += ["--bind", address, "--protected-mode", "no"]
        if password:
            self._options += ["--requirepass", password]
        self._port = _PORT if address else 0
        self._kept = self.folder / "kept"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, empty."""
        self.folder.joinpath("dump.rdb").unlink(missing_ok=True)
        self._start()

    def _start(self) -> None:
        command = [*self._prefix, "redis-server", "--port", str(self._port), "--unixsocket", str(self.path)]
        command += ["--dir", str(self.folder), "--save", "", "--appendonly", "no", "--daemonize", "no"]
        self._process = subprocess.Popen(
            [*command, *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, 20)

    def keep(self) -> None:
        """Keep a copy of all that it holds now, for `start_with_kept`."""
        self.run("SAVE")
        self.folder.joinpath("dump.rdb").rename(self._kept)

    def start_with_kept(self) -> None:
        """Start it with what was kept, as from an old backup; empty when nothing was."""
        dump = self.folder / "dump.rdb"
        dump.unlink(missing_ok=True)
        if self._kept.exists():
            shutil.copy(self._kept, dump)
        self._start()
        dump.unlink(missing_ok=True)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.run("PING"))
        return False

    def run(self, *command: Any) -> Any:
        """Run one command on a connection of its own."""
        line = redis.Redis(
            unix_socket_path=str(self.path), password=self.password or None, socket_timeout=10, decode_responses=True
        )
        with line as connection:
            return connection.execute_command(*command)

    def change_password(self, password: str) -> None:
        """Take this password from now on (none: everybody), and throw everybody out."""
        self.run("CONFIG", "SET", "requirepass", password)
        self.password = password
        self.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def kill(self) -> None:
        """End it the hard way; what it held is lost."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None
        self.path.unlink(missing_ok=True)

    def restart(self) -> None:
        """Lose everything, and come back."""
        self.kill()
        self.start()

    def stop_the_clock(self) -> None:
        """Hang: it accepts connections and says nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Stop hanging."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
