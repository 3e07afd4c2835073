"""The one writer into the cache: whatever the cache does, it ends with what its sources have."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.cache import wire
from teleclaude.cache.core import CacheCore
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.core.errors import TeleclaudeError, Unavailable
from teleclaude.core.records import key_of
from teleclaude.sync.cache_writer import CacheWriter
from teleclaude.sync.own_records import OwnRecords
from tests import make
from tests.wait import until


class Door:
    """A cache that can be away, lose the answer to a write, be restarted, and have things happen meanwhile."""

    def __init__(self) -> None:
        self.core = CacheCore(DaemonCache("here"))
        self.is_away = False
        self.loses_answer = False
        self.refuses = False
        self.meanwhile: deque[Callable[[], None]] = deque()
        self.flushes = 0

    def restart(self) -> None:
        """Another cache, empty."""
        self.core = CacheCore(DaemonCache("here"))

    def write(self, ops: list[wire.Op], *, flush: bool = False) -> tuple[str, int]:
        """Apply writes, or not."""
        if self.meanwhile:
            self.meanwhile.popleft()()
        if self.is_away:
            raise Unavailable("away")
        if self.refuses:
            self.refuses = False
            raise TeleclaudeError("refused")
        self.flushes += flush
        at = self.core.write(wire.decode_ops(wire.encode(ops)))
        if self.loses_answer:
            self.loses_answer = False
            raise Unavailable("lost the answer")
        return at

    def titles(self) -> dict[str, str]:
        """What the cache has."""
        cache = self.core.cache
        found = [cache.get("sessions", "here", key) for key in cache._keys("sessions", "here")]
        return {key_of(record): record.title for record in found if record}  # type: ignore[union-attr]


def pump(writer: CacheWriter, door: Door) -> None:
    """Let the writer do all it can, as its thread would, without its pauses."""
    for _ in range(50):
        if not writer._has_work():
            return
        try:
            writer._step()
        except TeleclaudeError:
            with writer._changed:
                writer._forget_cache()
            if door.is_away:
                return
    raise AssertionError("the writer never comes to rest")


Step = st.one_of(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from(["one", "two", "three"])),
    st.sampled_from(["away", "back", "restart", "lose", "refuse", "epoch", "pump", "refill"]),
)


@given(st.lists(st.tuples(Step, st.booleans()), max_size=25))
def test_cache_ends_where_its_sources_are(steps: list[tuple[dict[str, str] | str, bool]]) -> None:
    """Through outages, lost answers, restarts and changes in the middle of a write, nothing is missing at the end."""
    door = Door()
    writer = CacheWriter(door)
    own = OwnRecords("here", writer.submit)
    writer.add_provider(own.everything)
    own.filled()
    last: dict[str, str] = {}

    def act(step: dict[str, str] | str) -> None:
        nonlocal last
        match step:
            case dict():
                last = step
                own.update("sessions", [make.session(key, title=title) for key, title in step.items()])
            case "away" | "back":
                door.is_away = step == "away"
            case "restart":
                door.restart()
            case "lose":
                door.loses_answer = True
            case "refuse":
                door.refuses = True
            case "epoch":
                writer.seen_epoch(door.core.cache.version.epoch)
            case "refill":
                writer.refill()
            case _:
                pump(writer, door)

    for step, is_meanwhile in steps:
        if is_meanwhile and step != "pump":
            door.meanwhile.append(lambda step=step: act(step))  # type: ignore[misc]
        else:
            act(step)
    pump(writer, door)
    door.is_away, door.loses_answer, door.refuses = False, False, False
    door.meanwhile.clear()
    writer.seen_epoch(door.core.cache.version.epoch)
    pump(writer, door)
    assert door.titles() == last
    assert door.core.filled


@pytest.fixture
def door() -> Door:
    """A cache to write to."""
    return Door()


@pytest.fixture
def writer(door: Door) -> Iterator[CacheWriter]:
    """A writer that runs in its thread."""
    found = CacheWriter(door)
    thread = threading.Thread(target=found.run)
    thread.start()
    yield found
    found.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_flush_waits_until_it_can_be_read(door: Door, writer: CacheWriter) -> None:
    """A flush returns when all that was submitted is in the cache, and asks for it to be shown."""
    until(lambda: writer.flush(5))
    before = door.flushes
    writer.submit(wire.put([make.session("a", title="x")]))
    assert writer.flush(5)
    assert door.titles() == {"a": "x"}
    assert door.flushes > before


def test_flush_gives_up(door: Door, writer: CacheWriter) -> None:
    """While the cache is away a flush says so in time, and the writer is back by itself."""
    assert writer.flush(5)
    door.is_away = True
    assert not writer.flush(0.05)
    door.is_away = False
    assert writer.flush(5)


def test_nothing_is_kept_for_a_cache_that_is_away(door: Door, writer: CacheWriter) -> None:
    """An outage costs no memory: what is written meanwhile is told by the sources later."""
    assert writer.flush(5)
    door.is_away = True
    writer.submit(wire.put([make.session("a")]))
    until(lambda: writer._epoch is None)
    for _ in range(1000):
        writer.submit(wire.put([make.session("a")]))
    assert writer._queue == []
