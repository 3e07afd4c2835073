"""Giving the terminal to a session, and taking it back when it is detached."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.paths import Places
from teleclaude.core.settings import load
from teleclaude.core.text import one_line
from teleclaude.tui.attach import Plan, plan
from teleclaude.tui.state import Attach, Done
from teleclaude.tui.terminal import Terminal


def attach(call: Attach, place: Places, terminal: Terminal, while_away: Callable[[], None]) -> Done:
    """Run what attaches, and say how it ended. `while_away` is called again and again meanwhile."""
    try:
        name = tmux_socket(place)
        wanted = plan(call.session, call.computer, os.environ, name, socket_path(name))
        reason = _run(wanted, terminal, while_away)
    except TeleclaudeError as error:
        return Done(call, code=error.code, reason=error.message)
    except OSError as error:
        return Done(call, code="internal", reason=f"{error.filename or 'tmux'}: {error.strerror}")
    return Done(call, code="internal" if reason else "", reason=reason)


def tmux_socket(place: Places) -> str:
    """Name of the daemon's tmux socket: the environment's, else that of the settings; empty for tmux' default."""
    return place.tmux_socket or load(place.settings_file).tmux.socket


def socket_path(name: str) -> str:
    """Path of a tmux socket, links resolved (tmux(1), -L)."""
    base = os.environ.get("TMUX_TMPDIR") or "/tmp"  # noqa: S108  (tmux' own place)
    return os.path.realpath(Path(base) / f"tmux-{os.getuid()}" / (name or "default"))


def _run(wanted: Plan, terminal: Terminal, while_away: Callable[[], None]) -> str:
    """Run it. Gives why it failed, empty when it did not."""
    environ = {key: value for key, value in os.environ.items() if key not in wanted.without}
    with tempfile.TemporaryFile() as errors:
        if wanted.takes_terminal:
            terminal.leave()
        try:
            status = _wait(subprocess.Popen(wanted.argv, env=environ, stderr=errors), while_away)
        finally:
            if wanted.takes_terminal:
                terminal.enter()
        return _reason(status, wanted.argv[0], errors)


def _wait(process: subprocess.Popen[bytes], while_away: Callable[[], None]) -> int:
    while process.poll() is None:
        while_away()
    return int(process.returncode)


def _reason(status: int, program: str, errors: IO[bytes]) -> str:
    if status == 0:
        return ""
    errors.seek(0)
    lines = [line for line in errors.read(64 * 1024).decode(errors="replace").splitlines() if line.strip()]
    return one_line(lines[-1], 200) if lines else f"{program} ended with status {status}"
