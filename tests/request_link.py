"""The two ends of the connection for requests, in the place of the web process and of the sync process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.framing import FrameReader
from teleclaude.core.records import Kind
from teleclaude.core.request_wire import (
    AskCountersFrame,
    AskerFrame,
    CountersFrame,
    FromAsker,
    InterestFrame,
    OutcomeFrame,
    RunFrame,
    TakenFrame,
    ToAsker,
    WatchFrame,
    frame_from_asker,
    frame_to_asker,
    to_bytes,
)
from teleclaude.core.requests import Outcome, Request, failed
from tests.wait import until


class Asker:
    """Asks for requests as the sync process does, and runs each in the thread that reads."""

    def __init__(self, path: Path, run: Callable[[Request], Outcome], name: str = "run") -> None:
        self._run = run
        self.interest: dict[str, list[Kind]] | None = None
        self.watched: list[tuple[str, str]] = []
        self.connection = socket.socket(socket.AF_UNIX)
        until(lambda: self.connection.connect_ex(str(path)) == 0, 60)
        self.send(AskerFrame(name))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def send(self, frame: FromAsker) -> None:
        """Send a frame."""
        self.connection.sendall(to_bytes(frame))

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join(10)
        self.connection.close()

    @property
    def is_gone(self) -> bool:
        """Whether the other end hung up, or this one."""
        return not self._thread.is_alive()

    def _read(self) -> None:
        reader = FrameReader()
        with contextlib.suppress(OSError):
            while data := self.connection.recv(65536):
                for payload in reader.receive_data(data):
                    self._receive(frame_to_asker(payload))

    def _receive(self, frame: ToAsker) -> None:
        match frame:
            case InterestFrame():
                self.interest = frame.interest
            case WatchFrame():
                self.watched = frame.watched
            case AskCountersFrame():
                self.send(CountersFrame({}))
            case RunFrame():
                self.send(TakenFrame(frame.request.id))
                try:
                    outcome = self._run(frame.request)
                except TeleclaudeError as error:
                    outcome = failed(frame.request.id, error)
                self.send(OutcomeFrame(outcome))


class Asked:
    """Listens for askers as the web process does, and keeps what they say. `asker` is the newest one's connection."""

    def __init__(self, path: Path) -> None:
        self.frames: list[FromAsker] = []
        self.asker: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        reader = FrameReader()
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                for payload in reader.receive_data(data):
                    frame = frame_from_asker(payload)
                    self.frames.append(frame)
                    if isinstance(frame, AskerFrame):
                        self.asker = connection
            if self.asker is connection:
                self.asker = None

    def send(self, frame: ToAsker) -> None:
        """Send a frame to the newest asker, once there is one."""
        connection = until(lambda: self.asker, 20)
        assert connection
        connection.sendall(to_bytes(frame))

    def outcome(self, request_id: str) -> Outcome | None:
        """How a request ended, if that was said."""
        ended = [frame.outcome for frame in list(self.frames) if isinstance(frame, OutcomeFrame)]
        return next((outcome for outcome in ended if outcome.id == request_id), None)

    def run(self, request: Request, timeout: float = 15.0) -> Outcome:
        """Send a request, and wait for its outcome."""
        self.send(RunFrame(request))
        outcome = until(lambda: self.outcome(request.id), timeout)
        assert outcome
        return outcome

    def close(self) -> None:
        """Hang up, and accept nobody any more."""
        for connection in (self._listener, self.asker):
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()
