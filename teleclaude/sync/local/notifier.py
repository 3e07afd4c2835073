"""What tells that something happened in tmux, other than output: sessions and windows, the server, its clients.

`Notifier`: `tmux -C wait-for CHANNEL`, a control client without a session that waits for a channel nobody signals.
It is in no list, keeps no server alive, and is told of sessions and windows made, renamed and closed, of splits, and
of clients that leave. `SocketWatch`: inotify on the folder of the server's socket, which appears with the server and
whose mode tmux changes when the first client attaches and the last one leaves. `ClientWatch`: nothing tells of a
further client that attaches, but each is one more open file of the server.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from pathlib import Path

from inotify_simple import INotify, flags

from teleclaude.sync.local.tmux import Tmux, clean_environment

_FOLDER_MASK = (
    flags.CREATE | flags.DELETE | flags.ATTRIB | flags.MOVED_TO | flags.MOVED_FROM | flags.ONLYDIR | flags.DONT_FOLLOW
)


class Notifier:
    """One run of it; readable when something happened. Raises NotInstalled, OSError."""

    def __init__(self, tmux: Tmux) -> None:
        self._process = subprocess.Popen(
            tmux.command_line("-C", "wait-for", f"teleclaude-{secrets.token_hex(8)}"),
            stdin=subprocess.PIPE,  # its end of file ends the client, also when this process is killed
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def fileno(self) -> int:
        """Readable when something happened, or it ended."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def receive(self) -> bool:
        """Take what it said. False when it has ended, as it does with its server."""
        try:
            while data := os.read(self.fileno(), 65536):
                if len(data) < 65536:
                    return True
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()


class SocketWatch:
    """Watches for the server's socket at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inotify = INotify(nonblocking=True)
        self.renew()

    def fileno(self) -> int:
        """Readable when something happened in the folder."""
        return int(self._inotify.fileno())

    def renew(self) -> None:
        """Watch the folder, whichever it is now. Makes it, as tmux itself does, so that there is one to watch."""
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileExistsError):
                self._path.parent.mkdir(mode=0o700)
            self._inotify.add_watch(self._path.parent, _FOLDER_MASK)

    def receive(self) -> bool:
        """Tell whether something happened to the socket."""
        return any(event.name in {self._path.name, ""} for event in self._inotify.read(timeout=0))

    def close(self) -> None:
        """Watch nothing any more."""
        self._inotify.close()


CLIENTS_EVERY = 0.200  # seconds


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
