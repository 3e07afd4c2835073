"""The thread that follows the daemon: /ws in, messages out.

What the consumer may rely on:
- `take` gives everything that came since, in order, without waiting; `wake` was called when there is something.
- After `start` comes Connected or Disconnected, and after each Disconnected another try, for ever, until `stop`,
  whose last message is Stopped. There is never more than one connection.
- Nothing is lost unnoticed. After a reconnect what is wanted is asked for again: the changes since, or snapshots.
  A consumer that lets the queue fill up costs a reconnect, not memory: the queue is never longer than its limit
  plus what one frame held, and the connection is opened again once half of it is taken.
- `want`, `watch`, `send`, `retry_now`, `start` and `stop` may be called from any thread, and again; only `stop` waits,
  for the thread.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from teleclaude.client.events import Connected, Disconnected, Malformed, Message, Stopped, read_frame
from teleclaude.client.followed import Followed, subscriptions
from teleclaude.core.backoff import Backoff
from teleclaude.core.errors import PeerError, TeleclaudeError
from teleclaude.core.records import Scope

if TYPE_CHECKING:
    from teleclaude.client.link import Link

QUEUE_LIMIT = 2000  # messages
_BEHIND = "this client fell behind"


class Reader:
    """Follows the daemon behind `path`, its unix socket. `wake` is called from the thread and must not block."""

    def __init__(
        self, path: Path, wake: Callable[[], None], *, backoff: Backoff | None = None, limit: int = QUEUE_LIMIT
    ) -> None:
        """`backoff`: delays between tries; 1 to 30 s when not given. `limit`: messages held for the consumer."""
        self._path = path
        self._wake = wake
        self._backoff = backoff or Backoff()
        self._limit = limit
        self._followed = Followed()
        self._state = threading.Condition()  # guards all below; never held while waiting for the socket
        self._queue: deque[Message] = deque()
        self._outbox: deque[dict[str, Any]] = deque()
        self._wanted: frozenset[Scope] = frozenset()
        self._watched: frozenset[tuple[str, str]] = frozenset()
        self._told: frozenset[tuple[str, str]] = frozenset()  # what is watched on this connection
        self._is_stopping = False
        self._is_hurried = False
        self._life = threading.Lock()  # one start or stop at a time
        self._thread: threading.Thread | None = None
        self._pipe: tuple[int, int] | None = None

    # For the consumer

    def start(self) -> None:
        """Start following. Does nothing when it runs."""
        with self._life:
            if self._thread is not None:
                return
            self._is_stopping = False
            self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop following and wait for the thread. Does nothing when it does not run."""
        with self._life:
            if self._thread is None or self._pipe is None:
                return
            with self._state:
                self._is_stopping = True
                self._state.notify_all()
            self._poke()
            self._thread.join()
            self._thread = None
            with self._state:
                for fd in self._pipe:
                    os.close(fd)
                self._pipe = None

    def take(self) -> list[Message]:
        """Everything that came since the last call."""
        with self._state:
            messages = list(self._queue)
            self._queue.clear()
            self._state.notify_all()
        return messages

    def want(self, scopes: Iterable[Scope]) -> None:
        """Say what to follow: (computer, kind) each. What is new is subscribed to, what is missing no longer."""
        with self._state:
            self._wanted = frozenset(scopes)
        self._poke()

    def watch(self, places: Iterable[tuple[str, str]]) -> None:
        """Say whose screens to show: (computer, session id) each, all of them. Kept over reconnects."""
        with self._state:
            self._watched = frozenset(places)
        self._poke()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message such as {"refresh": true}, if connected; else it is dropped."""
        with self._state:
            self._outbox.append(message)
        self._poke()

    def retry_now(self) -> None:
        """Do not wait any longer before the next try."""
        with self._state:
            self._is_hurried = True
            self._state.notify_all()

    # The thread

    def _run(self) -> None:
        from teleclaude.client.link import Link  # 85 ms of imports, while the first screen is painted

        self._calm_down()
        while not self._stopping():
            try:
                reason = self._follow(Link)
            except TeleclaudeError as error:
                reason = error.message
            except Exception as error:  # noqa: BLE001  (the thread must outlive whatever a frame makes it do)
                _log().exception("the reader erred")
                reason = f"internal error: {error!r}"
            if not self._stopping():
                self._pause(reason)
        self._put([Stopped()])

    def _follow(self, connect: Callable[[Path, int], Link]) -> str:
        """Be connected until that ends. Gives the reason."""
        assert self._pipe is not None  # noqa: S101  (the pipe lives as long as the thread)
        link = connect(self._path, self._pipe[0])
        try:
            with self._state:
                self._outbox.clear()
            subscribed: frozenset[Scope] | None = None
            while not self._stopping():
                frames = link.receive()
                self._drain_pipe()
                messages = self._read(frames)
                if subscribed is None and any(isinstance(m, Connected) for m in messages):
                    self._backoff.reset()  # the hello proves that the connection is good
                    self._calm_down()
                    subscribed = self._open(link)
                elif subscribed is not None:
                    subscribed = self._send_interest(link, subscribed)
                if not self._put(messages):
                    return _BEHIND
        finally:
            link.close()
        return "stopped"

    def _read(self, frames: list[bytes]) -> list[Message]:
        messages: list[Message] = []
        for frame in frames:
            try:
                found = read_frame(frame, self._followed.epoch)
            except PeerError as error:
                found = [Malformed(reason=error.message)]
            for message in found:
                self._followed.receive(message)
                if isinstance(message, Malformed):
                    _log().warning("malformed: %s", message.reason)
            messages += found
        return messages

    def _open(self, link: Link) -> frozenset[Scope]:
        with self._state:
            wanted = self._wanted
        self._told = frozenset()
        for message in self._followed.opening_to_send(wanted) + self._watches():
            link.send(msgspec.json.encode(message))
        return wanted

    def _watches(self) -> list[dict[str, Any]]:
        """Give what to send so that the daemon knows what is watched."""
        with self._state:
            watched, told = self._watched, self._told
            self._told = watched
        ends = [{"unwatch": {"session_id": key, "computer": name}} for name, key in sorted(told - watched)]
        return ends + [{"watch": {"session_id": key, "computer": name}} for name, key in sorted(watched - told)]

    def _send_interest(self, link: Link, subscribed: frozenset[Scope]) -> frozenset[Scope]:
        with self._state:
            wanted = self._wanted
            messages = list(self._outbox)
            self._outbox.clear()
        self._followed.forget(subscribed - wanted)
        changes = subscriptions("unsubscribe", subscribed - wanted) + subscriptions("subscribe", wanted - subscribed)
        for message in changes + self._watches() + messages:
            link.send(msgspec.json.encode(message))
        return wanted

    def _put(self, messages: list[Message]) -> bool:
        """Queue messages. False when the queue is full now: no more may come before it has been taken."""
        if not messages:
            return True
        with self._state:
            was_empty = not self._queue
            self._queue.extend(messages)
            is_full = len(self._queue) >= self._limit
        if was_empty:
            self._wake()
        return not is_full

    def _pause(self, reason: str) -> None:
        """Wait before the next try: as the backoff says, or until the consumer has caught up."""
        if reason == _BEHIND:
            _log().warning("%s: the connection is opened again once it has caught up", reason)
            with self._state:
                self._state.wait_for(lambda: self._is_stopping or len(self._queue) <= self._limit // 2)
            return
        delay = self._backoff.next()
        self._put([Disconnected(reason=reason, retry_at=time.monotonic() + delay)])
        with self._state:
            self._state.wait_for(lambda: self._is_stopping or self._is_hurried, delay)
        self._calm_down()

    def _calm_down(self) -> None:
        with self._state:
            self._is_hurried = False

    def _stopping(self) -> bool:
        with self._state:
            return self._is_stopping

    def _poke(self) -> None:
        with self._state:
            if self._pipe is not None:
                with contextlib.suppress(BlockingIOError):  # full of wake-ups already
                    os.write(self._pipe[1], b"x")

    def _drain_pipe(self) -> None:
        assert self._pipe is not None  # noqa: S101
        with contextlib.suppress(BlockingIOError):
            os.read(self._pipe[0], 4096)


def _log() -> Any:
    import logging  # only when there is something to say

    return logging.getLogger(__name__)
