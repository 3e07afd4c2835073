"""The loop's own connection to Redis: made, checked, given up. Used by one thread."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from teleclaude.core.settings import RedisSettings
from teleclaude.sync.fleet.redis.connection import Command, Connection, Trouble, connect, is_fatal
from teleclaude.sync.fleet.redis.redis_keys import KeyNames
from teleclaude.sync.fleet.redis.stream_readers import last_id, make_group

log = logging.getLogger(__name__)


class RedisSession:
    """See the module. Every call raises one of connection.FAILURES, or Trouble."""

    def __init__(self, settings: RedisSettings, keys: KeyNames, me: str) -> None:
        self._settings = settings
        self._keys = keys
        self._me = me
        self._connection: Connection | None = None

    @property
    def is_up(self) -> bool:
        """Tell whether there is a connection."""
        return self._connection is not None

    def connect(self) -> bytes | None:
        """Make a connection, look whether our keys are what they should be; give the heartbeat under this name."""
        self.close()
        connection = connect(self._settings)
        self._connection = connection
        keys, me = self._keys, self._me
        wanted = {
            keys.heartbeat(me): b"string",
            keys.messages(me): b"stream",
            keys.inbox(me): b"stream",
            keys.computers: b"zset",
        }
        told = connection.pipeline([("TYPE", key) for key in wanted])
        for (key, right), found in zip(wanted.items(), told, strict=True):
            if isinstance(found, Exception):
                raise found
            if found not in {right, b"none"}:
                kind = found.decode("ascii", "replace")
                raise Trouble(f"the key {key} in Redis holds something else (a {kind}): remove it")
        found = connection.call("GET", keys.heartbeat(me))
        return found if isinstance(found, bytes) else None

    def prepare(self) -> bytes:
        """Make the group of this computer's messages; give the last id of its inbox."""
        assert self._connection is not None  # noqa: S101  (connect came before)
        make_group(self._connection, self._keys.messages(self._me))
        return last_id(self._connection, self._keys.inbox(self._me))

    def reader_settings(self, key: str) -> RedisSettings:
        """Settings for a reader of `key`."""
        assert self._connection is not None  # noqa: S101  (connect came before)
        return self._connection.settings_at(key)

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands as one pipeline; give their answers. Raises when Redis as a whole refuses."""
        assert self._connection is not None  # noqa: S101  (asked only while up)
        answers = self._connection.pipeline(commands)
        fatal = next((answer for answer in answers if is_fatal(answer)), None)
        if fatal is not None:
            raise fatal
        return answers

    def break_off(self) -> None:
        """Wake the thread that waits for Redis. From any thread."""
        connection = self._connection
        if connection is not None:
            connection.break_off()

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
