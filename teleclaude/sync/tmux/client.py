"""How this process reaches a tmux server: one command, one answer, without blocking or with a deadline.

A command goes over the server's socket in tmux' own protocol (imsg.py: no fork, no session, no trace), or through a
forked `tmux` where the server is none that imsg.py was made for. Never starts a server; commands.py does that.
`-L` is always said, so a daemon started inside tmux does not follow `$TMUX`; `-u` too, or a forked tmux without a
UTF-8 locale replaces tabs and accents.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import selectors
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from teleclaude.core.agent_environment import outside_agent
from teleclaude.core.errors import OutcomeUnknown, PeerError, Unavailable
from teleclaude.sync.tmux.imsg import Answer, Broken, Conversation

DIRECT_VERSIONS = frozenset({"3.2", "3.2a", "3.3", "3.3a", "3.4", "3.5", "3.5a"})
_READ_SIZE = 65536
_CREDENTIALS = struct.Struct("3i")
_PRIVATE = ("TMUX", "TMUX_PANE", "NOTIFY_SOCKET", "INVOCATION_ID", "JOURNAL_STREAM")
_PRIVATE_PREFIXES = ("TELECLAUDE_", "WATCHDOG_", "LISTEN_", "SYSTEMD_EXEC_")


class NoServer(Unavailable):
    """No tmux server runs there: nobody listens on its socket."""


class OtherServer(Unavailable):
    """Another server runs there than the caller knew: its ids mean nothing any more."""


class Hung(OutcomeUnknown):
    """tmux did not answer in time. Whether the command ran, or will, is unknown."""


class NotTaking(Unavailable):
    """tmux does not even take connections. The command did not run."""


class NotInstalled(Unavailable):
    """There is no tmux on this computer."""


class CommandFailed(Unavailable):
    """tmux answered that it could not; `message` is its complaint."""


class Query(Protocol):
    """A command under way."""

    def fileno(self) -> int:
        """Watch this for `mask`."""
        ...

    def mask(self) -> int:
        """selectors.EVENT_READ, and EVENT_WRITE while there is something to send."""
        ...

    def advance(self) -> Answer | None:
        """Do what can be done without waiting; the answer when it is complete. Raises PeerError when none comes."""
        ...

    def close(self) -> None:
        """End it, answered or not."""
        ...


def socket_path(name: str) -> Path:
    """Where the server called `name` (as in `tmux -L`; empty for the default) has its socket."""
    base = os.path.realpath(os.environ.get("TMUX_TMPDIR") or "/tmp")  # noqa: S108  (tmux' own choice)
    return Path(base) / f"tmux-{os.geteuid()}" / (name or "default")


def clean_environment() -> dict[str, str]:
    """Give the environment for a tmux: this process' own, without what is for the daemon, or an agent around it."""
    return {
        key: value
        for key, value in outside_agent(os.environ).items()
        if key not in _PRIVATE and not key.startswith(_PRIVATE_PREFIXES)
    }


class TmuxClient:
    """One tmux server, running or not. `direct`: speak its own protocol, once its version is known to be one of
    `DIRECT_VERSIONS`. Usable from any thread.
    """

    def __init__(self, name: str) -> None:
        self.name = name or "default"
        self.path = socket_path(name)
        self.direct = False

    def command_line(self, *args: str) -> list[str]:
        """Arguments of a forked tmux. Raises NotInstalled."""
        program = shutil.which("tmux")
        if program is None:
            raise NotInstalled("tmux is not installed, or not in PATH: install it, for example `apt-get install tmux`")
        return [program, "-u", "-L", self.name, *args]

    def is_running(self) -> bool:
        """Tell whether somebody listens on the server's socket."""
        try:
            self.connect().close()
        except NoServer:
            return False
        except NotTaking:
            pass
        return True

    def ask(self, *args: str, data: bytes = b"", server: int = 0) -> Query:
        """Begin a command. `data`: its standard input. `server`: run it only if that process is the server.

        Raises NoServer, OtherServer, NotTaking, NotInstalled, TooLarge.
        """
        connection = self.connect()
        try:
            if server and _server_of(connection) != server:
                raise OtherServer("the tmux server was restarted: its sessions are other ones now")
            if self.direct:
                return _SocketQuery(connection, args, data)
        except BaseException:
            connection.close()
            raise
        connection.close()
        return _ForkQuery(self.command_line(*args), data)

    def run(self, *args: str, timeout: float, data: bytes = b"", server: int = 0) -> bytes:
        """Run a command and give what it printed. Waits at most `timeout` seconds.

        Raises what `ask` raises, Hung, and CommandFailed with tmux' complaint.
        """
        deadline = time.monotonic() + timeout
        query = self.ask(*args, data=data, server=server)
        try:
            answer = _await(query, deadline)
        except Broken as error:
            raise Hung("the tmux server ended before it answered") from error
        finally:
            query.close()
        if not answer.ok:
            raise CommandFailed(f"tmux: {answer.error}")
        return answer.output

    def connect(self) -> socket.socket:
        """Connect to the server, without blocking then and later. Raises NoServer, NotTaking."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(str(self.path))
        except BlockingIOError as error:  # its queue of connections is full, so it has not accepted for long
            connection.close()
            raise NotTaking("tmux does not take connections: it hangs, or is stopped") from error
        except OSError as error:
            connection.close()
            if error.errno in {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}:
                raise NoServer("no tmux server is running") from error
            raise Unavailable(f"{self.path} cannot be used: {error.strerror}") from error
        return connection


def _server_of(connection: socket.socket) -> int:
    """Process that listens at the other end; 0 where the platform does not say."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return 0
    pid, _, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return int(pid)


def _await(query: Query, deadline: float) -> Answer:
    while True:
        answer = query.advance()
        if answer is not None:
            return answer
        wait = deadline - time.monotonic()
        mask = query.mask()
        poll = select.poll()
        poll.register(query.fileno(), select.POLLIN | (select.POLLOUT if mask & selectors.EVENT_WRITE else 0))
        if wait <= 0 or not poll.poll(wait * 1000):
            raise Hung("tmux did not answer in time: it hangs, or is stopped")


class _SocketQuery:
    """A command in tmux' own protocol."""

    def __init__(self, connection: socket.socket, args: tuple[str, ...], data: bytes) -> None:
        self._connection = connection
        self._conversation = Conversation(data)
        self._to_send = self._conversation.opening([os.fsencode(arg) for arg in args], os.getpid())

    def fileno(self) -> int:
        return self._connection.fileno()

    def mask(self) -> int:
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._to_send else 0)

    def advance(self) -> Answer | None:
        try:
            self._send()
            while self._conversation.answer is None:
                data = self._connection.recv(_READ_SIZE)
                self._to_send += self._conversation.receive_data(data)
                self._send()
        except BlockingIOError:
            pass
        except OSError as error:
            raise Broken(f"the conversation with tmux broke: {error.strerror}") from error
        return self._conversation.answer

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._to_send:
                sent = self._connection.send(self._to_send)
                self._to_send = self._to_send[sent:]

    def close(self) -> None:
        self._connection.close()


class _ForkQuery:
    """A command through a forked tmux."""

    def __init__(self, command_line: list[str], data: bytes) -> None:
        with _file_of(data) as source:
            self._process = subprocess.Popen(
                command_line,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,  # printed only by a command that fails
                env=clean_environment(),
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._output = bytearray()

    def fileno(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def mask(self) -> int:
        return selectors.EVENT_READ

    def advance(self) -> Answer | None:
        try:
            while data := os.read(self.fileno(), _READ_SIZE):
                self._output += data
        except BlockingIOError:
            return None
        try:
            status = self._process.wait(1.0)  # it closed its output: it is ending
        except subprocess.TimeoutExpired as error:
            raise PeerError("tmux closed its output but does not end") from error
        output = bytes(self._output)
        return Answer(status == 0, output, "" if status == 0 else output.decode("utf-8", "replace").strip())

    def close(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _file_of(data: bytes) -> contextlib.AbstractContextManager[int]:
    """Give a descriptor from which `data` is read, without a pipe that somebody has to feed."""
    if not data:
        fd = os.open(os.devnull, os.O_RDONLY)
    else:
        fd = os.memfd_create("teleclaude")
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
    return _closing(fd)


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
