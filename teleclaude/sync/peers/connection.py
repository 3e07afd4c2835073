"""Connections to Redis, and what is wrong with one, in words.

redis-py's defaults would hide trouble: ten silent retries of a 5 s time-out, after which an XADD may stand twice. Here
nothing is retried: a failed call breaks the connection, and the loop above connects anew.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import msgspec
import redis
from redis import exceptions as wrong
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from teleclaude.core.settings import RedisSettings

CALL_TIMEOUT = 3.0  # seconds that a call may take
CONNECT_TIMEOUT = 2.0

Value: TypeAlias = bytes | str | int | float
Command: TypeAlias = Sequence[Value]
FAILURES = (wrong.RedisError, OSError, ValueError)


@dataclass(frozen=True)
class Trouble(Exception):
    """Redis cannot be used now; `reason` is a sentence for a person."""

    reason: str


def _options(settings: RedisSettings, read_timeout: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "protocol": 2,  # 3 changes the shape of what XREAD gives
        "driver_info": None,  # no CLIENT SETINFO
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": read_timeout,
        "socket_connect_timeout": CONNECT_TIMEOUT,
    }
    if settings.url.startswith(("redis://", "rediss://")):
        options |= {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
    if settings.url.startswith("rediss://"):
        options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
        if settings.ca_file:
            options["ssl_ca_certs"] = settings.ca_file
    return options


def _keepalive() -> dict[int, int]:
    """Notice a dead line within 10 s, without a command: a blocked reader sends nothing for minutes."""
    if sys.platform != "linux":
        return {}
    return {socket.TCP_KEEPIDLE: 4, socket.TCP_KEEPINTVL: 2, socket.TCP_KEEPCNT: 3}


class Connection:
    """One line to Redis, or to each node of a cluster. One thread calls; any other may `break_off`."""

    def __init__(self, settings: RedisSettings, *, read_timeout: float = CALL_TIMEOUT) -> None:
        options = _options(settings, read_timeout)
        self._settings = settings
        self.is_cluster = settings.cluster
        self._client: Any
        if settings.cluster:
            self._client = RedisCluster.from_url(settings.url, **options)
            clients = [self._client.get_redis_connection(node) for node in self._client.get_nodes()]
        else:
            self._client = redis.Redis.from_url(settings.url, single_connection_client=True, **options)
            clients = [self._client]
        for client in clients:
            client.response_callbacks.clear()  # answers as they come: what they mean is said where they are asked for

    def call(self, *command: Value) -> Any:
        """Send one command, give its answer. Raises one of FAILURES."""
        return self._client.execute_command(*command)

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go; the answers, a wrong.ResponseError among them where one was refused."""
        if not commands:
            return []
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        answers: list[Any] = pipe.execute(raise_on_error=False)
        return answers

    def settings_at(self, key: str) -> RedisSettings:
        """Settings for a line of its own to the server that has `key`, for a reader that blocks there.

        On a cluster's client each blocking read would cost two questions for the place of its key.
        """
        if not self.is_cluster:
            return self._settings
        node = self._client.get_node_from_key(key)
        host = f"[{node.host}]" if ":" in node.host else node.host
        parts = urlsplit(self._settings.url)
        secret = parts.netloc.rpartition("@")[0]
        url = urlunsplit(parts._replace(netloc=f"{secret}@{host}:{node.port}" if secret else f"{host}:{node.port}"))
        return msgspec.structs.replace(self._settings, url=url, cluster=False)

    def break_off(self) -> None:
        """Wake whoever waits for an answer: the line is cut, and the call raises."""
        for line in self._lines():
            found = getattr(line, "_sock", None)
            if found is not None:
                try:
                    socket.socket.shutdown(found, socket.SHUT_RDWR)  # an SSLSocket's own would wait
                except OSError:
                    continue

    def _lines(self) -> list[Any]:
        if not self.is_cluster:
            return [self._client.connection]
        clients = [node.redis_connection for node in self._client.get_nodes() if node.redis_connection]
        # redis-py has no public way to wake a caller: its own disconnect() takes the parser away under the reader
        pools = [client.connection_pool for client in clients]
        return [line for pool in pools for line in pool._in_use_connections.copy()]  # noqa: SLF001

    def close(self) -> None:
        """Give the sockets back."""
        try:
            self._client.close()
        except FAILURES:
            return


def is_fatal(answer: object) -> bool:
    """Tell whether a refused command means that Redis as a whole cannot be used."""
    if isinstance(
        answer,
        wrong.ConnectionError
        | wrong.TimeoutError
        | wrong.OutOfMemoryError
        | wrong.ReadOnlyError
        | wrong.ClusterDownError,
    ):
        return True
    words = ("MISCONF", "NOREPLICAS", "OOM", "NOAUTH", "MASTERDOWN")
    return isinstance(answer, wrong.ResponseError) and str(answer).startswith(words)


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (wrong.OutOfMemoryError, "Redis is out of memory and takes no writes: give it more, or an eviction policy"),
    (wrong.ReadOnlyError, "Redis takes no writes here: it is a read-only replica"),
    (wrong.AuthorizationError, "this Redis user may not use Redis: its rights (ACL) are too few"),
    (wrong.NoPermissionError, "this Redis user has too few rights (ACL)"),
    (wrong.BusyLoadingError, "Redis is still loading its data"),
    (wrong.AuthenticationError, "Redis refused the user or password"),
    (wrong.ClusterDownError, "the Redis cluster is down: not all of its slots are served"),
    (wrong.RedisClusterException, "the Redis cluster cannot be reached"),
)


def explain(error: BaseException, place: str) -> str:
    """Say what is wrong with Redis at `place`, for a person. Never shows a password."""
    if isinstance(error, Trouble):
        return error.reason
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of Redis at {place} is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"Redis at {place} does not speak TLS as it should ({cause.reason or 'failed'})"
        cause = cause.__cause__ or cause.__context__
    text = str(error)
    if text.startswith(("WRONGPASS", "NOAUTH")) or "invalid username-password" in text:
        return f"Redis at {place} refused the user or password"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if text.startswith("MISCONF"):
        return "Redis takes no writes: it cannot save its data to disk"
    if text.startswith("NOREPLICAS"):
        return "Redis takes no writes: too few of its replicas are connected"
    if isinstance(error, wrong.TimeoutError):
        return f"Redis at {place} does not answer"
    if isinstance(error, wrong.ConnectionError | OSError):
        return f"Redis at {place} cannot be reached{_why(text)}"
    return f"Redis at {place} refused a command: {_clean(text)}"


def _why(text: str) -> str:
    known = ("refused", "No such file", "Name or service not known", "timed out", "No route", "unreachable", "closed")
    found = next((word for word in known if word.lower() in text.lower()), "")
    words = {
        "refused": "connection refused",
        "No such file": "its socket is not there",
        "Name or service not known": "its name is unknown",
        "timed out": "no answer",
        "No route": "no route to it",
        "unreachable": "network unreachable",
        "closed": "it closed the connection",
    }
    return f": {words[found]}" if found else ""


def _clean(text: str) -> str:
    return re.sub(r"//[^@/\s]*@", "//***@", text)[:200]


def place_of(url: str) -> str:
    """Name the server of a URL without its secrets."""
    return re.sub(r"^[a-z]+://(?:[^@/]*@)?", "", url).partition("?")[0] or url.partition(":")[0]
