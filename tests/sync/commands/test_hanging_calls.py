"""Folders that do not answer hold up nobody but who asked for them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from teleclaude.core.errors import Conflict, Unavailable
from teleclaude.sync.commands.hanging_calls import HangingCalls
from tests.dead_mount import DeadMount
from tests.wait import until


def test_a_call_that_hangs_is_left_and_few_are() -> None:
    """Its caller is told in time; when all places hang the next is refused; one that returns makes room."""
    calls, go_on = HangingCalls(limit=2), threading.Event()
    assert calls.run("a", time.monotonic() + 10, lambda: 1) == 1
    for name in ("a", "b"):
        with pytest.raises(Unavailable, match=f"{name} does not answer"):
            calls.run(name, time.monotonic() + 0.01, go_on.wait)
    with pytest.raises(Unavailable, match="too many"):
        calls.run("c", time.monotonic() + 0.01, lambda: 1)
    go_on.set()
    assert until(lambda: calls.run("d", time.monotonic() + 10, lambda: 2)) == 2


def test_an_error_comes_to_the_caller() -> None:
    """As if the call had been made there."""

    def fail() -> None:
        raise Conflict("no")

    with pytest.raises(Conflict, match="no"):
        HangingCalls().run("a", time.monotonic() + 10, fail)


SCRIPT = """
import subprocess, sys
from teleclaude.sync.commands import start
try:
    start._fork(["true"], sys.argv[1], 0.5)
except subprocess.TimeoutExpired:
    print("in time", flush=True)
"""


def test_a_folder_that_hangs_when_it_is_entered_costs_its_command_no_more_than_its_time(tmp_path: Path) -> None:
    """What enters a dead folder is ended when the command's time is up."""
    try:
        mount = DeadMount(tmp_path)
    except OSError as error:
        pytest.skip(f"needs root, and FUSE in the kernel: {error}")
    lines: list[bytes] = []
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        out = process.stdout
        reader = threading.Thread(target=lambda: lines.extend(out), daemon=True)
        reader.start()
        try:
            until(lambda: lines == [b"in time\n"])
        finally:
            process.kill()
            mount.close()
            reader.join(10)
