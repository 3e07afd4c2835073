"""Blocked readers: one for the messages of this computer, one for its inbox; each a thread with its own connection.

Rules of this module:
- A reader decides nothing: it hands bytes to the loop, in the order of the stream.
- The place in the inbox is explicit and kept across reconnects; `$` is never used. A stream that was made anew with
  lower ids is noticed, for a plain XREAD would starve silently.
- An answer is fetched where its note lies in the inbox, so that a snapshot has its place among the events.
- A reader that fails says so and waits for the loop to connect anew.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from teleclaude.core.settings import RedisSettings
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.fleet.redis.connection import FAILURES, Connection, connect
from teleclaude.sync.fleet.redis.redis_keys import GROUP, ROUND, KeyNames
from teleclaude.sync.fleet.redis.replies import TOO_LONG
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.fleet.wire.limits import OVERSIZED

log = logging.getLogger(__name__)

INBOX_BLOCK = 60.0  # seconds; each block is one command
LEAST_BLOCK = 5.0  # seconds, for the messages
READ_SLACK = 5.0  # seconds over the block until a silent connection counts as dead
COUNT = 200  # entries in one read
LARGEST_REQUEST = 1024 * 1024  # bytes; a message to a session has 256 KiB at most
LARGEST_ANSWER = 40 * 1024 * 1024  # bytes; a snapshot has as much as wire/limits.py allows


class StreamReader(ABC):
    """A thread that reads while it is `wanted` and the loop's connection is up."""

    largest = LARGEST_REQUEST  # bytes of an entry

    def __init__(self, name: str, key: str, block: float, on_failure: Callable[[BaseException], None]) -> None:
        self._key = key
        self._block = block
        self._on_failure = on_failure
        self._changed = threading.Condition()
        self._settings: RedisSettings | None = None  # None: not up
        self._turn = 0  # counts the reasons to begin anew
        self._wanted = False
        self._stopped = False
        self._connection: Connection | None = None
        self._name = name
        self._threads = ThreadGroup()

    def start(self) -> None:
        """Start the thread."""
        self._threads.start(self._name, self._run)

    def up(self, settings: RedisSettings) -> None:
        """Redis can be reached: read, on a new connection."""
        self._set(settings=settings)

    def down(self) -> None:
        """Redis cannot be reached: let go."""
        self._set(settings=None)

    def want(self, wanted: bool) -> None:
        """Read, or rest, from now on."""
        if wanted != self._wanted:
            self._set(wanted=wanted)

    def again(self) -> None:
        """Let go of the connection and begin anew: something may be wrong with the stream."""
        self._set()

    def stop(self) -> None:
        """End the thread; `join` waits for it."""
        self._set(stopped=True)

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread. False when it did not come."""
        return self._threads.join(timeout)

    def _set(self, **values: Any) -> None:
        with self._changed:
            for name, value in values.items():
                setattr(self, f"_{name}", value)
            self._turn += 1
            connection = self._connection
            self._changed.notify_all()
        if connection is not None:
            connection.break_off()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or (self._wanted and self._settings is not None))
                if self._stopped:
                    return
                settings, turn = self._settings, self._turn
            assert settings is not None  # noqa: S101  (just waited for)
            try:
                self._read_on(settings, turn)
            except FAILURES as error:
                self._failed(error, turn)
            except Exception as error:
                log.exception("a reader of Redis failed")
                self._failed(error, turn)

    def _failed(self, error: BaseException, turn: int) -> None:
        """Tell the loop, unless it was the loop that broke the connection; then wait for it to connect anew."""
        with self._changed:
            if self._turn != turn or self._stopped:
                return
        self._on_failure(error)
        with self._changed:
            self._changed.wait_for(lambda: self._turn != turn or self._stopped)

    def _read_on(self, settings: RedisSettings, turn: int) -> None:
        connection = connect(settings, read_timeout=self._block + READ_SLACK, largest=self.largest)
        try:
            with self._changed:
                if self._turn != turn:
                    return
                self._connection = connection
            self.prepare(connection)
            while self._turn == turn:
                self.read(connection)
        finally:
            with self._changed:
                self._connection = None
            connection.close()

    @abstractmethod
    def prepare(self, connection: Connection) -> None:
        """Make ready on a new connection."""

    @abstractmethod
    def read(self, connection: Connection) -> None:
        """Wait for entries once, and hand them over."""


class MessagesReader(StreamReader):
    """Reads requests to this computer as the one consumer of its group. It also is the first to see Redis emptied."""

    def __init__(
        self,
        keys: KeyNames,
        me: str,
        receive: Callable[[list[tuple[bytes, bytes]], bool], None],
        on_failure: Callable[[BaseException], None],
        on_emptied: Callable[[], None],
    ) -> None:
        """`receive` gets entries (id, message), and whether they were handed over before."""
        super().__init__("fleet-messages", keys.messages(me), ROUND + LEAST_BLOCK, on_failure)
        self._receive = receive
        self._on_emptied = on_emptied

    def prepare(self, connection: Connection) -> None:
        """Make the group, and take what was handed over before and never acknowledged."""
        make_group(connection, self._key)
        start: bytes = b"0"
        while True:
            old = connection.call("XREADGROUP", "GROUP", GROUP, GROUP, "COUNT", COUNT, "STREAMS", self._key, start)
            entries = _entries(old)
            if not entries:
                return
            self._receive(entries, True)
            start = entries[-1][0]

    def read(self, connection: Connection) -> None:
        """Wait for requests."""
        block = int(seconds_of_round(clock()) * 1000)
        try:
            found = connection.call(
                "XREADGROUP", "GROUP", GROUP, GROUP, "COUNT", COUNT, "BLOCK", block, "STREAMS", self._key, ">"
            )
        except FAILURES as error:
            if not str(error).startswith(("UNBLOCKED", "NOGROUP")):
                raise
            make_group(connection, self._key)
            self._on_emptied()
            return
        entries = _entries(found)
        if entries:
            self._receive(entries, False)


def seconds_of_round(now: float) -> float:
    """Seconds until a round is over, or the next one when it nearly is."""
    left = ROUND - now % ROUND
    return left if left >= LEAST_BLOCK else left + ROUND


def make_group(connection: Connection, key: str) -> None:
    """Make the consumer group from the beginning of the stream, where there is none."""
    try:
        connection.call("XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM")
    except FAILURES as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


class InboxReader(StreamReader):
    """Reads events and answers. `position` is the id of the last entry that was handed over."""

    largest = LARGEST_ANSWER

    def __init__(
        self,
        keys: KeyNames,
        me: str,
        receive: Callable[[list[bytes]], None],
        on_failure: Callable[[BaseException], None],
        on_remade: Callable[[], None],
    ) -> None:
        super().__init__("fleet-inbox", keys.inbox(me), INBOX_BLOCK, on_failure)
        self._keys = keys
        self._me = me
        self._receive = receive
        self._on_remade = on_remade
        self.position: bytes | None = None

    def prepare(self, connection: Connection) -> None:
        """Compare the place with the end of the stream: a stream that ends before it was made anew."""
        last = last_id(connection, self._key)
        if self.position is None:
            self.position = last
        elif order(last) < order(self.position):
            self.position = b"0-0"
            self._on_remade()

    def read(self, connection: Connection) -> None:
        """Wait for entries."""
        assert self.position is not None  # noqa: S101  (prepare set it)
        block = int(self._block * 1000)
        found = connection.call("XREAD", "COUNT", COUNT, "BLOCK", block, "STREAMS", self._key, self.position)
        if not found:
            self.prepare(connection)  # nothing for so long: is it still the same stream?
            return
        raw = found[0][1]
        entries = [_fields(fields) for _, fields in raw]
        notes = [entry[b"a"].decode("ascii", "replace") for entry in entries if b"a" in entry]
        keys = [self._keys.output(self._me, note) for note in notes]
        answers = iter(connection.pipeline([("GET", key) for key in keys]))
        blobs = [_answer(next(answers), entry[b"a"]) if b"a" in entry else entry.get(b"m", b"") for entry in entries]
        if blobs:
            self._receive([blob for blob in blobs if isinstance(blob, bytes)])
        self.position = raw[-1][0]  # only now, and the answers go only now: what was not handed over is read again
        connection.pipeline([("DEL", key) for key in keys])


def _answer(found: Any, note: bytes) -> Any:
    """What came of an answer: one that was too long to be read is told as that."""
    return OVERSIZED + note[:64] if found == TOO_LONG else found


def last_id(connection: Connection, key: str) -> bytes:
    """Id of the last entry that a stream had; 0-0 when there is no stream."""
    try:
        told = connection.call("XINFO", "STREAM", key)
    except FAILURES as error:
        if str(error).startswith("no such key") or "no such key" in str(error):
            return b"0-0"
        raise
    found: bytes = dict(zip(told[::2], told[1::2], strict=False))[b"last-generated-id"]
    return found


def order(entry: bytes) -> tuple[int, int]:
    """Sort key of a stream id."""
    first, _, second = entry.partition(b"-")
    return int(first), int(second or b"0")


def _entries(found: Any) -> list[tuple[bytes, bytes]]:
    return [(entry, _fields(fields).get(b"m", b"")) for entry, fields in (found[0][1] if found else ())]


def _fields(flat: list[bytes] | None) -> dict[bytes, bytes]:
    """Fields of an entry; none for one that was deleted but is still pending."""
    return dict(zip(flat[::2], flat[1::2], strict=False)) if flat else {}
