"""What tells that something happened in tmux, other than output: sessions and windows, the server, its clients.

`Notifier`: a control client without a session that waits for a channel nobody signals. It is in no list, keeps no
server alive, and is told of sessions and windows made, renamed and closed, of splits, and of clients that leave. It is
made in tmux' own protocol; a `tmux -C` of our own could end the server (imsg.py tells how). `SocketWatch`: inotify on
the folder of the server's socket, which appears with the server and whose mode tmux changes when the first client
attaches and the last one leaves. `ClientWatch`: nothing tells of a further client that attaches (tmux is handed its
terminal and opens nothing; a control client without a session is not told), but each is one more open file of the
server, so the kernel is asked for their number once a second. This is the one thing here that goes by the clock.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import socket
from pathlib import Path

from inotify_simple import flags

from teleclaude.core.errors import Unavailable
from teleclaude.sync.tmux.client import TmuxClient
from teleclaude.sync.tmux.file_events import FileEvents
from teleclaude.sync.tmux.imsg import control_opening, says_end

_FOLDER_MASK = (
    flags.CREATE | flags.DELETE | flags.ATTRIB | flags.MOVED_TO | flags.MOVED_FROM | flags.ONLYDIR | flags.DONT_FOLLOW
)


class Notifier:
    """One run of it; readable when something happened. Raises Unavailable, OSError."""

    def __init__(self, tmux: TmuxClient) -> None:
        if not tmux.direct:
            raise Unavailable("it is of a version whose protocol is not known here")
        self._connection = tmux.connect()
        self._poll = select.epoll()
        self._input, self._output = -1, -1
        self._is_silent = False
        self.was_told_to_go = False  # by its server, as it ends; one that dies says nothing
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        self._poll.register(self._connection.fileno(), select.EPOLLIN)
        self._poll.register(self._output, select.EPOLLIN)

    def _begin(self) -> None:
        """Say who we are. The server has the other ends of two pipes: an end of file on its input ends the client."""
        theirs_in, self._input = os.pipe2(os.O_CLOEXEC)
        self._output, theirs_out = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            channel = f"teleclaude-{secrets.token_hex(8)}".encode()
            first, second = control_opening([b"wait-for", channel], os.getpid())
            for data, fd in ((first, theirs_in), (second, theirs_out)):
                if socket.send_fds(self._connection, [data], [fd]) != len(data):
                    raise OSError("tmux does not take a message as a whole")
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def fileno(self) -> int:
        """Readable when something happened, or it ended."""
        return self._poll.fileno()

    def receive(self) -> bool:
        """Take what it said. False when it has ended, as it does with its server.

        The end of its output says nothing: whether the server takes leave comes behind it, on the connection.
        """
        if not self._is_silent and not self._take_output():
            self._is_silent = True
            self._poll.unregister(self._output)
        return self._take_messages()

    def _take_output(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._output, 65536):
                if len(data) < 65536:
                    return True
            return False
        return True

    def _take_messages(self) -> bool:
        try:
            data = self._connection.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.was_told_to_go = says_end(data)
        return bool(data) and not self.was_told_to_go

    def close(self) -> None:
        """End it."""
        self._poll.close()
        self._connection.close()
        for fd in (self._input, self._output):
            if fd >= 0:
                os.close(fd)
        self._input = self._output = -1


class SocketWatch:
    """Watches for the server's socket at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events = FileEvents()
        self.renew()

    @property
    def blindness(self) -> str:
        """Why nothing is heard of the socket; empty when it is."""
        return self._events.reason

    def fileno(self) -> int:
        """Readable when something happened in the folder."""
        return self._events.fileno()

    def renew(self) -> None:
        """Watch the folder, whichever it is now. Makes it, as tmux itself does, so that there is one to watch."""
        self._events.ensure()
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileExistsError):
                self._path.parent.mkdir(mode=0o700)
            self._events.add_watch(self._path.parent, _FOLDER_MASK)

    def receive(self) -> bool:
        """Tell whether something happened to the socket."""
        return any(event.name in {self._path.name, ""} for event in self._events.read())

    def close(self) -> None:
        """Watch nothing any more."""
        self._events.close()


CLIENTS_EVERY = 1.0  # seconds


class ClientWatch:
    """Tells that the number of a server's clients may have changed. Sleeps while nobody is attached."""

    def __init__(self) -> None:
        self._server = 0
        self._due: float | None = None
        self._files = 0

    def note(self, server: int, *, is_attached: bool, now: float) -> None:
        """Take note of what a look showed."""
        if server != self._server:
            self._server, self._files = server, 0
        if not is_attached:
            self._due = None
        elif self._due is None:
            self._due = now

    def next_due(self) -> float | None:
        """When to ask next, or None."""
        return self._due

    def is_due(self, now: float) -> bool:
        """Tell whether it is time to ask."""
        return self._due is not None and self._due <= now

    def have_changed(self, now: float) -> bool:
        """Tell whether the server has more or fewer files open than when last asked. `now`: monotonic."""
        self._due = now + CLIENTS_EVERY
        before, self._files = self._files, _open_files(self._server)
        return self._files != before


def _open_files(pid: int) -> int:
    """Number of a process' open files; 0 when it is gone. New kernels tell it as the folder's size."""
    folder = f"/proc/{pid}/fd"
    try:
        return os.stat(folder).st_size or len(os.listdir(folder))
    except OSError:
        return 0
