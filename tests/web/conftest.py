"""The web process beside a real cache, for each test that asks."""

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
def web(idle: Daemon) -> Daemon:
    """Cache and web run; three sessions are there; every command is answered with nothing."""
    idle.start()
    idle.fill(*(session(number) for number in range(3)))
    idle.run_commands()
    return idle
