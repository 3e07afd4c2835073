"""Faults of workers and of Redis: each is done, and healed, by one call."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable

import redis

from tests.fleet import Fleet
from tests.machine import Machine

Fault = Callable[[Fleet, random.Random], None]

HOLD = 0.7  # seconds that a fault lasts which must be ended by hand


def kill_a_worker(fleet: Fleet, draw: random.Random) -> None:
    """SIGKILL one of the three processes of one computer."""
    _signal(draw.choice(fleet.machines), draw.choice(["cache", "sync", "web"]), signal.SIGKILL)


def stop_a_worker(fleet: Fleet, draw: random.Random) -> None:
    """SIGSTOP one of them; its supervisor has to notice."""
    _signal(draw.choice(fleet.machines), draw.choice(["cache", "sync", "web"]), signal.SIGSTOP)


def _signal(machine: Machine, worker: str, number: signal.Signals) -> None:
    with contextlib.suppress(OSError, AssertionError, ProcessLookupError):  # it may be away already
        pid = machine.worker_pid(worker)
        if pid:
            os.kill(pid, number)


def restart_redis_empty(fleet: Fleet, draw: random.Random) -> None:
    """Redis goes, stays away for a while, and comes back without anything."""
    fleet.redis.kill()
    time.sleep(draw.random() * HOLD)  # how long the fault lasts; nothing waits for this
    fleet.redis.start()


def flush_redis(fleet: Fleet, draw: random.Random) -> None:
    """FLUSHALL under everybody's blocked reads."""
    fleet.redis.run("FLUSHALL")


def pause_redis(fleet: Fleet, draw: random.Random) -> None:
    """CLIENT PAUSE: nobody gets an answer for a while."""
    fleet.redis.run("CLIENT", "PAUSE", int(1000 * HOLD))


def hang_redis(fleet: Fleet, draw: random.Random) -> None:
    """SIGSTOP and SIGCONT."""
    fleet.redis.stop_the_clock()
    time.sleep(HOLD)  # how long the fault lasts
    fleet.redis.go_on()


def cut_connections(fleet: Fleet, draw: random.Random) -> None:
    """Every connection is closed at once."""
    fleet.redis.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def trim_streams(fleet: Fleet, draw: random.Random) -> None:
    """The inboxes lose all their entries."""
    for key in fleet.redis.run("KEYS", "*session_events*"):
        with contextlib.suppress(redis.ResponseError):  # some other fault may have put another type there
            fleet.redis.run("XTRIM", key, "MAXLEN", 0)


def wrong_type(fleet: Fleet, draw: random.Random) -> None:
    """Something else stands under an inbox' key."""
    for key in fleet.redis.run("KEYS", "*session_events*")[:1]:
        fleet.redis.run("SET", key, "not a stream", "EX", 1)


def read_only(fleet: Fleet, draw: random.Random) -> None:
    """Redis takes no writes for a while."""
    fleet.redis.run("CONFIG", "SET", "min-replicas-to-write", 1)
    time.sleep(HOLD)  # how long the fault lasts
    fleet.redis.run("CONFIG", "SET", "min-replicas-to-write", 0)


def out_of_memory(fleet: Fleet, draw: random.Random) -> None:
    """Redis refuses to grow for a while."""
    fleet.redis.run("CONFIG", "SET", "maxmemory", 1)
    time.sleep(HOLD)  # how long the fault lasts
    fleet.redis.run("CONFIG", "SET", "maxmemory", 0)


FAULTS: list[Fault] = [
    kill_a_worker,
    stop_a_worker,
    restart_redis_empty,
    flush_redis,
    pause_redis,
    hang_redis,
    cut_connections,
    trim_streams,
    wrong_type,
    read_only,
    out_of_memory,
]
