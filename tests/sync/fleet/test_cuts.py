"""The way to Redis is cut, in both directions and in one, for all connections and for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.node import Node
from tests.sync.fleet.proxy import Proxy
from tests.wait import until


@pytest.fixture
def way(server: RedisProcess) -> Iterator[Proxy]:
    """A way that can be cut."""
    proxy = Proxy(server.path)
    yield proxy
    proxy.close()


def pair(node: MakeNode, way: Proxy, cut: str) -> tuple[Node, Node]:
    """Two computers, near looks at far; the one called `cut` has the way that can be cut."""
    near = node("near", way.url if cut == "near" else None)
    far = node("far", way.url if cut == "far" else None)
    near.look("*")
    until(lambda: near.titles("far") == ["one"], 30)
    return near, far


@pytest.mark.parametrize("direction", ["both", "up", "down"])
@pytest.mark.parametrize("cut", ["near", "far"])
def test_a_cut_is_told_and_all_is_equal_after_it(node: MakeNode, way: Proxy, cut: str, direction: str) -> None:
    """Whoever is cut off, reader or owner, to the server or from it: it is told, and rows are equal when it ends."""
    near, far = pair(node, way, cut)
    if direction in {"both", "up"}:
        way.hold_up.set()
    if direction in {"both", "down"}:
        way.hold_down.set()
    far.sessions("meanwhile")
    lost = near if cut == "near" else far
    until(lambda: lost.redis()[0] == "down" and "does not answer" in lost.redis()[1], 40)
    far.sessions("meanwhile", "more")
    way.mend()
    until(lambda: near.titles("far") == ["meanwhile", "more"], 20)
    until(lambda: near.is_ok() and far.is_ok() and near.status("far") == "online")


def test_a_dead_line_of_the_inbox_alone_is_noticed(node: MakeNode, way: Proxy) -> None:
    """When only the blocked read of the inbox hangs, the next heartbeat and the missing answer tell."""
    near, far = pair(node, way, "near")
    way.held = set(range(1, way.connections + 1))
    way.held.discard(1)  # the loop's own line
    far.sessions("two")
    far.beat_now()
    until(lambda: near.titles("far") == ["two"], 30)
    assert near.half.counters["connects"] == 1
