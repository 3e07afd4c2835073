"""A change in tmux until the event is at a client on /ws; beside it what tmux itself takes to run the command."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator

from tests.bench import served
from tests.bench.report import Figure, at_most, milliseconds, percentile
from tests.bench.ws_load import upgraded
from tests.machine import Machine

QUIET = 20  # sessions that are there besides
_TITLE = r"printf '\033]2;title-%d\007'"  # as agents set it
SETTLE = 0.3  # seconds between changes, so that each is one of its own


def run(*, quick: bool) -> Iterator[Figure]:
    """All figures."""
    times = 10 if quick else 50
    with served.daemon() as here:
        for number in range(QUIET):
            here.machine.tmux("new-session", "-d", "-s", f"quiet{number}")
        with contextlib.closing(upgraded(here.path)) as client:
            yield from changes(here.machine, client, times)


def changes(machine: Machine, client: socket.socket, times: int, where: str = "") -> Iterator[Figure]:
    """Change things in tmux, one at a time, and see when each is at the client. `where`: added to the names."""
    found: dict[str, list[float]] = {"new": [], "rename": [], "title": [], "command": [], "kill": []}
    own: list[float] = []
    for number in range(times):
        name = f"bench{number}"
        steps = {
            "new": (("new-session", "-d", "-s", name), f'"name":"{name}"'),
            "rename": (("rename-session", "-t", f"={name}", f"{name}-new"), f'"name":"{name}-new"'),
            "title": (("send-keys", "-t", f"={name}-new:", _TITLE % number, "Enter"), f'"title":"title-{number}"'),
            "command": (("send-keys", "-t", f"={name}-new:", "exec sleep 99", "Enter"), '"command":"sleep"'),
            "kill": (("kill-session", "-t", f"={name}-new"), '"event":"session_removed"'),
        }
        for step, (command, mark) in steps.items():
            _drain(client)
            begin = time.monotonic()
            machine.tmux(*command)
            own.append(time.monotonic() - begin)
            found[step].append(_until(client, mark.encode()) - begin)
            time.sleep(SETTLE)
    together = [seconds for values in found.values() for seconds in values]
    for step, values in found.items():
        yield Figure(f"tmux change to client event: {step}{where}", milliseconds(values))
    beside = f"{milliseconds(together)}; of which the tmux command {percentile(own, 0.5) * 1e3:.1f} ms"
    yield at_most(
        f"tmux change to client event: all, p50{where}", percentile(together, 0.5) * 1e3, 50, " ms", beside, digits=1
    )
    yield at_most(
        f"tmux change to client event: all, p99{where}", percentile(together, 0.99) * 1e3, 200, " ms", digits=1
    )


def _drain(client: socket.socket) -> None:
    while select.select([client], [], [], 0)[0]:
        client.recv(1 << 20)


def _until(client: socket.socket, mark: bytes, timeout: float = 20.0) -> float:
    deadline = time.monotonic() + timeout
    seen = b""
    while mark not in seen:
        if not select.select([client], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"{mark!r} did not come; the last bytes: {seen[-500:]!r}")
        seen += client.recv(1 << 20)
    return time.monotonic()
