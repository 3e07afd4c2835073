"""An eye of the tests' own on panes: a client of tmux in control mode, so that one look costs no process."""

from __future__ import annotations

import subprocess
import threading

from tests.machine import Machine

HOLD = "keep"  # the session that the eye is attached to; no agent is in it


class Eye:
    """Asks tmux, from any thread."""

    def __init__(self, machine: Machine) -> None:
        machine.tmux("new-session", "-d", "-s", HOLD, "-x", "120", "-y", "40", "exec sleep 100000")
        command = ["tmux", "-u", "-L", machine.tmux_socket, "-C", "attach", "-t", HOLD]
        self._client = subprocess.Popen(
            command,
            env=machine.environ,
            text=True,
            encoding="utf-8",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._client.stdin
        assert self._client.stdout
        self._to, self._from = self._client.stdin, self._client.stdout
        self._lock = threading.Lock()
        with self._lock:
            self._answer()  # to the attach

    def ask(self, command: str) -> str:
        """Run one command line of tmux; give what it printed, or nothing where it failed."""
        with self._lock:
            self._to.write(command + "\n")
            self._to.flush()
            return self._answer()

    def _answer(self) -> str:
        lines: list[str] | None = None
        for line in self._from:
            if line.startswith("%begin "):
                lines = []
            elif line.startswith(("%end ", "%error ")) and lines is not None:
                return "" if line.startswith("%error") else "".join(lines).rstrip("\n")
            elif lines is not None:
                lines.append(line)
        raise ConnectionError("tmux has gone")

    def screen(self, pane: str) -> str:
        """What stands on a pane's screen."""
        return self.ask(f"capture-pane -p -t {pane}")

    def close(self) -> None:
        """Leave."""
        self._to.close()
        self._client.wait(10)
        self._from.close()
