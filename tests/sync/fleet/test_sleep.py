"""A computer that was asleep, or a process that was stopped, notices at once when it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.wait import until

STOPPED = 12.0  # seconds; more than loop.SLEPT
SLEEPER = """
import sys, time
from tests.sync.fleet.node import Node
node = Node("far", sys.argv[1]).start()
number = 0
for line in sys.stdin:
    node.sessions(line.strip())
    print(node.half.counters["connects"], flush=True)
node.close()
"""


def test_a_process_that_was_stopped_connects_anew_and_is_right(node: MakeNode, server: RedisProcess) -> None:
    """After SIGSTOP and SIGCONT it does not trust its connections; others have its rows again without a key pressed."""
    near = node("near")
    near.look("*")
    far = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, server.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert far.stdin is not None
    assert far.stdout is not None
    try:
        until(lambda: near.titles("far") == ["one"], 30)
        os.kill(far.pid, signal.SIGSTOP)
        time.sleep(STOPPED)
        os.kill(far.pid, signal.SIGCONT)
        print("awake", file=far.stdin, flush=True)
        until(lambda: near.titles("far") == ["awake"])
        until(lambda: near.status("far") == "online")
        until(lambda: _told(far) >= 2)
    finally:
        far.stdin.close()
        far.wait(20)
        far.stdout.close()


def _told(far: subprocess.Popen[str]) -> int:
    """How often it connected."""
    assert far.stdin is not None
    assert far.stdout is not None
    print("awake", file=far.stdin, flush=True)
    return int(far.stdout.readline())
