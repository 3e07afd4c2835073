"""The client's own log. What would go to standard error would go across the screen, so it goes here."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.files import private_folder

FILE_NAME = "tui.log"
LIMIT = 1024 * 1024  # bytes


def append_log(folder: Path, text: str) -> Path:
    """Append to the log in the state folder. Gives its path. Raises OSError or Refused."""
    path = _ready(folder)
    with path.open("a", encoding="utf-8", errors="replace") as file:
        path.chmod(0o600)
        file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text.rstrip()}\n")
    return path


@contextlib.contextmanager
def log_to(folder: Path) -> Iterator[None]:
    """Have warnings, logging and what threads die of written to the log instead of standard error."""
    before = sys.stderr
    try:
        path = _ready(folder)
        file = path.open("a", encoding="utf-8", errors="replace", buffering=1)
        path.chmod(0o600)
    except (OSError, TeleclaudeError):
        yield  # a state folder that cannot be written to is told when the view is to be kept
        return
    with file:
        sys.stderr = file
        from teleclaude.core import log as logs  # 10 ms, behind the first screen

        logs.set_up("tui", "warning")
        try:
            yield
        finally:
            sys.stderr = before


def _ready(folder: Path) -> Path:
    private_folder(folder)
    path = folder / FILE_NAME
    if path.exists() and path.stat().st_size > LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path
