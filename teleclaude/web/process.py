"""The web process: gevent without monkey-patching, listeners, the greenlets behind them, signals, start and end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event
from gevent.socket import wait_read

from teleclaude import __version__
from teleclaude.cache.snapshot import SnapshotReader
from teleclaude.core import log as logs
from teleclaude.core.errors import SettingsError, Unavailable
from teleclaude.core.files import is_file_at
from teleclaude.core.lifeline import BEAT_EVERY, Lifeline
from teleclaude.core.paths import Places, places
from teleclaude.core.settings import ApiSettings, Settings, load_in_force
from teleclaude.core.thread_group import fatal
from teleclaude.replication.version import NOTHING, Version
from teleclaude.web.api.api_context import ApiContext
from teleclaude.web.api.health import Workers, health_event, stale_reason
from teleclaude.web.api.pending_commands import PendingCommands
from teleclaude.web.api.queries import Queries
from teleclaude.web.api.request_queue import RequestQueue
from teleclaude.web.flask_app import make_app
from teleclaude.web.http.listeners import allow_connections, bind_tcp, bind_unix, shares
from teleclaude.web.http.security import Gate, Tokens, address_of, gate_for_tcp, tokens_file
from teleclaude.web.http.server import HttpServer, Site
from teleclaude.web.push.client_interest import ClientInterest
from teleclaude.web.push.feed_reader import Feed
from teleclaude.web.push.hub import Client, Hub
from teleclaude.web.push.memory import Memory
from teleclaude.web.push.socket import Conversations
from teleclaude.web.push.websocket_transport import ReaderGreenlet, WebSocketTransport
from teleclaude.web.sync_link import SyncLink

if TYPE_CHECKING:
    from teleclaude.web.api.metrics import Metrics
    from teleclaude.web.http.tls import Certificate

log = logging.getLogger(__name__)

GOODBYE = 1.2  # seconds in which clients may read that we go


class WebProcess:
    """All of the process but its start."""

    def __init__(self, place: Places, settings: Settings, lifeline: Lifeline) -> None:
        self._place, self._lifeline = place, lifeline
        self._stop = Event()
        self._queries = Queries(SnapshotReader(place.snapshot_file))
        self._hub = Hub(__version__)
        self._hub.computer = settings.computer.name
        self._feed = Feed(place.feed_socket, self._hub, self._shown)
        self._news = Event()  # there is something to say to the sync process
        queue = RequestQueue()
        self._commands = PendingCommands(queue, self._news, self._is_shown)
        self._interest = ClientInterest()
        self._sync = SyncLink(
            place.requests_socket,
            queue,
            self._news,
            self._interest.total,
            self._hub.watches.total,
            on_outcome=self._feed.receive_outcome,
            on_lost=self._commands.lose_outcomes,
            on_output=self._hub.watches.receive,
        )
        self._conversations = Conversations(self._hub, self._commands, self._queries)
        self._context = ApiContext(
            settings=settings,
            queries=self._queries,
            commands=self._commands,
            workers=Workers(place.workers_file),
            metrics=self._rendered_metrics,
        )
        self._metrics: Metrics | None = None
        self._feed.on_link = self._tell_health
        self._feed.on_outcome = self._commands.receive_outcome
        self._hub.on_interest = self._note_interest
        self._hub.on_watched = self._news.set
        app = make_app(self._context, self._conversations)
        self._site = Site(app, self._queries.ready, WebSocketTransport)
        self._connections = allow_connections()
        self._tcp: HttpServer | None = None
        self._tcp_problem = ""
        self._local = self._serve_local(settings.api)

    def _note_interest(self, client: Client) -> None:
        if self._interest.note(client):
            self._sync.interest_changed()

    def _is_shown(self, computer: str) -> bool:
        return self._queries.computer(computer) is not None

    def _shown(self) -> Version:
        try:
            return self._queries.snapshot.at
        except (Unavailable, OSError):
            return NOTHING

    # Listeners.

    def _serve_local(self, api: ApiSettings) -> HttpServer:
        limit, _ = shares(self._connections, is_tcp_open=bool(api.tcp))
        listener = bind_unix(self._place.api_socket)
        self._socket_file = self._place.api_socket.lstat()
        return HttpServer(listener, self._site, Gate(frozenset(api.origins)), limit)

    def _serve_tcp(self, api: ApiSettings) -> str:
        """Open TCP where it is asked for; gives what is wrong there, or nothing. Local use goes on without it."""
        if self._tcp is not None:
            self._tcp.stop(0.1)
            self._tcp = None
        self._local.limit, limit = shares(self._connections, is_tcp_open=bool(api.tcp))
        problem = ""
        if api.tcp:
            try:
                gate = gate_for_tcp(api, Tokens(tokens_file(self._place.state)))
                certificate = _certificate(api)
                self._tcp = HttpServer(bind_tcp(*address_of(api)), self._site, gate, limit, certificate)
                self._tcp.start()
            except (SettingsError, OSError, OverflowError) as error:
                problem = f"TCP stays closed: {error}"
                log.error("%s", problem)  # noqa: TRY400  (what a person is to mend)
                self._tcp = None
        self._lifeline.status(problem)
        return problem

    # Life.

    def stop(self) -> None:
        """End `run`."""
        self._stop.set()

    def reload(self) -> None:
        """Read the settings again; wrong ones are logged, and the old ones stay."""
        try:
            settings = load_in_force(self._place)
        except SettingsError as error:
            log.error("the settings stay as they were: %s", error)  # noqa: TRY400  (what a person is to mend)
            self._lifeline.settings_taken(error.message)
            return
        is_other_api = settings.api != self._context.settings.api
        self._context.settings = settings
        self._local.gate = Gate(frozenset(settings.api.origins))
        if is_other_api or (settings.api.tcp and self._tcp is None):
            self._tcp_problem = self._serve_tcp(settings.api)
        self._lifeline.settings_taken(self._tcp_problem)

    def run(self) -> None:
        """Serve until stopped."""
        self._look(is_first=True)
        parts = {"feed": self._feed.run, "sync": self._sync.run}
        if self._lifeline.fileno() is not None:
            parts["lifeline"] = self._follow_supervisor
        greenlets = [gevent.spawn(_live, name, run) for name, run in parts.items()]
        self._local.start()
        self._tcp_problem = self._serve_tcp(self._context.settings.api)
        self._lifeline.ready()
        memory = Memory()
        while not self._stop.wait(BEAT_EVERY):
            self._lifeline.beat()
            self._look()
            if not is_file_at(self._place.api_socket, self._socket_file):
                raise Unavailable(f"{self._place.api_socket} was removed: nobody finds this process any more")
            memory.look(len(self._hub.clients))
        self._end(greenlets)

    def _end(self, greenlets: list[gevent.Greenlet]) -> None:
        self._local.stop_accepting()
        self._conversations.close_all()
        deadline = time.monotonic() + GOODBYE
        while self._hub.clients and time.monotonic() < deadline:
            gevent.sleep(0.01)
        self._local.stop(0)
        self._serve_tcp(ApiSettings())
        gevent.killall(greenlets, timeout=0.3)
        if is_file_at(self._place.api_socket, self._socket_file):  # else it is another daemon's by now
            self._place.api_socket.unlink()

    def _follow_supervisor(self) -> None:
        line = self._lifeline.fileno()
        if line is None:
            return
        wait_read(line)
        log.info("the supervisor is gone")
        self.stop()

    # Health.

    def _look(self, *, is_first: bool = False) -> None:
        if self._context.workers.look() or is_first:
            self._tell_health()

    def _tell_health(self) -> None:
        states = self._context.workers.states
        self._queries.stale = stale_reason(states, is_fed=self._feed.is_connected)
        self._hub.set_health(health_event(states, self._queries.stale))

    # Numbers.

    def _rendered_metrics(self) -> bytes:
        if self._metrics is None:
            # Imported beside the loop: it takes a while, and nobody on /ws shall wait for it.
            gevent.get_hub().threadpool.apply(import_module, ("teleclaude.web.api.metrics",))
            from teleclaude.web.api.metrics import Metrics  # noqa: PLC0415  (there by now)

            self._metrics = self._metrics or Metrics(self._place, self._gauges, self._counters, self._sync.counters)
        return self._metrics.rendered()

    def _gauges(self) -> dict[str, float]:
        servers = [server for server in (self._local, self._tcp) if server is not None]
        return {
            "connections": sum(server.connections for server in servers),
            "ws_clients": len(self._hub.clients),
            "ws_readers": ReaderGreenlet.running,
            "commands_under_way": self._commands.under_way,
            "feed_connected": int(self._feed.is_connected),
            "sync_connected": int(self._sync.is_connected),
            "stale": int(bool(self._queries.stale)),
            "data_version": self._hub.mirror.version.number,
        }

    def _counters(self) -> dict[str, float]:
        return {
            "fast_answers": self._queries.fast_answers,
            "refused_requests": self._local.refused + (self._tcp.refused if self._tcp else 0),
            "events_told": self._hub.events,
            "clients_behind": self._conversations.times_behind,
            "failed_conversations": self._conversations.failures,
            "feed_reconnects": max(0, self._feed.reconnects),
        }


def _certificate(api: ApiSettings) -> Certificate | None:
    """The certificate that the settings name, if any. Raises OSError."""
    if not api.tls_cert:
        return None
    from teleclaude.web.http.tls import Certificate  # noqa: PLC0415  (OpenSSL is 3 MB, and most have no use for it)

    return Certificate(api.tls_cert, api.tls_key)


def _live(name: str, work: Callable[[], None]) -> None:
    """Run a part that lives as long as the process, which ends when the part fails (core/thread_group.py)."""
    with fatal(f"the greenlet {name!r}"), contextlib.suppress(gevent.GreenletExit):
        work()


def main() -> None:
    """Run the web process until SIGTERM, or until the supervisor is gone."""
    os.umask(0o077)
    lifeline = Lifeline.from_environment()
    place = places()
    settings = load_in_force(place)
    logs.set_up("web", settings.log.level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the supervisor ends us in order
    with fatal("the web process"):
        process = WebProcess(place, settings, lifeline)
        gevent.signal_handler(signal.SIGTERM, process.stop)
        gevent.signal_handler(signal.SIGHUP, process.reload)
        process.run()
    logging.shutdown()
    os._exit(0)  # threads that wait for a stopped cache would hold us for ever
