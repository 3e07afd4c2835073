"""Threads of a group: what one raises ends its process."""

from __future__ import annotations

import subprocess
import sys
import threading

from teleclaude.core.thread_group import EXIT_STATUS, ThreadGroup, fatal

BEATS_ON = """
import errno, sys, threading
from teleclaude.core import log
from teleclaude.core.thread_group import ThreadGroup
log.set_up("test", "info")
def work():
    {failure}
ThreadGroup().start("writer", work)
threading.Event().wait(60)
"""


def run(failure: str) -> subprocess.CompletedProcess[str]:
    """Run a process whose main thread waits, while a thread of its group fails."""
    code = BEATS_ON.format(failure=failure)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)


def test_an_exception_in_a_thread_ends_the_process_and_names_the_thread() -> None:
    """The main thread would have gone on; the log tells the place, and in its last line thread and error."""
    done = run("raise OSError(errno.EMFILE, 'Too many open files')")
    assert done.returncode == EXIT_STATUS
    place, last = done.stderr.splitlines()
    assert "Traceback" in place
    assert last.endswith("the thread 'writer' failed: OSError: [Errno 24] Too many open files")


def test_an_exit_in_a_thread_ends_the_process_too() -> None:
    """`sys.exit` in a thread, which Python would pass over in silence, is a failure like others."""
    assert run("sys.exit(0)").returncode == EXIT_STATUS


def test_a_thread_may_return() -> None:
    """Who was told to end ends nothing else, and is waited for."""
    ended: list[str] = []
    go = threading.Event()
    group = ThreadGroup(end=lambda name, _: ended.append(name))
    group.start("one", go.wait)
    assert not group.join(0.0)
    go.set()
    assert group.join(10.0)
    assert ended == []


def test_a_block_may_be_fatal_like_a_thread() -> None:
    """What a block raises is given to `end` with the block's name."""
    ended: list[tuple[str, BaseException]] = []
    with fatal("the loop", end=lambda *told: ended.append(told)):
        int("x")
    assert [(name, type(error)) for name, error in ended] == [("the loop", ValueError)]
