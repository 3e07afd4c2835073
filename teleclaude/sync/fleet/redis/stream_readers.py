"""Blocked readers: one for the messages of this computer, one for its inbox. Each has a thread and a line of its own.

Rules of this module:
- A reader decides nothing: it hands bytes to the engine, in the order of the stream.
- The place in the inbox is explicit and kept across reconnects; `$` is never used. A stream that was made anew with
  lower ids is noticed, for a plain XREAD would starve silently.
- An answer is fetched where its note lies in the inbox, so that a snapshot has its place among the events.
- A reader that fails says so and waits for the engine to connect anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from teleclaude.core.settings import RedisSettings
from teleclaude.sync.fleet.redis.connection import FAILURES, Connection, connect
from teleclaude.sync.fleet.redis.key_names import GROUP, KeyNames

log = logging.getLogger(__name__)

MESSAGES_BLOCK = 120.0  # seconds; each block is one command
INBOX_BLOCK = 25.0
READ_SLACK = 5.0  # seconds over the block until a silent line counts as dead
COUNT = 200  # entries in one read
LARGEST_REQUEST = 1024 * 1024  # bytes; a message to a session has 256 KiB at most
LARGEST_ANSWER = 40 * 1024 * 1024  # bytes; a snapshot has as much as wire/limits.py allows


class Reader:
    """A thread that reads while it is `wanted` and the engine's connection is up."""

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
        self._line: Connection | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def up(self, settings: RedisSettings) -> None:
        """Redis can be reached: read, on a new line."""
        self._set(settings=settings)

    def down(self) -> None:
        """Redis cannot be reached: let go."""
        self._set(settings=None)

    def want(self, wanted: bool) -> None:
        """Read, or rest, from now on."""
        if wanted != self._wanted:
            self._set(wanted=wanted)

    def again(self) -> None:
        """Let go of the line and begin anew: something may be wrong with the stream."""
        self._set()

    def stop(self) -> None:
        """End the thread; `join` waits for it."""
        self._set(stopped=True)

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _set(self, **values: Any) -> None:
        with self._changed:
            for name, value in values.items():
                setattr(self, f"_{name}", value)
            self._turn += 1
            line = self._line
            self._changed.notify_all()
        if line is not None:
            line.break_off()

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
        """Tell the engine, unless it was the engine that broke the line; then wait for it to connect anew."""
        with self._changed:
            if self._turn != turn or self._stopped:
                return
        self._on_failure(error)
        with self._changed:
            self._changed.wait_for(lambda: self._turn != turn or self._stopped)

    def _read_on(self, settings: RedisSettings, turn: int) -> None:
        line = connect(settings, read_timeout=self._block + READ_SLACK, largest=self.largest)
        try:
            with self._changed:
                if self._turn != turn:
                    return
                self._line = line
            self.prepare(line)
            while self._turn == turn:
                self.read(line)
        finally:
            with self._changed:
                self._line = None
            line.close()

    def prepare(self, line: Connection) -> None:
        """Make ready on a new line."""
        raise NotImplementedError

    def read(self, line: Connection) -> None:
        """Wait for entries once, and hand them over."""
        raise NotImplementedError


class MessagesReader(Reader):
    """Reads requests to this computer as the one consumer of its group. It also is the first to see Redis emptied."""

    def __init__(
        self,
        keys: KeyNames,
        me: str,
        receive: Callable[[list[tuple[bytes, bytes]], bool], None],
        on_failure: Callable[[BaseException], None],
        on_flushed: Callable[[], None],
    ) -> None:
        """`receive` gets entries (id, message), and whether they were handed over before."""
        super().__init__("peers-messages", keys.messages(me), MESSAGES_BLOCK, on_failure)
        self._receive = receive
        self._on_flushed = on_flushed

    def prepare(self, line: Connection) -> None:
        """Make the group, and take what was handed over before and never acknowledged."""
        make_group(line, self._key)
        start: bytes = b"0"
        while True:
            old = line.call("XREADGROUP", "GROUP", GROUP, GROUP, "COUNT", COUNT, "STREAMS", self._key, start)
            entries = _entries(old)
            if not entries:
                return
            self._receive(entries, True)
            start = entries[-1][0]

    def read(self, line: Connection) -> None:
        """Wait for requests."""
        block = int(self._block * 1000)
        try:
            found = line.call(
                "XREADGROUP", "GROUP", GROUP, GROUP, "COUNT", COUNT, "BLOCK", block, "STREAMS", self._key, ">"
            )
        except FAILURES as error:
            if not str(error).startswith(("UNBLOCKED", "NOGROUP")):
                raise
            make_group(line, self._key)
            self._on_flushed()
            return
        entries = _entries(found)
        if entries:
            self._receive(entries, False)


def make_group(line: Connection, key: str) -> None:
    """Make the consumer group from the beginning of the stream, where there is none."""
    try:
        line.call("XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM")
    except FAILURES as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


class InboxReader(Reader):
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
        super().__init__("peers-inbox", keys.inbox(me), INBOX_BLOCK, on_failure)
        self._keys = keys
        self._me = me
        self._receive = receive
        self._on_remade = on_remade
        self.position: bytes | None = None

    def prepare(self, line: Connection) -> None:
        """Compare the place with the end of the stream: a stream that ends before it was made anew."""
        last = last_id(line, self._key)
        if self.position is None:
            self.position = last
        elif order(last) < order(self.position):
            self.position = b"0-0"
            self._on_remade()

    def read(self, line: Connection) -> None:
        """Wait for entries."""
        assert self.position is not None  # noqa: S101  (prepare set it)
        block = int(self._block * 1000)
        found = line.call("XREAD", "COUNT", COUNT, "BLOCK", block, "STREAMS", self._key, self.position)
        if not found:
            self.prepare(line)  # nothing for so long: is it still the same stream?
            return
        raw = found[0][1]
        entries = [_fields(fields) for _, fields in raw]
        notes = [entry[b"a"].decode("ascii", "replace") for entry in entries if b"a" in entry]
        keys = [self._keys.output(self._me, note) for note in notes]
        answers = iter(line.pipeline([("GET", key) for key in keys]))
        blobs = [next(answers) if b"a" in entry else entry.get(b"m", b"") for entry in entries]
        if blobs:
            self._receive([blob for blob in blobs if isinstance(blob, bytes)])
        self.position = raw[-1][0]  # only now, and the answers go only now: what was not handed over is read again
        line.pipeline([("DEL", key) for key in keys])


def last_id(line: Connection, key: str) -> bytes:
    """Id of the last entry that a stream had; 0-0 when there is no stream."""
    try:
        told = line.call("XINFO", "STREAM", key)
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
