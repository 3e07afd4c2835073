"""A Redis and computers around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from tests.redis_process import RedisProcess
from tests.sync.fleet.node import Node

MakeNode: TypeAlias = Callable[..., Node]


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    """A redis-server of the test's own."""
    process = RedisProcess()
    yield process
    process.close()


@pytest.fixture
def node(server: RedisProcess) -> Iterator[MakeNode]:
    """Makes started computers on `server`; all end with the test."""
    nodes: list[Node] = []

    def make(name: str, url: str | None = None, **options: Any) -> Node:
        found = Node(name, server.url if url is None else url, **options)
        nodes.append(found)
        return found.start()

    yield make
    for found in nodes:
        found.close()
