"""One client on /ws: what it says, worked off one by one, and never more of it than it reads answers to."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any, Final

import gevent
from simple_websocket import ConnectionClosed
from simple_websocket import Server as WebSocket

from teleclaude.core.errors import OutcomeUnknown, TeleclaudeError, TooLarge
from teleclaude.core.records import EVERYWHERE
from teleclaude.core.verbs import Refresh
from teleclaude.web.api.pending_commands import PendingCommands
from teleclaude.web.api.queries import Queries
from teleclaude.web.http.error_responses import BadRequest, error_fields
from teleclaude.web.push.hub import Client, Hub
from teleclaude.web.push.subscriptions import (
    ClientMessage,
    OneComputer,
    OneSession,
    Resume,
    added,
    parse,
    removed,
    selections_of,
)
from teleclaude.web.push.subscriptions import selections as chosen
from teleclaude.web.push.websocket_transport import WebSocketTransport

log = logging.getLogger(__name__)

GOING_AWAY: Final = 1001
OUR_ERROR: Final = 1011
TASKS_LIMIT: Final = 8  # commands of one client under way


class Conversations:
    """All clients on /ws."""

    def __init__(self, hub: Hub, commands: PendingCommands, queries: Queries) -> None:
        self._hub, self._commands, self._queries = hub, commands, queries
        self._open: dict[str, WebSocket] = {}
        self._tasks: dict[str, int] = {}
        self.failures = 0
        self.times_behind = 0

    def serve(self, websocket: WebSocket, transport: WebSocketTransport) -> None:
        """Talk with one client until it goes. Nothing that goes wrong leaves here: it would be written as HTTP."""
        client = Client(secrets.token_hex(8), transport.outbox)
        transport.begin(waiting=lambda: len(websocket.input_buffer), on_room=lambda: self._hub.start_over(client))
        self._open[client.name] = websocket
        try:
            self._hub.join(client)
            while True:
                received: Any = websocket.receive()
                self._work_off(client, transport, received)
        except ConnectionClosed:
            log.debug("a client left")
        except Exception:
            log.exception("a conversation failed")
            self.failures += 1
            close(websocket, OUR_ERROR, "an error of ours")
        finally:
            del self._open[client.name]
            self._tasks.pop(client.name, None)
            self._hub.leave(client)
            self.times_behind += transport.outbox.times_behind

    def close_all(self) -> None:
        """Tell everybody that the server goes."""
        for websocket in list(self._open.values()):
            close(websocket, GOING_AWAY, "the daemon stops or restarts")

    def _work_off(self, client: Client, transport: WebSocketTransport, data: str | bytes) -> None:
        transport.note_taken()
        transport.outbox.empty.wait()  # who does not read is not read from
        try:
            if isinstance(data, bytes):
                raise BadRequest("messages are text, not binary")
            self._answer(client, parse(data))
        except TeleclaudeError as error:
            self._hub.say(client, "error", error_fields(error))
        gevent.sleep(0)  # with messages waiting, `receive` lets nobody else in

    def _answer(self, client: Client, message: ClientMessage) -> None:
        interest = removed(client.interest, chosen(message.unsubscribe))
        asked = added(frozenset(), chosen(message.subscribe))  # each once, however often it was said
        self._hub.choose(client, added(interest, selections_of(asked)))
        if isinstance(message.resume, Resume):
            self._hub.resume(client, message.resume.at)
        else:
            self._hub.show(client, selections_of(asked))
        if isinstance(message.refresh, OneComputer):
            self._begin(client, self._refresh, client, message.refresh.computer)
        elif message.refresh is True:
            self._begin(client, self._refresh, client, None)
        if isinstance(message.watch, OneSession):
            row, _ = self._queries.session(message.watch.session_id, message.watch.computer)
            self._hub.watches.start(client.name, client.box, (row.computer, row.session_id))
        if isinstance(message.unwatch, OneSession):
            self._unwatch(client, message.unwatch)

    def _unwatch(self, client: Client, gone: OneSession) -> None:
        """End what it watches of that name; the session may have ended, so it is not looked up."""
        for computer, session_id in self._hub.watches.of(client.name):
            if session_id.startswith(gone.session_id) and gone.computer in {"", computer}:
                self._hub.watches.stop(client.name, (computer, session_id))

    # Commands run beside the conversation, few at a time.

    def _begin(self, client: Client, task: Callable[..., None], *args: object) -> None:
        if self._tasks.get(client.name, 0) >= TASKS_LIMIT:
            raise TooLarge(f"at most {TASKS_LIMIT} commands of one client at a time")
        self._tasks[client.name] = self._tasks.get(client.name, 0) + 1
        gevent.spawn(self._run, client, task, *args)

    def _run(self, client: Client, task: Callable[..., None], *args: object) -> None:
        try:
            task(*args)
        finally:
            if client.name in self._tasks:
                self._tasks[client.name] -= 1

    def _refresh(self, client: Client, computer: str | None) -> None:
        data = {"computer": computer, "status": "ok", "message": ""}
        try:
            self._commands.run(self._queries.known_computer(computer) if computer else EVERYWHERE, Refresh())
        except TeleclaudeError as error:
            data["status"] = "unknown" if isinstance(error, OutcomeUnknown) else "error"
            data["message"] = error.message
        self._hub.say(client, "refreshed", data)


def close(websocket: WebSocket, code: int, reason: str) -> None:
    """Say goodbye, and wake whoever waits for what the client says."""
    try:
        websocket.close(code, reason)  # pyright: ignore[reportArgumentType]  # the stub has the arguments' types mixed up
    except (ConnectionClosed, OSError) as error:
        log.debug("gone already: %s", error)
    websocket.event.set()
