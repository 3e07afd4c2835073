"""Claude Code's own word on how it is: `sessions/PID.json` in its folder, written within 100 ms of each change.

The file is undocumented, so its absence says nothing. It may be half written, and a killed process leaves it behind:
it counts only with the start time of the process that has its number now.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from teleclaude.sync.sessions.processes import children, read_process

_MOST = 64  # processes of a pane that are looked at
_LIMIT = 64 * 1024


class ClaudeState(msgspec.Struct, frozen=True):
    """What is read of the file. `status`: idle, busy, waiting, or shell: idle, and one runs; `waitingFor`: for what."""

    pid: int
    status: str = ""
    waitingFor: str = ""  # noqa: N815  (the file's own name)
    procStart: str = ""  # noqa: N815  (clock ticks after the computer's start)
    sessionId: str = ""  # noqa: N815
    cwd: str = ""
    statusUpdatedAt: float = 0.0  # noqa: N815  (milliseconds since 1970)


_decode = msgspec.json.Decoder(ClaudeState).decode


def claude_state(pane_pid: int) -> ClaudeState | None:
    """Give the state of the Claude Code that runs in a pane, at any depth; None where no file says."""
    for pid in descendants(pane_pid):
        folder = state_folder(pid)
        state = read_state(folder / f"{pid}.json") if folder else None
        if state and started_of(state, pid):
            return state
    return None


def started_of(state: ClaudeState, pid: int) -> int:
    """Give the start (clock ticks) of the process that a file is of; 0 when another, or none, has its number now."""
    process = read_process(pid)
    return process.started if process and state.pid == pid and state.procStart in {"", str(process.started)} else 0


def descendants(pid: int) -> Iterator[int]:
    """Give a process and those below it, the nearest first."""
    layer = [pid]
    for _ in range(_MOST):
        if not layer:
            return
        yield layer[0]
        layer = [*layer[1:], *children(layer[0])]


def state_folder(pid: int) -> Path | None:
    """Where a process keeps its state, by its own environment, of which nothing else is read."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    wanted = [pair.partition(b"=") for pair in pairs if pair.startswith((b"CLAUDE_CONFIG_DIR=", b"HOME="))]
    found = {name: value for name, _, value in wanted}
    own, home = found.get(b"CLAUDE_CONFIG_DIR"), found.get(b"HOME")
    if own:
        return Path(os.fsdecode(own)) / "sessions"
    return Path(os.fsdecode(home)) / ".claude" / "sessions" if home else None


def read_state(path: Path) -> ClaudeState | None:
    """Read a file; None for one that is not there, not whole, or none of Claude Code's. Waits for no pipe."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _decode(os.read(fd, _LIMIT)) if stat.S_ISREG(os.fstat(fd).st_mode) else None
        finally:
            os.close(fd)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None
