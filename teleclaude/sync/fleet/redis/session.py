"""The engine's own line to Redis: made, checked, given up. Used by one thread."""

from __future__ import annotations

import logging
from typing import Any

from teleclaude.core.settings import RedisSettings
from teleclaude.sync.fleet.context import Parcel
from teleclaude.sync.fleet.redis.connection import Connection, Trouble, connect, is_fatal
from teleclaude.sync.fleet.redis.key_names import KeyNames
from teleclaude.sync.fleet.redis.stream_readers import last_id, make_group

log = logging.getLogger(__name__)


class Link:
    """See the module. Every call raises one of connection.FAILURES, or Trouble."""

    def __init__(self, settings: RedisSettings, keys: KeyNames, me: str) -> None:
        self._settings = settings
        self._keys = keys
        self._me = me
        self._line: Connection | None = None

    @property
    def is_up(self) -> bool:
        """Tell whether there is a line."""
        return self._line is not None

    def connect(self) -> bytes | None:
        """Make a line, look whether our keys are what they should be; give the heartbeat under this name."""
        self.close()
        line = connect(self._settings)
        self._line = line
        keys, me = self._keys, self._me
        wanted = {
            keys.heartbeat(me): b"string",
            keys.messages(me): b"stream",
            keys.inbox(me): b"stream",
            keys.computers: b"zset",
        }
        told = line.pipeline([("TYPE", key) for key in wanted])
        for (key, right), found in zip(wanted.items(), told, strict=True):
            if isinstance(found, Exception):
                raise found
            if found not in {right, b"none"}:
                kind = found.decode("ascii", "replace")
                raise Trouble(f"the key {key} in Redis holds something else (a {kind}): remove it")
        found = line.call("GET", keys.heartbeat(me))
        return found if isinstance(found, bytes) else None

    def prepare(self) -> bytes:
        """Make the group of this computer's messages; give the last id of its inbox."""
        assert self._line is not None  # noqa: S101  (connect came before)
        make_group(self._line, self._keys.messages(self._me))
        return last_id(self._line, self._keys.inbox(self._me))

    def reader_settings(self, key: str) -> RedisSettings:
        """Settings for a reader of `key`."""
        assert self._line is not None  # noqa: S101  (connect came before)
        return self._line.settings_at(key)

    def send(self, parcels: list[Parcel]) -> list[Any]:
        """Send commands as one pipeline; give their answers. Raises when Redis as a whole refuses."""
        assert self._line is not None  # noqa: S101  (asked only while up)
        for parcel in parcels:
            if parcel.on_try:
                parcel.on_try()
        answers = self._line.pipeline([parcel.command for parcel in parcels])
        fatal = next((answer for answer in answers if is_fatal(answer)), None)
        if fatal is not None:
            raise fatal
        return answers

    def break_off(self) -> None:
        """Wake the thread that waits for Redis. From any thread."""
        line = self._line
        if line is not None:
            line.break_off()

    def close(self) -> None:
        """Give the line back."""
        line, self._line = self._line, None
        if line is not None:
            line.close()
