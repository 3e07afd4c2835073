"""A network of its own for each run: a namespace for every computer, one for Redis, and the links between them.

What must live here: names, addresses, and how a link is cut and mended. All names are made of this process' id, and
nothing is made outside of the namespaces: runs side by side do not meet, and the machine's own network is untouched.

How a link is cut, measured on Linux 6.18:
- both ways: the hub's end of the veth pair goes down, as when the cable is pulled. Connecting times out.
- from Redis only: a blackhole route in the hub. Connecting times out; what is sent arrives, its answer does not.
- to Redis only: a neighbour entry with an address that nobody has. A blackhole route on the sender's own side would
  be told to the sender at once (EINVAL), which no broken network does.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PREFIX = "tcchaos"
_HUB = "10.77.0.1"  # the same in every run: each has a hub of its own
_NOBODY = "02:00:00:00:00:99"
_numbers = itertools.count(1)


class NetworkError(Exception):
    """A namespace or link could not be made or changed."""


def ip(*args: str) -> str:
    """Run ip(8); give what it printed. Raises NetworkError."""
    try:
        done = subprocess.run(["ip", *args], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkError(str(error)) from error
    if done.returncode != 0:
        raise NetworkError(f"ip {' '.join(args)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def why_not() -> str:
    """Why this machine allows no namespaces; empty when it does."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    try:
        with contextlib.closing(Network(["probe"])):
            return ""
    except NetworkError as error:
        return str(error)


class Network:
    """Namespaces for `names` and a hub, all linked. Raises NetworkError, and leaves nothing behind then."""

    def __init__(self, names: Sequence[str]) -> None:
        _sweep()
        self._own = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
        self._made: list[str] = []
        self._address = {name: f"10.77.0.{number}" for number, name in enumerate(names, 2)}
        self._end = {name: f"to{number}" for number, name in enumerate(names, 2)}  # its link's end in the hub
        self.hub = f"{self._own}-hub"
        self.redis_address = _HUB
        try:
            self._make_hub()
            for name in names:
                self._make(name)
        except BaseException:
            self.close()
            raise

    def prefix(self, name: str = "") -> list[str]:
        """Words before a command that shall run on that computer; on the hub, where Redis is, without a name."""
        return ["ip", "netns", "exec", self._space(name) if name else self.hub]

    def _space(self, name: str) -> str:
        return f"{self._own}-{name}"

    def _add(self, space: str) -> None:
        ip("netns", "add", space)
        self._made.append(space)
        ip("-n", space, "link", "set", "lo", "up")

    def _make_hub(self) -> None:
        self._add(self.hub)
        ip("-n", self.hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.hub, "addr", "add", f"{_HUB}/24", "dev", "bridge")
        ip("-n", self.hub, "link", "set", "bridge", "up")

    def _make(self, name: str) -> None:
        space, end = self._space(name), self._end[name]
        self._add(space)
        ip("-n", self.hub, "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("-n", self.hub, "link", "set", end, "master", "bridge", "up")
        ip("-n", space, "addr", "add", f"{self._address[name]}/24", "dev", "eth0")
        ip("-n", space, "link", "set", "eth0", "up")

    # Cuts. Each may be done again; `mend` undoes all of them.

    def cut(self, name: str) -> None:
        """Let nothing through, either way."""
        ip("-n", self.hub, "link", "set", self._end[name], "down")

    def cut_to_redis(self, name: str) -> None:
        """Let what the computer sends get lost, in silence."""
        where = ("lladdr", _NOBODY, "nud", "permanent", "dev", "eth0")
        ip("-n", self._space(name), "neigh", "replace", _HUB, *where)

    def cut_from_redis(self, name: str) -> None:
        """Let what Redis sends get lost, in silence."""
        ip("-n", self.hub, "route", "replace", "blackhole", f"{self._address[name]}/32")

    def mend(self, name: str) -> None:
        """Let everything through again."""
        ip("-n", self.hub, "link", "set", self._end[name], "up")
        with contextlib.suppress(NetworkError):  # there is none
            ip("-n", self.hub, "route", "del", "blackhole", f"{self._address[name]}/32")
        with contextlib.suppress(NetworkError):
            ip("-n", self._space(name), "neigh", "del", _HUB, "dev", "eth0")

    def close(self) -> None:
        """Remove every namespace, and with them the links and the bridge."""
        while self._made:
            with contextlib.suppress(NetworkError):
                ip("netns", "del", self._made[-1])
            self._made.pop()


def _sweep() -> None:
    """Remove what a run left behind that was killed: no process has its id any more."""
    for space in sorted(Path("/run/netns").glob(f"{PREFIX}-*")):
        pid = space.name.split("-")[1]
        if not Path("/proc", pid).exists():
            with contextlib.suppress(NetworkError):
                ip("netns", "del", space.name)
