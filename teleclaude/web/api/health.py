"""How the daemon is, by what the supervisor writes down and by whether the feed lives. Pure, but for one file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec

from teleclaude.core.lifeline import WorkerState
from teleclaude.core.text import one_line

log = logging.getLogger(__name__)

NEEDED = ("cache", "sync")
_decode = msgspec.json.Decoder(dict[str, WorkerState]).decode


class Workers:
    """The workers as the supervisor sees them; nobody, where none of it runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self.states: dict[str, WorkerState] = {}

    def look(self) -> bool:
        """Read the file when it is another; True when the states changed."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp == self._stamp:
                return False
            states = _decode(self._path.read_bytes())
        except FileNotFoundError:
            stamp, states = None, {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read: %s", self._path, error)
            return False
        self._stamp = stamp
        is_changed = states != self.states
        self.states = states
        return is_changed


def stale_reason(states: dict[str, WorkerState], *, is_fed: bool) -> str:
    """Why what is shown may be old, in ASCII on one line; empty when it is not."""
    for name in NEEDED:
        state = states.get(name)
        if state is not None and (state.state != "running" or state.reason):
            how = f"{name} is {state.state}" if state.state != "running" else name
            text = one_line(f"{how}: {state.reason}" if state.reason else how, 200)
            return text.encode("ascii", "replace").decode()
    return "" if is_fed else "cache does not answer"


def health_event(states: dict[str, WorkerState], reason: str) -> dict[str, Any]:
    """The data of a `health` event."""
    workers = {name: state.state for name, state in states.items()}
    return {"stale": bool(reason), "reason": reason, "workers": workers}
