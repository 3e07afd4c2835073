"""Giving the terminal to a session, and taking it back when it is detached."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.paths import Places
from teleclaude.core.records import Computer
from teleclaude.core.settings import load_in_force
from teleclaude.tui.attach import Plan, failure, plan
from teleclaude.tui.state import Attach, Done
from teleclaude.tui.terminal import Terminal


def attach(call: Attach, place: Places, terminal: Terminal, while_away: Callable[[], None]) -> Done:
    """Run what attaches, and say how it ended. `while_away` is called again and again meanwhile."""
    try:
        computer = _with_socket(call.computer, place)
        wanted = plan(call.session, computer, os.environ, socket_path(computer.tmux_socket))
        reason = failure(*_run(wanted, terminal, while_away), computer)
    except TeleclaudeError as error:
        return Done(call, code=error.code, reason=error.message)
    except OSError as error:
        return Done(call, code="internal", reason=f"{error.filename or 'tmux'}: {error.strerror}")
    return Done(call, code="internal" if reason else "", reason=reason)


def _with_socket(computer: Computer, place: Places) -> Computer:
    """Fill in, for this computer, which tmux is watched, where its record does not say."""
    if computer.tmux_socket or not computer.is_local:
        return computer
    return replace(computer, tmux_socket=place.tmux_socket or load_in_force(place).tmux.socket)


def socket_path(name: str) -> str:
    """Path of a tmux socket, links resolved (tmux(1), -L)."""
    base = os.environ.get("TMUX_TMPDIR") or "/tmp"  # noqa: S108  (tmux' own place)
    return os.path.realpath(Path(base) / f"tmux-{os.getuid()}" / (name or "default"))


def _run(wanted: Plan, terminal: Terminal, while_away: Callable[[], None]) -> tuple[int, str]:
    """Run it. Gives its exit status, and what it wrote to standard error."""
    with tempfile.TemporaryFile() as errors:
        if wanted.takes_terminal:
            terminal.leave()
        try:
            terminal.write(f"{wanted.says}\r\n".encode() if wanted.says else b"")
            status = _wait(subprocess.Popen(wanted.argv, stderr=errors), while_away)
        finally:
            if wanted.takes_terminal:
                terminal.enter()
        errors.seek(0)
        return status, errors.read(64 * 1024).decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], while_away: Callable[[], None]) -> int:
    while process.poll() is None:
        while_away()
    return int(process.returncode)
