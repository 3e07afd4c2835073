"""Follows the cache's feed, and comes back to it whenever it was lost."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM

import gevent
import msgspec
from gevent.socket import socket

from teleclaude.cache import wire
from teleclaude.core.backoff import Backoff
from teleclaude.core.framing import FrameReader
from teleclaude.core.peer import is_same_user
from teleclaude.core.requests import Outcome
from teleclaude.replication.version import Version
from teleclaude.web.push.hub import CHANGES_A_TURN, Hub

log = logging.getLogger(__name__)

_CHUNK = 64 * 1024  # larger ones are mapped and unmapped by the C library each time
_READ = 1  # what libev calls EV_READ


class Feed:
    """The greenlet between the feed and the hub.

    `on_link` is called when it comes and goes, `on_outcome` with each outcome once the hub has seen what the outcome
    made. `shown` gives the version of the newest snapshot.
    """

    def __init__(self, path: Path, hub: Hub, shown: Callable[[], Version]) -> None:
        self._path = path
        self._hub = hub
        self._shown = shown
        self.is_connected = False
        self.reconnects = -1
        self.on_link: Callable[[], None] = lambda: None
        self.on_outcome: Callable[[Outcome], None] = lambda _: None
        self._early: deque[tuple[Version, Outcome]] = deque()
        self._backoff = Backoff(0.05, 1.0)

    def run(self) -> None:
        """Follow for ever."""
        while True:
            try:
                self._follow()
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                log.info("the feed is lost: %s %s", type(error).__name__, error)
            except Exception:
                log.exception("the feed is lost by an error of ours")
            self._lose()
            gevent.sleep(self._backoff.next())

    def _lose(self) -> None:
        if self.is_connected:
            self.is_connected = False
            self._let_outcomes_out()
            self.on_link()

    def _follow(self) -> None:
        connection = socket(AF_UNIX, SOCK_STREAM)
        try:
            connection.connect(str(self._path))
            if not is_same_user(connection):
                raise PermissionError("the feed is another user's")
            self._read(connection)
        finally:
            connection.close()

    def _read(self, connection: socket) -> None:
        """Receive until the other end is gone.

        Waiting comes first: it lets everybody else in between two chunks, and a read that finds nothing costs an
        exception. One buffer serves all: a new one for each change costs as much as telling it.
        """
        reader = FrameReader()
        buffer = memoryview(bytearray(_CHUNK))
        hub = gevent.get_hub()
        readable = hub.loop.io(connection.fileno(), _READ)
        try:
            while True:
                hub.wait(readable)
                size = connection.recv_into(buffer)
                if not size:
                    return
                for payload in reader.receive_data(buffer[:size]):
                    self._receive(wire.decode_frame(payload))
        finally:
            readable.close()

    def _receive(self, frame: wire.Frame) -> None:
        match frame:
            case wire.WelcomeFrame():
                self._hub.computer = frame.computer
                self.is_connected = True
                self.reconnects += 1
                self.on_link()
            case wire.SnapshotFrame():
                self._backoff.reset()
                self._hub.receive_snapshot(frame)
                while self._hub.bring_in_step():
                    gevent.sleep(0)
            case wire.ChangesFrame():
                self._hub.receive_changes(frame.epoch, frame.changes[:CHANGES_A_TURN])
                for start in range(CHANGES_A_TURN, len(frame.changes), CHANGES_A_TURN):
                    gevent.sleep(0)
                    self._hub.receive_changes(frame.epoch, frame.changes[start : start + CHANGES_A_TURN])
        self._let_outcomes_out()

    def receive_outcome(self, outcome: Outcome) -> None:
        """Take an outcome, and give it on once the hub has seen what it made; at once while the feed is lost."""
        self._early.append((self._shown(), outcome))
        self._let_outcomes_out()

    def _let_outcomes_out(self) -> None:
        """Give outcomes whose writes the hub has seen: who is told next reads nothing older on /ws either."""
        here = self._hub.mirror.version
        while self._early:
            shown, outcome = self._early[0]
            if self.is_connected and here.epoch == shown.epoch and here.is_before(shown):
                return
            self._early.popleft()
            self.on_outcome(outcome)
