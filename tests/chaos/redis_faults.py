"""Faults of Redis: each is done, and healed, by one call."""

from __future__ import annotations

import contextlib
import random
import time

import redis

from tests.chaos.faults import Fault
from tests.chaos.field import Field


def restart_empty(field: Field, draw: random.Random) -> None:
    """Redis goes, stays away for a while, and comes back without anything."""
    field.fleet.redis.kill()
    time.sleep(field.hold(draw))  # how long the fault lasts; nothing waits for this
    field.fleet.redis.start()


def away_for_long(field: Field, draw: random.Random) -> None:
    """Redis is not there until long after every lease ran out; each computer must work by itself as ever."""
    with field.redis_lock:
        field.is_redis_away = True
        field.fleet.redis.kill()
    time.sleep(field.long)  # how long the fault lasts
    field.fleet.redis.start()
    field.is_redis_away = False


def restart_with_old_data(field: Field, draw: random.Random) -> None:
    """Redis comes back with what it held some time ago: streams that end earlier, requests that were answered."""
    field.fleet.redis.kill()
    time.sleep(field.hold(draw))  # how long the fault lasts
    field.fleet.redis.start_with_kept()


def keep_and_forget(field: Field, draw: random.Random) -> None:
    """Back up Redis at another moment, and have it lose what came since at once."""
    field.fleet.redis.keep()
    time.sleep(field.hold(draw))  # how old the copy is
    field.fleet.redis.kill()
    field.fleet.redis.start_with_kept()


def flush(field: Field, draw: random.Random) -> None:
    """FLUSHALL under everybody's blocked reads."""
    field.fleet.redis.run("FLUSHALL")


def pause(field: Field, draw: random.Random) -> None:
    """CLIENT PAUSE: nobody gets an answer for a while."""
    seconds = field.hold(draw)
    field.fleet.redis.run("CLIENT", "PAUSE", int(1000 * seconds))
    time.sleep(seconds)  # how long the fault lasts


def hang(field: Field, draw: random.Random) -> None:
    """SIGSTOP and SIGCONT."""
    field.fleet.redis.stop_the_clock()
    time.sleep(field.hold(draw))  # how long the fault lasts
    field.fleet.redis.go_on()


def cut_connections(field: Field, draw: random.Random) -> None:
    """Every connection is closed at once."""
    field.fleet.redis.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def trim_streams(field: Field, draw: random.Random) -> None:
    """The inboxes lose all their entries."""
    for key in field.fleet.redis.run("KEYS", "*session_events*"):
        with contextlib.suppress(redis.ResponseError):  # some other fault may have put another type there
            field.fleet.redis.run("XTRIM", key, "MAXLEN", 0)


def wrong_type(field: Field, draw: random.Random) -> None:
    """Something else stands under an inbox' key."""
    for key in field.fleet.redis.run("KEYS", "*session_events*")[:1]:
        field.fleet.redis.run("SET", key, "not a stream", "EX", 1)


def wrong_password(field: Field, draw: random.Random) -> None:
    """Redis wants another password for a while."""
    right = field.fleet.redis.password
    field.fleet.redis.change_password("another")
    time.sleep(field.hold(draw))  # how long the fault lasts
    field.fleet.redis.change_password(right)


def read_only(field: Field, draw: random.Random) -> None:
    """Redis takes no writes for a while."""
    field.fleet.redis.run("CONFIG", "SET", "min-replicas-to-write", 1)
    time.sleep(field.hold(draw))  # how long the fault lasts
    field.fleet.redis.run("CONFIG", "SET", "min-replicas-to-write", 0)


def out_of_memory(field: Field, draw: random.Random) -> None:
    """Redis refuses to grow for a while."""
    field.fleet.redis.run("CONFIG", "SET", "maxmemory", 1)
    time.sleep(field.hold(draw))  # how long the fault lasts
    field.fleet.redis.run("CONFIG", "SET", "maxmemory", 0)


REDIS_FAULTS: list[Fault] = [
    restart_empty,
    restart_with_old_data,
    keep_and_forget,
    flush,
    pause,
    hang,
    cut_connections,
    trim_streams,
    wrong_type,
    wrong_password,
    read_only,
    out_of_memory,
]
