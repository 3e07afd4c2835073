"""Connections to Redis, and what is wrong with one, in words.

redis-py's defaults would hide trouble: ten silent retries of a 5 s time-out, after which an XADD may stand twice. Here
nothing is retried: a failed call breaks the connection, and the loop above connects anew. Nor are replies kept that
have no end (replies.py).
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec
import redis
from redis import exceptions as wrong
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from teleclaude.core.settings import RedisSettings
from teleclaude.core.text import one_line
from teleclaude.sync.fleet.redis.bounded_parser import BoundedParser

CALL_TIMEOUT = 3.0  # seconds that a call may take
CONNECT_TIMEOUT = 2.0
LARGEST = 512 * 1024  # bytes of a string in a reply, where nothing else is said: a heartbeat, a name

Value: TypeAlias = bytes | str | int | float
Command: TypeAlias = Sequence[Value]
FAILURES = (wrong.RedisError, wrong.RedisClusterException, OSError, ValueError)


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


class Connection(Protocol):
    """Commands to Redis. One thread calls, any other may `break_off`. All but that raise one of FAILURES."""

    def call(self, *command: Value) -> Any:
        """Send one command, give its answer, as it came."""
        ...

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go; the answers, an exception among them where one was refused."""
        ...

    def settings_at(self, key: str) -> RedisSettings:
        """Settings for a line of its own to the server that has `key`, for a reader that blocks there."""
        ...

    def break_off(self) -> None:
        """Wake whoever waits for an answer: the line is cut, and the call raises."""
        ...

    def close(self) -> None:
        """Give the sockets back."""
        ...


def connect(settings: RedisSettings, *, read_timeout: float = CALL_TIMEOUT, largest: int = LARGEST) -> Connection:
    """Connect now; strings over `largest` bytes are read as empty. Raises one of FAILURES."""
    if settings.cluster:
        return _Cluster(settings, read_timeout, largest)
    return ServerConnection(settings, read_timeout, largest)


class ServerConnection:
    """One socket, and nothing else: no pool that would open a second one, or a new one in silence."""

    def __init__(self, settings: RedisSettings, read_timeout: float = CALL_TIMEOUT, largest: int = LARGEST) -> None:
        self._settings = settings
        pool = redis.ConnectionPool.from_url(settings.url, **_options(settings, read_timeout))
        self._connection = cast("Any", pool.make_connection())
        self._parser = BoundedParser(largest)
        self._connection.set_parser(lambda socket_read_size: self._parser)  # noqa: ARG005
        self._connection.connect()
        self._socket: socket.socket = self._connection._sock  # noqa: SLF001  (there is no public way to wake a reader)

    def call(self, *command: Value) -> Any:
        """Send one command, give its answer."""
        self._connection.send_command(*command)
        return self._connection.read_response()

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go."""
        if not commands:
            return []
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        self._parser.reader.begin(hold=True)  # all answers together are bounded
        answers = [self._answer() for _ in commands]
        self._parser.reader.begin(hold=False)
        return answers

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except wrong.ResponseError as error:
            return error

    def settings_at(self, key: str) -> RedisSettings:  # noqa: ARG002  (all keys are on one server)
        """Give the settings of this line."""
        return self._settings

    def break_off(self) -> None:
        """Cut the line."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # an SSLSocket's own would wait for the other side

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(*FAILURES):
            self._connection.disconnect()


class _BoundedCluster(RedisCluster):
    """redis-py's client of a cluster, with our parser on each of its connections."""

    def __init__(self, *, largest: int, **options: Any) -> None:
        self._largest = largest
        super().__init__(**options)  # connects

    def on_connect(self, connection: Any) -> None:
        """Set a new connection up."""
        connection.set_parser(lambda socket_read_size: BoundedParser(self._largest))  # noqa: ARG005
        super().on_connect(connection)  # type: ignore[no-untyped-call]


class _Cluster:
    """A line to each node."""

    def __init__(self, settings: RedisSettings, read_timeout: float, largest: int) -> None:
        self._settings = settings
        options = _options(settings, read_timeout)
        self._client = cast("Any", _BoundedCluster.from_url(settings.url, largest=largest, **options))
        for node in self._client.get_nodes():
            self._client.get_redis_connection(node).response_callbacks.clear()  # answers as they come

    def call(self, *command: Value) -> Any:
        """Send one command, give its answer."""
        return self._client.execute_command(*command)

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go to each node."""
        if not commands:
            return []
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        answers: list[Any] = pipe.execute(raise_on_error=False)
        return answers

    def settings_at(self, key: str) -> RedisSettings:
        """Name the node that has `key`: on a cluster's client each blocking read would ask twice where its key is."""
        node = self._client.get_node_from_key(key)
        host = f"[{node.host}]" if ":" in node.host else node.host
        parts = urlsplit(self._settings.url)
        secret = parts.netloc.rpartition("@")[0]
        url = urlunsplit(parts._replace(netloc=f"{secret}@{host}:{node.port}" if secret else f"{host}:{node.port}"))
        return msgspec.structs.replace(self._settings, url=url, cluster=False)

    def break_off(self) -> None:
        """Do nothing: no call on a cluster's client blocks for longer than its time-out."""

    def close(self) -> None:
        """Close the sockets."""
        with contextlib.suppress(*FAILURES):
            self._client.close()


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
    return _explained(error, str(error), place)


def _explained(error: BaseException, text: str, place: str) -> str:
    if isinstance(error, wrong.InvalidResponse):
        return f"what answers at {place} is no Redis, or one that is not right: {_clean(text)}"
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
    return re.sub(r"//[^@/\s]*@", "//***@", one_line(text, 200))


def place_of(url: str) -> str:
    """Name the server of a URL without its secrets."""
    return re.sub(r"^[a-z]+://(?:[^@/]*@)?", "", url).partition("?")[0] or url.partition(":")[0]
