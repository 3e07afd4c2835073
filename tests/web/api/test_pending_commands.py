"""Commands under way, without a socket: the sync process is played by a greenlet."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

from teleclaude.core.errors import NotFound, Unavailable
from teleclaude.core.requests import failed
from teleclaude.core.verbs import Refresh
from teleclaude.web.api import pending_commands
from teleclaude.web.api.pending_commands import PendingCommands
from teleclaude.web.api.request_queue import RequestQueue


@pytest.fixture
def asked() -> list[str]:
    """Ids of the requests that were sent."""
    return []


@pytest.fixture
def commands(asked: list[str]) -> Iterator[PendingCommands]:
    """Commands to a sync process that knows no other computer; the view shows one."""
    queue, news = RequestQueue(), Event()
    found = PendingCommands(queue, news, lambda name: name == "shown")
    asker = queue.new_asker()

    def answer() -> None:
        while True:
            news.wait()
            news.clear()
            assert queue.to_send(asker, time.monotonic())
            for request_id in list(found._waiting):
                asked.append(request_id)
                found.receive_outcome(failed(request_id, NotFound("no such computer", field="computer")))

    greenlet = gevent.spawn(answer)
    yield found
    greenlet.kill()


def test_who_is_not_reached_in_time_is_unavailable(
    commands: PendingCommands, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A computer that the view shows is not said to be unknown: it is not reached yet, and nothing ran."""
    monkeypatch.setattr(pending_commands, "FLEET_WITHIN", 0.25)
    with pytest.raises(Unavailable, match="does not reach shown yet"):
        commands.run("shown", Refresh())
    assert len(set(asked)) > 1
    assert commands.under_way == 0


def test_who_is_not_shown_is_not_found_at_once(commands: PendingCommands, asked: list[str]) -> None:
    """For what the view does not have there is nothing to wait for."""
    with pytest.raises(NotFound):
        commands.run("elsewhere", Refresh())
    assert len(asked) == 1
