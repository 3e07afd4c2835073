"""Processes, from /proc: what they are, what runs below them, and what of it a terminal has in front."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

HINT = b"TELECLAUDE_AGENT="  # in a process' environment: the profile that it is
MOST = 128  # processes that are looked at below one
_READ_SIZE = 8192
_ENVIRONMENT_SIZE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Process:
    """One process: parts of /proc/PID/stat. `started`: clock ticks after the computer's start."""

    pid: int
    name: bytes
    group: int
    session: int
    foreground: int  # process group in the foreground of its terminal; not above 0 without a terminal
    threads: int
    started: int
    is_zombie: bool = False

    @property
    def is_in_front(self) -> bool:
        """Whether its terminal's keys go to it, or it has none."""
        return self.foreground <= 0 or self.group == self.foreground


def in_front(root: Process) -> Iterator[Process]:
    """Give what runs at `root`'s terminal now, and what runs below that, the nearest first.

    What is suspended, or was put into the background, is left out with all below it; what is in front in a terminal of
    its own (`script`, `sudo`) is there when the one that made that terminal is in front.
    """
    waiting = deque([root])
    for _ in range(MOST):
        if not waiting:
            return
        process = waiting.popleft()
        if process.is_in_front:
            yield process
        for pid in children(process.pid, process.threads):
            child = read_process(pid)
            if child and (child.session == process.session or process.is_in_front):
                waiting.append(child)


def read_process(pid: int) -> Process | None:
    """Read /proc/PID/stat; None for a process that is gone, or where there is no /proc."""
    try:
        text = _read(f"/proc/{pid}/stat")
        end = text.rindex(b")")
        fields = text[end + 2 :].split(None, 20)
        _, _, group, session, _, foreground = map(int, [b"0", *fields[1:6]])
        name = text[text.index(b"(") + 1 : end]
        return Process(pid, name, group, session, foreground, int(fields[17]), int(fields[19]), fields[0] == b"Z")
    except (OSError, ValueError, IndexError):
        return None


def children(pid: int, threads: int = 0) -> list[int]:
    """Give the children of a process; none where the kernel does not tell. `threads`: how many it has, if known."""
    try:
        tasks = [str(pid)] if threads == 1 else os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for task in tasks:  # each thread has those that it forked
        try:
            found += [int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split()]
        except (OSError, ValueError):
            continue
    return found


def command_line(pid: int) -> list[str]:
    """Arguments of a process; none for one that is gone."""
    try:
        return _read(f"/proc/{pid}/cmdline").decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def hint(pid: int) -> str:
    """Give the agent that a process of this user's names in its environment, of which nothing else is kept."""
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if os.fstat(fd).st_uid != os.geteuid():
            return ""
        text, more = b"", os.read(fd, _READ_SIZE)
        while more and len(text) < _ENVIRONMENT_SIZE:
            text += more
            more = os.read(fd, _READ_SIZE)
    except OSError:
        return ""
    finally:
        os.close(fd)
    _, found, rest = (b"\0" + text).partition(b"\0" + HINT)
    return rest.partition(b"\0")[0].decode("utf-8", "replace") if found else ""


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a third of what a file object costs, and this runs for each pane
    try:
        return os.read(fd, _READ_SIZE)
    finally:
        os.close(fd)
