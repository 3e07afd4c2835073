"""Where the sync process asks for requests: requests, interest and what is watched go out; outcomes, screens and
counters come in.

One asker is served at a time, the newest. An older one is cut off before a newer one gets what it did not take: what
it said until then counts, and what it says later it cannot send.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import gevent
import msgspec
from gevent.event import AsyncResult, Event
from gevent.socket import socket

from teleclaude.core.errors import Unavailable
from teleclaude.core.framing import FrameReader
from teleclaude.core.peer import is_same_user
from teleclaude.core.records import Kind
from teleclaude.core.request_wire import (
    LIMIT,
    AskCountersFrame,
    AskerFrame,
    CountersFrame,
    FromAsker,
    InterestFrame,
    OutcomeFrame,
    OutputEndFrame,
    OutputFrame,
    TakenFrame,
    WatchedFrame,
    WatchFrame,
    frame_from_asker,
    to_bytes,
)
from teleclaude.core.requests import Outcome
from teleclaude.web.api.request_queue import RequestQueue
from teleclaude.web.http.listeners import bind_unix

log = logging.getLogger(__name__)

CONNECTIONS_LIMIT = 8
COUNTERS_WITHIN = 1.0  # seconds
ACCEPT_AGAIN = 0.2  # seconds
_CHUNK = 64 * 1024


class _Asker:
    """One connection; `number` is 0 until it said who it is."""

    def __init__(self, connection: socket) -> None:
        self.connection = connection
        self.number = 0
        self.writer: gevent.Greenlet | None = None
        self.knows_interest = False
        self.watched: list[tuple[str, str]] = []  # what it was told last

    def begin(self, number: int, writer: gevent.Greenlet) -> None:
        """Take the number, and what sends to it."""
        self.number, self.writer = number, writer

    def cut_off(self) -> None:
        """Let nothing more come in or go out. What has come in already is still read."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(SHUT_RDWR)


class SyncLink:
    """Listens at `path`; raises Refused for what is planted there.

    `interest` gives all that clients look at, `watched` all sessions that they watch. `news` is set by whoever has
    something to send: a request, or other sessions that are watched.
    """

    def __init__(
        self,
        path: Path,
        queue: RequestQueue,
        news: Event,
        interest: Callable[[], dict[str, list[Kind]]],
        watched: Callable[[], list[tuple[str, str]]],
        *,
        on_outcome: Callable[[Outcome], None],
        on_lost: Callable[[list[str]], None],
        on_output: Callable[[WatchedFrame], None],
    ) -> None:
        self._queue, self._news, self._interest, self._watched = queue, news, interest, watched
        self._on_outcome, self._on_lost, self._on_output = on_outcome, on_lost, on_output
        self._listener = bind_unix(path)
        self._askers: set[_Asker] = set()
        self._newest: _Asker | None = None
        self._counters: AsyncResult | None = None

    @property
    def is_connected(self) -> bool:
        """Tell whether a sync process asks."""
        return self._newest is not None

    def run(self) -> None:
        """Accept askers for ever."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:  # no descriptor is left, say
                log.warning("the sync process cannot be let in; trying again: %s", error)
                gevent.sleep(ACCEPT_AGAIN)
                continue
            if not is_same_user(connection) or len(self._askers) >= CONNECTIONS_LIMIT:
                log.warning("refused a connection for requests: another user, or too many")
                connection.close()
                continue
            gevent.spawn(self._serve, _Asker(connection))

    def interest_changed(self) -> None:
        """Tell the sync process what clients look at now."""
        if self._newest:
            self._newest.knows_interest = False
        self._news.set()

    def counters(self) -> dict[str, int]:
        """Ask the sync process what it counted. Raises Unavailable when it does not say so within a second."""
        if self._newest is None:
            raise Unavailable("no sync process asks for requests")
        if self._counters is None:
            self._counters = AsyncResult()
            self._news.set()
        try:
            got: Any = self._counters.get(timeout=COUNTERS_WITHIN)
            found: dict[str, int] = got
        except gevent.Timeout:
            self._counters = None
            raise Unavailable("the sync process does not tell its counters") from None
        return found

    # One asker.

    def _serve(self, asker: _Asker) -> None:
        self._askers.add(asker)
        try:
            reader = FrameReader(LIMIT)
            while data := asker.connection.recv(_CHUNK):
                for payload in reader.receive_data(data):
                    self._receive(asker, frame_from_asker(payload))
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            log.info("the sync process is lost: %s %s", type(error).__name__, error)
        finally:
            self._lose(asker)

    def _receive(self, asker: _Asker, frame: FromAsker) -> None:
        match frame:
            case AskerFrame():
                self._begin(asker, frame.run)
            case TakenFrame():
                self._queue.receive_taken(asker.number, frame.request_id)
            case OutcomeFrame():
                self._on_outcome(frame.outcome)
            case OutputFrame() | OutputEndFrame():
                self._on_output(frame)
            case CountersFrame():
                result, self._counters = self._counters, None
                if result:
                    result.set(frame.counters)

    def _begin(self, asker: _Asker, run: str) -> None:
        if asker.number:
            raise ValueError("an asker says twice who it is")
        if self._newest:
            log.info("another run of the sync process asks: %s", run)
            self._newest.cut_off()
        self._newest = asker
        asker.begin(self._queue.new_asker(), gevent.spawn(self._write, asker))
        self._news.set()

    def _lose(self, asker: _Asker) -> None:
        if asker.writer:
            asker.writer.kill(block=False)
        asker.connection.close()
        self._askers.discard(asker)
        if self._newest is asker:
            self._newest = None
        if asker.number:
            self._on_lost(self._queue.lose_asker(asker.number))
            self._news.set()  # another asker may be there for what was not taken

    def _write(self, asker: _Asker) -> None:
        try:
            while self._newest is asker:
                self._news.clear()
                data = self._to_send(asker)
                if data:
                    asker.connection.sendall(data)
                self._news.wait()
        except OSError as error:
            log.info("the sync process takes nothing: %s", error)
            asker.cut_off()

    def _to_send(self, asker: _Asker) -> bytes:
        data = b""
        if not asker.knows_interest:
            asker.knows_interest = True
            data += to_bytes(InterestFrame(self._interest()))
        watched = self._watched()
        if watched != asker.watched:
            asker.watched = watched
            data += to_bytes(WatchFrame(watched))
        if self._counters is not None:
            data += to_bytes(AskCountersFrame())
        return data + self._queue.to_send(asker.number, time.monotonic())
