"""Where terminal clients run, which the daemon asks when it has something to tell: one small file each.

`clients/PID` in the runtime folder. Its time is that of the last key, coarse; it holds the terminal, and what is
selected. So a key costs the daemon nothing, and nobody is told of anything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from teleclaude.core.files import private_folder

COARSE = 5.0  # seconds of keys that are told as one
_LIMIT = 4096  # bytes of one file


class TerminalClient(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal client that runs. `last_key`: seconds since 1970; `looks_at`: COMPUTER/SESSION that is selected.

    `term` and `term_type`: what the terminal calls itself, as tmux has it of its clients.
    """

    tty: str
    looks_at: str = ""
    term: str = ""
    term_type: str = ""
    last_key: float = 0.0


_decode = msgspec.json.Decoder(TerminalClient).decode


class OwnPlace:
    """The file of this client. What cannot be written is no reason to stop for: then nobody is told here."""

    def __init__(self, folder: Path, tty: str, environ: Mapping[str, str]) -> None:
        self._path = folder / str(os.getpid())
        self._about = TerminalClient(tty=tty, term=environ.get("TERM", "")[:64], term_type=terminal_type(environ)[:64])
        self._told: tuple[str, float] | None = None

    def note_key(self, looks_at: str, wall: float) -> None:
        """Note that a key came at `wall`, and what is selected now."""
        told = self._told
        if told and told[0] == looks_at and 0 <= wall - told[1] < COARSE:
            return
        self._told = (looks_at, wall)
        with contextlib.suppress(OSError):
            self._write(msgspec.structs.replace(self._about, looks_at=looks_at, last_key=wall))

    def _write(self, about: TerminalClient) -> None:
        private_folder(self._path.parent)
        half = self._path.with_name(f".{self._path.name}")
        half.write_bytes(msgspec.json.encode(about))
        half.replace(self._path)

    def remove(self) -> None:
        """This client ends."""
        with contextlib.suppress(OSError):
            self._path.unlink()
            self._path.parent.rmdir()  # if it was the last


def terminal_clients(folder: Path) -> list[TerminalClient]:
    """Read which terminal clients run; files of those that were killed are removed."""
    try:
        paths = [path for path in folder.iterdir() if path.name.isdecimal()]
    except OSError:
        return []
    return [found for path in paths if (found := _read(path)) is not None]


def _read(path: Path) -> TerminalClient | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        if _runs(int(path.name)):
            return _decode(path.read_bytes()[:_LIMIT])
        path.unlink()
    return None


def terminal_type(environ: Mapping[str, str]) -> str:
    """What the terminal around calls itself, by the variables that it sets; `tmux` for a pane of tmux."""
    if environ.get("TMUX"):
        return "tmux"
    if environ.get("KITTY_WINDOW_ID"):
        return "kitty"
    program = environ.get("TERM_PROGRAM", "").lower()
    return "iterm2" if program == "iterm.app" else program


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return False  # the number is somebody else's by now
    return True
