"""A way to Redis that can be cut: in both directions or in one, for all connections or one. TCP on this side."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from pathlib import Path


class Proxy:
    """Forwards TCP connections to a unix socket. What is held is not lost, as TCP's would not be, but does not arrive.

    `hold_up` and `hold_down`: bytes to the server, and from it, stay here. `hung`: new connections get no answer.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self.hold_up = threading.Event()
        self.hold_down = threading.Event()
        self.held: set[int] = set()  # numbers of connections from which nothing comes any more
        self._closing = False
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Nothing passes."""
        self.hold_up.set()
        self.hold_down.set()

    def mend(self) -> None:
        """All passes again."""
        self.hold_up.clear()
        self.hold_down.clear()
        self.held.clear()

    def close(self) -> None:
        """End it."""
        self._closing = True
        self.mend()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._forward, args=(near, self.connections), daemon=True).start()

    def _forward(self, near: socket.socket, number: int) -> None:
        with near, socket.socket(socket.AF_UNIX) as far:
            try:
                far.connect(str(self._target))
                while not self._closing:
                    if not self._pass_on(near, far, number):
                        return
            except OSError:
                return

    def _pass_on(self, near: socket.socket, far: socket.socket, number: int) -> bool:
        ready, _, _ = select.select([near, far], [], [], 0.05)
        for one, other, is_held in (
            (near, far, self.hold_up.is_set()),
            (far, near, self.hold_down.is_set() or number in self.held),
        ):
            if one in ready and is_held:
                select.select([], [], [], 0.02)
            elif one in ready:
                data = one.recv(65536)
                if not data:
                    return False
                other.sendall(data)
        return True
