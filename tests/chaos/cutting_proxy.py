"""The way of a client to its daemon, which can be cut at any byte: in the midst of a frame, or of a resume."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path


class CuttingProxy:
    """Passes on what goes between who connects to `path` and the unix socket at `target`, until it is cut."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self._target = target
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._left: int | None = None  # bytes that may still come from the daemon
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, name=f"proxy {path}", daemon=True).start()

    def cut(self, after: int = 0) -> None:
        """Cut all connections once `after` more bytes have come from the daemon; what connects later is whole."""
        with self._lock:
            self._left = after
        if not after:
            self._close_all()

    def close(self) -> None:
        """Let go of all of it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._close_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX)
            try:
                daemon.connect(str(self._target))
            except OSError:
                client.close()
                daemon.close()
                continue
            with self._lock:
                self._ends |= {client, daemon}
            threading.Thread(target=self._pass, args=(client, daemon), daemon=True).start()
            threading.Thread(target=self._pass_counted, args=(daemon, client), daemon=True).start()

    def _pass(self, source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
        self._close(source, to)

    def _pass_counted(self, daemon: socket.socket, client: socket.socket) -> None:
        is_cut = False
        with contextlib.suppress(OSError):
            while not is_cut and (data := daemon.recv(65536)):
                with self._lock:
                    is_cut = self._left is not None and self._left <= len(data)
                    data = data[: self._left] if is_cut else data
                    self._left = None if is_cut or self._left is None else self._left - len(data)
                client.sendall(data)
        if is_cut:
            self._close_all()
        self._close(daemon, client)

    def _close_all(self) -> None:
        with self._lock:
            self._left = None
            ends = list(self._ends)
        self._close(*ends)

    def _close(self, *ends: socket.socket) -> None:
        with self._lock:
            for end in ends:
                self._ends.discard(end)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
