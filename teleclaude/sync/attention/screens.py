"""The screens at which somebody may sit: tmux' clients and terminal clients, and how one is sent a notification.

They are asked for only when there is something to tell. A terminal is written to without waiting for it: who is stopped
(^S), or gone, gets nothing. It is written to beside tmux, or a client, which draw there too: so only while it takes
bytes, in one piece, and short.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable
from pathlib import Path

from teleclaude.core.client_places import TerminalClient, terminal_clients
from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.tmux_clients import LIST_CLIENTS, AttachedClient, clients_of
from teleclaude.sync.attention.outlets import NotDelivered
from teleclaude.sync.tmux.client import TmuxClient

ASK_WITHIN = 2.0  # seconds for tmux to name its clients
WRITE_WITHIN = 1.0  # seconds for a terminal to take it


class Screens:
    """`tmux` gives the server of this computer's sessions; `folder` is where terminal clients say where they are."""

    def __init__(self, tmux: Callable[[], TmuxClient], folder: Path) -> None:
        self._tmux, self._folder = tmux, folder

    def attached(self) -> list[AttachedClient]:
        """The clients of tmux; none where it does not run, or does not answer."""
        try:
            return clients_of(self._tmux().run(*LIST_CLIENTS, timeout=ASK_WITHIN).decode("utf-8", "replace"))
        except (TeleclaudeError, OSError):
            return []

    def terminals(self) -> list[TerminalClient]:
        """The terminal clients that run."""
        return terminal_clients(self._folder)


def write_to(tty: str, data: bytes) -> None:
    """Write to a terminal of ours. Raises NotDelivered when it is none, or takes nothing."""
    try:
        terminal = os.open(tty, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise NotDelivered(f"the terminal cannot be written to: {error.strerror}") from error
    try:
        found = os.fstat(terminal)
        if not stat.S_ISCHR(found.st_mode) or found.st_uid != os.geteuid() or not os.isatty(terminal):
            raise NotDelivered("what should be a terminal of ours is none")
        poll = select.poll()
        poll.register(terminal, select.POLLOUT)
        if not poll.poll(WRITE_WITHIN * 1000) or os.write(terminal, data) < len(data):
            raise NotDelivered("the terminal takes nothing: it is stopped")
    except OSError as error:
        raise NotDelivered(f"the terminal cannot be written to: {error.strerror}") from error
    finally:
        os.close(terminal)
