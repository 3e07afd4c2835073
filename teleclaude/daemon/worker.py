"""One worker's process: started with a lifeline, heard, signalled, swept up. It decides nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence

from teleclaude.core.agent_environment import outside_agent
from teleclaude.core.lifeline import VARIABLE
from teleclaude.core.log import words_of
from teleclaude.core.text import visible

_LINE_LIMIT = 1000  # bytes of one line of a worker's standard error
_CHUNK = 65536

# What the service manager or the user's terminal gave to the supervisor only. A tmux server that a worker starts
# would keep it for ever, and hand it to all that runs in it.
_OURS = frozenset(
    {
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "MANAGERPID",
        "SYSTEMD_EXEC_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "TMUX",
        "TMUX_PANE",
    }
)


class Lines:
    """Cuts bytes into lines; a line over the limit is cut in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes, give the lines that are complete now, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_LIMIT:
            lines.append(self._rest)
            self._rest = b""
        return [line[start : start + _LINE_LIMIT] for line in lines for start in range(0, len(line), _LINE_LIMIT)]

    def rest(self) -> list[bytes]:
        """Give what came after the last line end, once nothing more comes."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class Worker:
    """A worker's process and the two pipes from it. `relay` is given each line of its standard error."""

    def __init__(self, name: str, command: Sequence[str], relay: Callable[[bytes], None]) -> None:
        self.name = name
        self.pid = 0
        self.last_line = ""
        self.status = ""
        self.line_ended = False
        """The lifeline is at its end: there is nothing more to wait for on it."""
        self._command = list(command)
        self._relay = relay
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._said, self._logged = Lines(), Lines()

    def start(self, environ: Mapping[str, str]) -> None:
        """Start the process. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            env = {key: value for key, value in outside_agent(environ).items() if key not in _OURS}
            env[VARIABLE] = str(theirs.fileno())
            try:
                # A session of its own: Ctrl-C and the terminal's end reach the supervisor only, and the group can
                # be swept up as one. A tmux server that it starts leaves the group by itself.
                self._process = subprocess.Popen(  # noqa: S603
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    env=env,
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        os.set_blocking(self.log_fd, False)
        self._line, self.pid = ours, self._process.pid
        self.last_line = self.status = ""
        self.line_ended = False
        self._said, self._logged = Lines(), Lines()

    @property
    def line_fd(self) -> int:
        """The lifeline, to wait for `ready`."""
        assert self._line is not None
        return self._line.fileno()

    @property
    def log_fd(self) -> int:
        """The worker's standard error."""
        assert self._process is not None
        assert self._process.stderr is not None
        return self._process.stderr.fileno()

    def hear(self) -> list[tuple[str, str]]:
        """Give what came over the lifeline, as word and text: `ready`, `beat`, `taken`; keep a `status`."""
        found = []
        for line in self._said.receive(self._heard()):
            word, _, text = line.decode(errors="replace").partition(" ")
            if word == "status":
                self.status = text
            found.append((word, text))
        return found

    def _heard(self) -> bytes:
        try:
            data = self._line.recv(_CHUNK) if self._line else b""
        except BlockingIOError:
            return b""
        except ConnectionError:
            data = b""
        self.line_ended = not data
        return data

    def relay_log(self) -> bool:
        """Pass on what the worker logged. False when it closed its standard error."""
        fd = self.log_fd
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return True
        self._pass_on(self._logged.receive(data))
        return bool(data)

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it is still there."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def reap(self) -> int | None:
        """Give the exit status once it ended (as subprocess: negative for a signal), else None.

        What it left in its process group is killed first: while the dead is not yet reaped, nobody else can get its
        number.
        """
        if self._process is None or os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        self._close()
        return code

    def _pass_on(self, lines: list[bytes]) -> None:
        for line in lines:
            text = visible(line.decode(errors="replace"))  # a traceback may hold anything
            self.last_line = words_of(text) or self.last_line
            self._relay(text.encode())

    def _close(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        self._pass_on(self._logged.receive(_drain(self.log_fd)) + self._logged.rest())
        self._process.stderr.close()
        if self._line is not None:
            self._line.close()
        self._process = self._line = None
        self.pid = 0


def _drain(fd: int) -> bytes:
    """Read all that is there without waiting; at most 1 MiB, so that a flood does not keep us."""
    parts: list[bytes] = []
    with contextlib.suppress(BlockingIOError):
        while len(parts) < 16 and (data := os.read(fd, _CHUNK)):
            parts.append(data)
    return b"".join(parts)


def how_it_ended(code: int, last_line: str) -> str:
    """Tell a person how a worker ended: by which status or signal, and its last words."""
    if code < 0:
        try:
            how = f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            how = f"was ended by signal {-code}"
    else:
        how = f"ended with status {code}"
    return f"{how}: {last_line}" if last_line else how
