"""The tmux around a command: which client is meant, and what is asked of it and said in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from teleclaude.core.errors import Conflict, NotFound, Unavailable
from teleclaude.core.records import Session
from teleclaude.core.text import one_line
from teleclaude.core.tmux_clients import LIST_CLIENTS, SHOWS_OPTION, AttachedClient, clients_of, most_recent

_PATIENCE = 3.0  # seconds for an answer of tmux


class TmuxHere:
    """`name`: of the client that is meant; empty: of the pane that `environ` tells of, else the one used last.

    `otherwise`: socket of the tmux that is meant where `environ` tells of none. `socket` is empty without any.
    """

    def __init__(self, environ: Mapping[str, str], name: str, otherwise: str) -> None:
        around = environ.get("TMUX", "").rpartition(",")[0].rpartition(",")[0]
        self.socket = os.path.realpath(around) if around else otherwise
        self._name, self._pane = name, environ.get("TMUX_PANE", "") if around else ""
        self._shows_messages = False

    def client(self) -> AttachedClient | None:
        """The client that is meant; None outside of tmux. Raises NotFound when there is none."""
        if not self.socket:
            return None
        try:
            found = clients_of(self._ask(LIST_CLIENTS))
        except Conflict as error:
            raise NotFound(f"no tmux runs that could show it ({error.message}): run this at a terminal") from error
        if self._name:
            found = [client for client in found if client.name == self._name]
        elif self._pane:
            found = [client for client in found if client.pane == self._pane] or found
        best = most_recent(found)
        if best is None:
            raise NotFound(f"tmux has no client {one_line(self._name, 80)}".rstrip())
        self._shows_messages = bool(self._name)
        return best

    def window_that_shows(self, client: AttachedClient, session: Session) -> str:
        """Id of the window, in the client's session, through which a session is seen already; empty for none."""
        mark = f"{session.computer}/{session.session_id}"
        listed = self._ask(["list-windows", "-t", client.session, "-F", f"#{{window_id}} #{{{SHOWS_OPTION}}}"])
        return next((line.partition(" ")[0] for line in listed.splitlines() if line.partition(" ")[2] == mark), "")

    def show_message(self, text: str) -> bool:
        """Show one line in the status line of the client that was named. False where there is none that could."""
        if not self._shows_messages:
            return False
        line = one_line(text, 200).replace("#", "##").replace("%", "%%")  # else tmux expands them
        try:
            self._ask(["display-message", "-c", self._name, "--", line[:-1] + "\\;" if line.endswith(";") else line])
        except (Unavailable, Conflict):
            return False
        return True

    def run(self, argv: Sequence[str]) -> str:
        """Run a tmux command line. Raises Unavailable, or Conflict with tmux' words."""
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False)
        except subprocess.TimeoutExpired as error:
            raise Unavailable("tmux does not answer") from error
        if done.returncode:
            raise Conflict(one_line(done.stderr.decode(errors="replace").removeprefix("can't find pane: ="), 200))
        return done.stdout.decode(errors="replace")

    def _ask(self, command: Sequence[str]) -> str:
        return self.run(["tmux", "-u", "-S", self.socket, *command])
