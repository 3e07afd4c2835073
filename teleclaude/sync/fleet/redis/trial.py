"""Whether a Redis will do for a fleet: each command that a fleet needs is tried on keys of the trial's own."""

from __future__ import annotations

import secrets
import ssl
import time
from urllib.parse import urlsplit

from redis import exceptions as wrong

from teleclaude.core.errors import Unavailable
from teleclaude.core.settings import RedisSettings
from teleclaude.sync.fleet.redis.connection import FAILURES, Command, Connection, connect, explain, place_of
from teleclaude.sync.fleet.redis.redis_keys import GROUP, KeyNames

KEPT = 30  # seconds that the trial's keys stay when it is broken off
PAUSE = 0.1  # seconds between tries to connect


def try_redis(settings: RedisSettings, *, patience: float = 0.0) -> Connection:
    """Try all that a fleet needs; give the connection. Raises Unavailable, which says what is wrong and what to do.

    `patience`: seconds for which a server that is not there yet is waited for.
    """
    place = place_of(settings.url)
    line = _connected(settings, place, time.monotonic() + patience)
    try:
        _check_kind(line, settings, place)
        for command in _commands(settings):
            _try(line, command, settings, place)
    except BaseException:
        line.close()
        raise
    return line


def _connected(settings: RedisSettings, place: str, until: float) -> Connection:
    while True:
        try:
            line = connect(settings)
            if not settings.cluster:
                line.call("PING")
        except FAILURES as error:
            if isinstance(error, wrong.ConnectionError | OSError) and _is_absent(error) and time.monotonic() < until:
                time.sleep(PAUSE)
                continue
            raise Unavailable(reason_of(error, settings, place)) from error
        return line


def _is_absent(error: BaseException) -> bool:
    return "refused" in str(error).lower() or "no such file" in str(error).lower()


def reason_of(error: BaseException, settings: RedisSettings, place: str) -> str:
    """Say what is wrong with a Redis that is tried for the first time: the address may be of another kind."""
    text = str(error)
    is_tls = settings.url.startswith("rediss://")
    if is_tls and not _has(error, ssl.SSLCertVerificationError) and _speaks_plainly(settings):
        return f"Redis at {place} does not speak TLS there: use redis://, or its TLS port"
    if isinstance(error, wrong.InvalidResponse) and "\\x15" in text:
        return f"Redis at {place} speaks TLS there: use rediss://"
    if not is_tls and isinstance(error, wrong.ConnectionError) and ("closed" in text or "reset" in text):
        return f"Redis at {place} closed the connection: if it speaks TLS there, use rediss://"
    if "luster mode is not enabled" in text or "cluster support disabled" in text:
        return f"Redis at {place} is no cluster: leave --cluster out"
    if "DB index is out of range" in text or "invalid DB index" in text:
        return f"Redis at {place} has no database of the number that the URL ends with"
    return explain(error, place)


def _speaks_plainly(settings: RedisSettings) -> bool:
    """Tell whether a Redis answers at this address without TLS; no user and no password is told to it."""
    address = urlsplit(settings.url).netloc.rpartition("@")[2]
    try:
        line = connect(RedisSettings(url=f"redis://{address}"))
        try:
            line.call("PING")
        finally:
            line.close()
    except (wrong.ResponseError, wrong.AuthenticationError):
        return True  # it wants a password, or has another word for us; it is a Redis
    except FAILURES:
        return False
    return True


def _has(error: BaseException, kind: type[BaseException]) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, kind):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _check_kind(line: Connection, settings: RedisSettings, place: str) -> None:
    if settings.cluster:
        return
    try:
        line.call("CLUSTER", "INFO")
    except wrong.ResponseError:
        return  # no cluster, or a user who may not ask
    except FAILURES as error:
        raise Unavailable(reason_of(error, settings, place)) from error
    raise Unavailable(f"Redis at {place} is a cluster: add --cluster")


def _commands(settings: RedisSettings) -> list[Command]:
    """All kinds of commands that a fleet uses, on keys of one slot that are gone at the end."""
    names = KeyNames(settings.prefix)
    word = f"trial-{secrets.token_hex(6)}"
    value, stream, names_set = names.heartbeat(word), names.messages(word), f"{settings.prefix}{{{word}}}"
    return [
        ("SET", value, "x", "EX", KEPT),
        ("SET", value, "y", "EX", KEPT, "GET"),
        ("GET", value),
        ("MGET", value),
        ("PTTL", value),
        ("TYPE", value),
        ("XADD", stream, "MAXLEN", "~", 10, "*", "m", "x"),
        ("EXPIRE", stream, KEPT),
        ("XINFO", "STREAM", stream),
        ("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM"),
        ("XREADGROUP", "GROUP", GROUP, GROUP, "COUNT", 1, "STREAMS", stream, ">"),
        ("XREAD", "COUNT", 1, "STREAMS", stream, "0"),
        ("XACK", stream, GROUP, "0-1"),
        ("XDEL", stream, "0-1"),
        ("ZADD", names_set, 1, "x"),
        ("EXPIRE", names_set, KEPT),
        ("ZREVRANGE", names_set, 0, 1, "WITHSCORES"),
        ("ZREM", names_set, "x"),
        ("UNLINK", value),
        ("DEL", stream),
        ("TYPE", names.computers),
    ]


def _try(line: Connection, command: Command, settings: RedisSettings, place: str) -> None:
    try:
        line.call(*command)
    except wrong.NoPermissionError as error:
        name, user = str(command[0]), f"keys that begin with {settings.prefix!r}"
        raise Unavailable(f"this user of Redis at {place} may not {name} {user}: give it that right") from error
    except FAILURES as error:
        raise Unavailable(reason_of(error, settings, place)) from error
