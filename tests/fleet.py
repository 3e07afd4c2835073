"""Several computers on this machine that share one Redis."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Protocol

from tests.machine import Machine
from tests.redis_process import RedisProcess


def cli(machine: Machine, *args: str) -> str:
    """Run `teleclaude` as the user of that computer would; give what it printed."""
    command = [*machine.prefix, sys.executable, "-m", "teleclaude.cli.main", *args]
    done = subprocess.run(command, env=machine.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout


def join_all(machines: Iterable[Machine], url: str) -> None:
    """Make a fleet on the first computer, and let the others join it."""
    first, *others = machines
    join_string = cli(first, "fleet", "create", "--redis", url).split()[-1]
    for machine in others:
        cli(machine, "fleet", "join", join_string)


class Wires(Protocol):
    """Where computers and their Redis are linked; see tests/chaos/network.py."""

    redis_address: str

    def prefix(self, name: str = "") -> list[str]:
        """Words before a command that shall run on that computer, or without a name where Redis is."""
        ...


class Fleet:
    """Computers with one real Redis between them, joined as the README says, all serving.

    With `wires`, Redis is reached over TCP and with a password; otherwise through a unix socket. `environ` is for all
    computers, `more` for those that it names.
    """

    def __init__(
        self,
        *names: str,
        environ: dict[str, str] | None = None,
        more: Mapping[str, dict[str, str]] | None = None,
        wires: Wires | None = None,
    ) -> None:
        self.machines: list[Machine] = []
        if wires:
            self.redis = RedisProcess(prefix=wires.prefix(), address=wires.redis_address, password="of-the-fleet")
        else:
            self.redis = RedisProcess()
        try:
            for name in names:
                own = {**(environ or {}), **(more or {}).get(name, {})}
                self.machines.append(Machine(name, environ=own, prefix=wires.prefix(name) if wires else ()))
            join_all(self.machines, self.redis.url)
            for machine in self.machines:
                machine.start()
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> Machine:
        return next(machine for machine in self.machines if machine.name == name)

    def close(self) -> None:
        """End all of it."""
        for machine in self.machines:
            machine.close()
        self.redis.close()
