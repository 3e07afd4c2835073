"""As much of Redis as the node uses, in memory, with a clock of the test's: strings, a sorted set, streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from teleclaude.sync.fleet.node_events import Answer, Refusal
from teleclaude.sync.fleet.redis.redis_keys import KeyNames

WRONG_TYPE = Refusal("WRONGTYPE Operation against a key holding the wrong kind of value")


class Stream:
    """Entries by number, each a field and its value; what the group was handed, and has not acknowledged."""

    def __init__(self) -> None:
        self.entries: dict[int, tuple[str, bytes]] = {}
        self.last = 0
        self.handed = 0
        self.pending: set[int] = set()

    def add(self, field: str, value: bytes) -> bytes:
        """Add an entry, give its id."""
        self.last += 1
        self.entries[self.last] = (field, value)
        return b"%d-0" % self.last


class PretendRedis:
    """Its `call` answers as a pipeline would. `values` may be looked at and spoilt."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.values: dict[str, Any] = {}
        self._until: dict[str, float] = {}
        self.calls: list[str] = []

    @staticmethod
    def words(command: tuple[Any, ...]) -> str:
        """A command as a line of a transcript has it."""
        return " ".join(str(word) for word in command[:2])

    def call(self, *command: Any) -> Answer:
        """Carry out one command."""
        self.calls.append(command[0])
        for key in [key for key, until in self._until.items() if until <= self._clock()]:
            self._drop(key)
        found: Answer = getattr(self, f"_{command[0].lower()}")(*command[1:])
        return found

    # Strings and keys.

    def get(self, key: str) -> bytes | None:
        """The string under a key."""
        found = self.call("GET", key)
        return found if isinstance(found, bytes) else None

    def _get(self, key: str) -> Answer:
        found = self.values.get(key)
        return found if found is None or isinstance(found, bytes) else WRONG_TYPE

    def _mget(self, *keys: str) -> Answer:
        found = [self.values.get(key) for key in keys]
        return [value if isinstance(value, bytes) else None for value in found]

    def _set(self, key: str, value: bytes, _ex: str, seconds: int, get: str = "") -> Answer:
        before = self._get(key)
        if get and before is WRONG_TYPE:
            return WRONG_TYPE
        self.values[key], self._until[key] = value, self._clock() + seconds
        return before if get else b"OK"

    def _pttl(self, key: str) -> Answer:
        if key not in self.values:
            return -2
        return int((self._until[key] - self._clock()) * 1000) if key in self._until else -1

    def _expire(self, key: str, seconds: int) -> Answer:
        if key not in self.values:
            return 0
        self._until[key] = self._clock() + seconds
        return 1

    def _del(self, key: str) -> Answer:
        return int(self._drop(key))

    _unlink = _del

    def _drop(self, key: str) -> bool:
        self._until.pop(key, None)
        return self.values.pop(key, None) is not None

    # The sorted set.

    def _zadd(self, key: str, score: float, name: str) -> Answer:
        found = self.values.setdefault(key, {})
        if not isinstance(found, dict):
            return WRONG_TYPE
        is_new = name not in found
        found[name] = score
        return int(is_new)

    def _zrevrange(self, key: str, _first: int, _last: int, _with: str) -> Answer:
        found = self.values.get(key, {})
        if not isinstance(found, dict):
            return WRONG_TYPE
        return [part.encode() for name, score in found.items() for part in (name, str(score))]

    def _zrem(self, key: str, name: str) -> Answer:
        found = self.values.get(key, {})
        return WRONG_TYPE if not isinstance(found, dict) else int(found.pop(name, None) is not None)

    # Streams.

    def _xadd(self, key: str, *rest: Any) -> Answer:
        stream = self.values.get(key)
        if stream is None and rest[0] == "NOMKSTREAM":
            return None
        if stream is None:
            stream = self.values[key] = Stream()
        if not isinstance(stream, Stream):
            return WRONG_TYPE
        entry = stream.add(rest[-2], _bytes(rest[-1]))
        if rest[:2] == ("MAXLEN", "="):
            stream.entries = dict(list(stream.entries.items())[-rest[2] :])
        return entry

    def _xack(self, key: str, _group: str, entry: bytes) -> Answer:
        if isinstance(stream := self.values.get(key), Stream):
            stream.pending.discard(_number(entry))
        return 1

    def _xdel(self, key: str, entry: bytes) -> Answer:
        if isinstance(stream := self.values.get(key), Stream):
            stream.entries.pop(_number(entry), None)
        return 1

    # What readers do.

    def make_group(self, key: str) -> None:
        """Make a stream, and its group."""
        self.values.setdefault(key, Stream())

    def last_id(self, key: str) -> int:
        """Number of the last entry that a stream had."""
        stream = self.values.get(key)
        return stream.last if isinstance(stream, Stream) else 0

    def requests(self, key: str) -> list[tuple[bytes, bytes]]:
        """Hand over the entries of a stream that were not yet."""
        stream = self.values.get(key)
        if not isinstance(stream, Stream):
            return []
        new = [number for number in stream.entries if number > stream.handed]
        stream.handed = max([stream.handed, *new])
        stream.pending |= set(new)
        return [(b"%d-0" % number, stream.entries[number][1]) for number in new]

    def pending(self, key: str) -> list[tuple[bytes, bytes]]:
        """Entries that were handed over and never acknowledged."""
        stream = self.values.get(key)
        if not isinstance(stream, Stream):
            return []
        return [(b"%d-0" % number, stream.entries.get(number, ("m", b""))[1]) for number in sorted(stream.pending)]

    def inbox(self, keys: KeyNames, name: str, position: int) -> tuple[list[bytes], int]:
        """Give what came after a place in an inbox, answers among it, and the place behind."""
        stream = self.values.get(keys.inbox(name))
        if not isinstance(stream, Stream):
            return [], 0 if stream is None else position
        blobs: list[bytes | None] = []
        for number, (field, value) in sorted(stream.entries.items()):
            if number <= position:
                continue
            key = keys.output(name, value.decode()) if field == "a" else ""
            blobs.append(self.get(key) if key else value)
            if key:
                self._drop(key)
        return [blob for blob in blobs if blob is not None], stream.last

    def entries(self, key: str, position: int) -> tuple[list[bytes], int]:
        """Give what came after a place in a stream, and the place behind."""
        stream = self.values.get(key)
        if not isinstance(stream, Stream):
            return [], position
        return [value for number, (_, value) in sorted(stream.entries.items()) if number > position], stream.last


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _number(entry: bytes) -> int:
    return int(entry.partition(b"-")[0])
