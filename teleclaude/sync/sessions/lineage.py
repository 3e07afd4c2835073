"""Whose child a process is, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass

MOST = 64


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One process. `started`: clock ticks after the computer's start. `is_dead`: only its parent does not know yet."""

    pid: int
    name: str
    started: int
    is_dead: bool = False


def lineage(pid: int) -> list[Ancestor]:
    """Give a process and its ancestors, nearest first; none for one that is gone."""
    found: list[Ancestor] = []
    while pid > 1 and len(found) < MOST:
        read = _read(pid)
        if read is None:
            break
        found.append(read[0])
        pid = read[1]
    return found


def _read(pid: int) -> tuple[Ancestor, int] | None:
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(fd, 4096)
        finally:
            os.close(fd)
        begin, end = text.index(b"("), text.rindex(b")")
        fields = text[end + 2 :].split(None, 20)
        name = text[begin + 1 : end].decode("utf-8", "replace")
        return Ancestor(pid, name, int(fields[19]), fields[0] in {b"Z", b"X"}), int(fields[1])
    except (OSError, ValueError, IndexError):
        return None


def is_alive(pid: int, started: int) -> bool:
    """Tell whether a process lives that was seen before."""
    read = _read(pid)
    return read is not None and read[0].started == started and not read[0].is_dead
