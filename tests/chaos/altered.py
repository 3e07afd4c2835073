"""What a test changes in a real daemon besides tracing it: its clocks, how long a lease is, and a bug with leases.

Called by `inject/sitecustomize.py` before anything of the daemon was imported. Environment:
    TELECLAUDE_TEST_WALL    seconds by which the wall clock (time.time) of this computer is ahead
    TELECLAUDE_TEST_BOOT    seconds by which it was started earlier (CLOCK_BOOTTIME)
    TELECLAUDE_TEST_LEASE   seconds of a lease, instead of a minute; heartbeats come as often in it as ever
    TELECLAUDE_TEST_BUG     "immortal": no lease ever runs out; "stubborn": no session can be renamed
"""

from __future__ import annotations

import os
import time


def install() -> None:
    """Do what the environment asks for, in this process."""
    shift_clocks(float(os.environ.get("TELECLAUDE_TEST_WALL", "0")), float(os.environ.get("TELECLAUDE_TEST_BOOT", "0")))
    lease = os.environ.get("TELECLAUDE_TEST_LEASE", "")
    if lease:
        set_lease(float(lease))
    match os.environ.get("TELECLAUDE_TEST_BUG"):
        case "immortal":
            never_expire()
        case "stubborn":
            never_rename()


def shift_clocks(wall: float, boot: float) -> None:
    """Set the wall clock ahead, and the clock that counts from the machine's start. Both are only read by Python."""
    plain_time, plain_gettime = time.time, time.clock_gettime

    def gettime(clock: int) -> float:
        return plain_gettime(clock) + (boot if clock == time.CLOCK_BOOTTIME else 0.0)

    if wall:
        time.time = lambda: plain_time() + wall
    if boot:
        time.clock_gettime = gettime


def set_lease(seconds: float) -> None:
    """Make leases shorter, for both who give and who judge them."""
    from teleclaude.cache import daemon_cache
    from teleclaude.sync.fleet.redis import redis_keys

    daemon_cache.COMPUTER_TTL = seconds  # type: ignore[misc]  # a constant, but for this test
    redis_keys.HEARTBEAT_TTL = max(1, int(seconds))
    from teleclaude.sync.fleet.membership import heartbeat

    heartbeat.BEAT_EVERY = seconds / 3


def never_expire() -> None:
    """Seed the bug that breaks promise 4."""
    from teleclaude.cache.daemon_cache import DaemonCache
    from teleclaude.sync.fleet.membership.peers import Peer, Peers

    def no_peers(_self: Peers, _now: float) -> list[Peer]:
        return []

    Peers.expire = no_peers  # type: ignore[method-assign,assignment]  # that is the bug
    DaemonCache.expire = lambda _self: 0  # type: ignore[method-assign,assignment]  # the same


def never_rename() -> None:
    """Seed a bug that shows only in a command's outcome."""
    from teleclaude.core.errors import Unavailable
    from teleclaude.sync.commands.actions import Actions

    def refuse(*_: object) -> None:
        raise Unavailable("the bug that a test has put here")

    Actions.rename = refuse  # type: ignore[method-assign,assignment]  # that is the bug
