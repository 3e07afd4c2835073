"""Claude Code's own word on how it is: `sessions/PID.json` in its folder, written within 100 ms of each change.

The file is undocumented, so its absence says nothing. It may be half written, and a killed process leaves it behind:
it counts only with the start time of the process that has its number now.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from teleclaude.sync.sessions.processes import children, read_process

_MOST = 64  # processes of a pane that are looked at
_LIMIT = 64 * 1024


class ClaudeState(msgspec.Struct, frozen=True):
    """What is read of the file. `status`: idle, busy or waiting; `waitingFor`: for what."""

    pid: int
    status: str = ""
    waitingFor: str = ""  # noqa: N815  (the file's own name)
    procStart: str = ""  # noqa: N815  (clock ticks after the computer's start)


_decode = msgspec.json.Decoder(ClaudeState).decode


def claude_state(pane_pid: int) -> ClaudeState | None:
    """Give the state of the Claude Code that runs in a pane, at any depth; None where no file says."""
    for pid in _descendants(pane_pid):
        process = read_process(pid)
        folder = _folder(pid)
        state = _read(folder / "sessions" / f"{pid}.json") if folder else None
        if process and state and state.pid == pid and state.procStart in {"", str(process.started)}:
            return state
    return None


def _descendants(pid: int) -> Iterator[int]:
    layer = [pid]
    for _ in range(_MOST):
        if not layer:
            return
        yield layer[0]
        layer = [*layer[1:], *children(layer[0])]


def _folder(pid: int) -> Path | None:
    """Where a process keeps its state, by its own environment, of which nothing else is read."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    wanted = [pair.partition(b"=") for pair in pairs if pair.startswith((b"CLAUDE_CONFIG_DIR=", b"HOME="))]
    found = {name: value for name, _, value in wanted}
    own, home = found.get(b"CLAUDE_CONFIG_DIR"), found.get(b"HOME")
    if own:
        return Path(os.fsdecode(own))
    return Path(os.fsdecode(home)) / ".claude" if home else None


def _read(path: Path) -> ClaudeState | None:
    try:
        with path.open("rb") as file:
            return _decode(file.read(_LIMIT))
    except (OSError, msgspec.MsgspecError):
        return None
