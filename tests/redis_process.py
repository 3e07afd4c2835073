"""A real redis-server for tests, on a unix socket, and the faults it can have."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import redis

from tests.wait import until


class RedisProcess:
    """One redis-server in a folder of its own, without persistence."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tcr", dir="/tmp"))
        self.path = self.folder / "redis.sock"
        self.url = f"unix://{self.path}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, empty."""
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.path), "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, 20)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.run("PING"))
        return False

    def run(self, *command: Any) -> Any:
        """Run one command on a connection of its own."""
        with redis.Redis.from_url(self.url, socket_timeout=10, decode_responses=True) as connection:
            return connection.execute_command(*command)

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
