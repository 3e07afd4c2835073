"""The web process beside a real cache: one that tests share, or one of their own where they break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.daemon import Daemon, daemon, session


@pytest.fixture
def idle() -> Iterator[Daemon]:
    """Nothing runs yet."""
    with daemon() as found:
        yield found


@pytest.fixture
def own(idle: Daemon) -> Daemon:
    """Cache and web run, for this test alone; three sessions are there; commands are answered with nothing."""
    idle.start()
    idle.fill(*(session(number) for number in range(3)))
    idle.run_commands()
    return idle


@pytest.fixture(scope="session")
def _shared() -> Iterator[Daemon]:
    with daemon() as found:
        found.start()
        found.run_commands()
        yield found


@pytest.fixture
def web(_shared: Daemon) -> Daemon:
    """The same, shared: as it was, for each test."""
    _shared.reset()
    return _shared
