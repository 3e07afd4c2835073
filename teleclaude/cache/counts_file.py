"""A small file that counts the sessions of all computers by status, for who has no time to read the snapshot.

One line for each status that any session has: its name and a number. Computers that are offline do not count: nobody
knows how their sessions are. A shell reads it (cli/tmux_status.sh).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from teleclaude.cache.snapshot import Block
from teleclaude.core.files import write_atomic


class CountedComputer(msgspec.Struct, frozen=True):
    """What is read of a computer's record."""

    status: str = ""
    counts: dict[str, int] = {}


_decode = msgspec.json.Decoder(list[CountedComputer]).decode


class CountsFile:
    """Writes the file at `path`, when it is another than before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: list[Block] = []
        self._written: str | None = None

    def show(self, blocks: Iterable[Block]) -> None:
        """Take all blocks of a snapshot. Raises OSError when the file cannot be written."""
        computers = [block for block in blocks if block.kind == "computers"]
        if computers == self._seen:
            return
        text = counts_text(computer for block in computers for computer in block.derived(_decode))
        if text != self._written:
            write_atomic(self._path, text.encode(), durable=False)
            self._written = text
        self._seen = computers


def counts_text(computers: Iterable[CountedComputer]) -> str:
    """What the file holds."""
    total: Counter[str] = Counter()
    for computer in computers:
        if computer.status == "online":
            total.update(computer.counts)
    return "".join(f"{status} {number}\n" for status, number in sorted(total.items()) if number > 0)
