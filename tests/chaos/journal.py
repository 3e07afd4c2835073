"""What happened in a run, as lines of JSON that any process may append to."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

Entry: TypeAlias = dict[str, Any]


class Journal:
    """Appends entries to a file; one write each, so that processes do not mix their lines."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, what: str, **fields: Any) -> None:
        """Note that something happened now."""
        os.write(self._fd, msgspec.json.encode({"what": what, "t": time.monotonic(), **fields}) + b"\n")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


def read(path: Path) -> list[Entry]:
    """All entries, in the order in which they were written; a last line that a kill cut off is left out."""
    lines = path.read_bytes().split(b"\n")
    return [msgspec.json.decode(line) for line in lines[:-1]]
