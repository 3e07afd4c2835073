"""Backoff, times, log lines, the lifeline."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core import log as logs
from teleclaude.core.backoff import Backoff
from teleclaude.core.lifeline import VARIABLE, Lifeline
from teleclaude.core.records import utc_seconds, utc_text
from tests.wait import until


def test_backoff_grows_to_its_most_and_resets() -> None:
    """Delays double up to the most, each between half and all of its step; a reset starts over."""
    low, high = Backoff(1, 30, draw=lambda: 0.0), Backoff(1, 30, draw=lambda: 1.0)
    assert [low.next() for _ in range(7)] == [0.5, 1, 2, 4, 8, 15, 15]
    assert [high.next() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    high.reset()
    assert high.next() == 1


@given(st.floats(0, 4e9))
def test_times_survive_as_text(seconds: float) -> None:
    """A time is the same after being text, to the millisecond."""
    text = utc_text(seconds)
    assert text.endswith("Z")
    found = utc_seconds(text)
    assert found is not None
    assert abs(found - seconds) < 0.002


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z"])
def test_a_malformed_time_is_none(text: str) -> None:
    """What is no time is None, not an error."""
    assert utc_seconds(text) is None


def test_a_log_line_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    """Newlines and escapes in a message do not make lines or reach the terminal."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        logs.set_up("test", "info")
        logging.getLogger("x").error("title %s", "a\n2026 ERROR forged\x1b[2J")
    finally:
        root.handlers, root.level = before[0], before[1]
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


def test_lifeline_tells_ready_and_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor reads lines; a full or broken line does not hurt the worker."""
    ours, theirs = socket.socketpair()
    lifeline = Lifeline(theirs)
    before = time.monotonic()
    lifeline.ready()
    lifeline.beat()
    lifeline.status("two\nlines")
    ready, beat, status, end = ours.recv(100).split(b"\n")
    assert (ready, status, end) == (b"ready", b"status two lines", b"")
    word, at = beat.split()
    assert word == b"beat"
    assert before - 0.001 <= float(at) <= time.monotonic() + 0.001  # it is told in milliseconds
    for _ in range(100_000):
        lifeline.beat()
    ours.close()
    lifeline.beat()
    theirs.close()
    monkeypatch.delenv(VARIABLE, raising=False)
    alone = Lifeline.from_environment()
    alone.beat()
    assert alone.fileno() is None


_PARENT = """
import os, socket, subprocess, sys
ours, theirs = socket.socketpair()
os.set_inheritable(theirs.fileno(), True)
code = "import time;from teleclaude.core.lifeline import Lifeline;"
code += "Lifeline.from_environment().ready();time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()],
                         env={**os.environ, "TELECLAUDE_LIFELINE": str(theirs.fileno())})
theirs.close()
assert ours.recv(100) == b"ready\\n"
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_worker_dies_with_its_supervisor_even_when_stopped() -> None:
    """SIGKILL to the supervisor ends a worker that hangs, too."""
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 19)
    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    until(lambda: not _is_alive(pid))


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def test_a_line_of_the_log_can_be_told_without_its_prefix() -> None:
    """What went wrong is told to a person; time, level and names are for the log."""
    log = "2026-11-25 08:28:41,484 CRITICAL web teleclaude.core.thread_group: the web process failed: x: y"
    assert logs.words_of(log) == "the web process failed: x: y"
    assert logs.words_of(" Traceback: of something else ") == "Traceback: of something else"
