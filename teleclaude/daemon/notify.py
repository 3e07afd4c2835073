"""Telling the service manager how we are (sd_notify(3)). Without `NOTIFY_SOCKET` nothing is sent."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class SystemdNotifier:
    """Sends datagrams to the manager's socket; a manager that is away loses them, as the protocol has it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        meant = usec.isdecimal() and int(usec) > 0 and pid in {"", str(os.getpid())}
        self.watchdog_every = int(usec) / 2e6 if meant and name else None
        """Seconds between two `watchdog` calls, or None where nobody asks for them."""

    def ready(self, status: str) -> None:
        """The start, or a reload, is complete."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """How we are, in one line."""
        self._send(f"STATUS={status}")

    def watchdog(self) -> None:
        """We are alive."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.settimeout(1.0)  # a manager that does not read must not stop us
            out.sendto(text.encode(), self._address)
