"""The process of a tmux server: whether it still runs, and having it make its socket anew.

A signal to a process that is another by now could end it, so a server is known by its number and its start.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

_NAME = b"tmux: server"


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """`started`: clock ticks from the computer's start."""

    pid: int
    started: bytes

    def is_running(self) -> bool:
        """Tell whether it runs."""
        return server_process(self.pid) == self

    def make_socket_anew(self) -> bool:
        """Ask it for its socket, as tmux(1) tells (SIGUSR1). False when it does not run, or cannot be asked."""
        return self._signal(signal.SIGUSR1)

    def ask_who_ended(self) -> bool:
        """Have it look which of its processes have ended (SIGCHLD, as the kernel sends it). False as above."""
        return self._signal(signal.SIGCHLD)

    def _signal(self, number: int) -> bool:
        if not self.is_running():
            return False
        try:
            os.kill(self.pid, number)
        except OSError:
            return False
        return True


def server_process(pid: int) -> ServerProcess | None:
    """The tmux server that this process is; None when it is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    end = text.rindex(b")")
    name, fields = text[text.index(b"(") + 1 : end], text[end + 2 :].split()
    return ServerProcess(pid, fields[19]) if name == _NAME and fields[0] != b"Z" else None
