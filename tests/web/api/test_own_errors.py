"""An error of ours within a conversation or a request: told as such, and the server goes on."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from teleclaude.cache.snapshot import SnapshotReader
from teleclaude.core.settings import parse
from teleclaude.web.api.api_context import ApiContext
from teleclaude.web.api.health import Workers
from teleclaude.web.api.pending_commands import PendingCommands
from teleclaude.web.api.queries import Queries
from teleclaude.web.api.request_queue import RequestQueue
from teleclaude.web.flask_app import make_app
from teleclaude.web.http.listeners import bind_unix
from teleclaude.web.http.security import Gate
from teleclaude.web.http.server import HttpServer, Site
from teleclaude.web.push.hub import Client, Hub
from teleclaude.web.push.socket import Conversations
from teleclaude.web.push.websocket_transport import WebSocketTransport
from tests.web.http.test_hostile import HANDSHAKE, close_code
from tests.web.raw_http import ask, raw


class BrokenHub(Hub):
    """Fails at whoever comes."""

    def join(self, client: Client) -> None:
        raise RuntimeError("seeded")


def broken_metrics() -> bytes:
    raise RuntimeError("seeded")


@pytest.fixture
def broken() -> Iterator[Path]:
    """A server in a thread, parts of which fail."""
    with tempfile.TemporaryDirectory(prefix="tc", dir="/tmp") as folder:
        path = Path(folder) / "run" / "api.sock"
        ready, stop = threading.Event(), threading.Event()
        thread = threading.Thread(target=_serve, args=(path, ready, stop))
        thread.start()
        assert ready.wait(20)
        yield path
        stop.set()
        thread.join(20)


def _serve(path: Path, ready: threading.Event, stop: threading.Event) -> None:
    hub, queries = BrokenHub("1"), Queries(SnapshotReader(path.with_name("snapshot")))
    commands = PendingCommands(RequestQueue(), Event())
    conversations = Conversations(hub, commands, queries)
    context = ApiContext(
        settings=parse(""),
        queries=queries,
        commands=commands,
        workers=Workers(path.with_name("workers.json")),
        metrics=broken_metrics,
    )
    site = Site(make_app(context, conversations), queries.ready, WebSocketTransport)
    server: Any = HttpServer(bind_unix(path), site, Gate(frozenset()), limit=100)
    server.start()
    ready.set()
    while not stop.is_set():
        gevent.sleep(0.01)
    server.stop(0)
    gevent.get_hub().destroy()


def test_a_conversation_that_fails_ends_with_1011(broken: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No HTTP 500 is written into the stream, and the log has the reason."""
    for _ in range(3):
        answer = raw(broken, HANDSHAKE)
        assert answer.startswith(b"HTTP/1.1 101")
        assert b"HTTP/1.1 500" not in answer
        assert close_code(answer) == 1011
    assert "seeded" in caplog.text


def test_a_request_that_fails_is_500_without_its_reason(broken: Path) -> None:
    """The client is told that it is our error, not what it was; the next request is served."""
    answer = ask(broken, "GET", "/metrics")
    assert (answer.status, answer.json["error"]["code"]) == (500, "internal")
    assert b"seeded" not in answer.body
    assert ask(broken, "GET", "/agents").status == 200
