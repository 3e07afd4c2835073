"""The reader of watched screens: a thread and a connection of its own, which there are only while something is watched.

A stream for each screen, so that a busy one drives out nothing of another, and nothing of the inbox. What is lost here
is lost by design; so the place is not kept over connections: what lies there is read again, and judged again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from teleclaude.sync.fleet.redis.connection import Connection
from teleclaude.sync.fleet.redis.redis_keys import KeyNames
from teleclaude.sync.fleet.redis.stream_readers import StreamReader

log = logging.getLogger(__name__)

BLOCK = 30.0  # seconds
COUNT = 16  # updates of one screen in a read
LARGEST = 1024 * 1024  # bytes of one update
PACE = 0.050  # seconds between two reads, however much is sent
BYTES_A_SECOND = 4 * 1024 * 1024
RETRY_EVERY = 1.0  # seconds
_OURS = (b"stream", b"none")

Place = tuple[str, str]  # computer, session id


class ScreenReader(StreamReader):
    """Reads the screens of `watched`, and of no others."""

    largest = LARGEST

    def __init__(self, keys: KeyNames, me: str, receive: Callable[[str, str, list[bytes]], None]) -> None:
        """`receive` gets a computer, a session id, and sealed updates in order."""
        super().__init__("fleet-screens", keys.screens(me, "", ""), BLOCK, lambda _: None)
        self._keys, self._me, self._receive = keys, me, receive
        self._watched: frozenset[Place] = frozenset()
        self._streams: dict[bytes, Place] = {}
        self._positions: dict[bytes, bytes] = {}

    @property
    def key(self) -> str:
        """A key in the slot in which all of them are."""
        return self._key

    def watch(self, watched: frozenset[Place]) -> None:
        """Read these from now on."""
        if watched != self._watched:
            self._set(watched=watched, wanted=bool(watched))

    def _failed(self, error: BaseException, turn: int) -> None:
        """Try again after a while: what is wrong with Redis itself the loop sees, and it goes on without screens."""
        with self._changed:
            if self._turn == turn and not self._stopped:
                log.info("watched screens cannot be read just now: %s", error)
                self._changed.wait_for(lambda: self._turn != turn or self._stopped, RETRY_EVERY)

    def prepare(self, connection: Connection) -> None:
        """Begin with what lies there. A key that holds something else is left out: reading it would fail for all."""
        places = {self._keys.screens(self._me, *place).encode(): place for place in sorted(self._watched)}
        kinds = connection.pipeline([("TYPE", key) for key in places])
        self._streams = {key: places[key] for key, kind in zip(places, kinds, strict=True) if kind in _OURS}
        self._positions = dict.fromkeys(self._streams, b"0-0")

    def read(self, connection: Connection) -> None:
        """Wait for updates once, hand them over, and rest a moment."""
        if not self._streams:
            self._rest(self._block)
            self.prepare(connection)
            return
        block = int(self._block * 1000)
        found = connection.call(
            "XREAD", "COUNT", COUNT, "BLOCK", block, "STREAMS", *self._positions, *self._positions.values()
        )
        if not found:
            self.prepare(connection)  # nothing for so long: it may have been made anew, with lower ids
            return
        size = 0
        for stream, entries in found:
            blobs = [blob for _, fields in entries for blob in fields[1:2]]
            size += sum(map(len, blobs))
            self._receive(*self._streams[stream], blobs)
            self._positions[stream] = entries[-1][0]
        self._rest(max(PACE, size / BYTES_A_SECOND))

    def _rest(self, seconds: float) -> None:
        with self._changed:
            turn = self._turn
            self._changed.wait_for(lambda: self._turn != turn, seconds)
