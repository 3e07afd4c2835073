"""Three computers of one fleet, each with a project and a client on a terminal, over a Redis or their own server."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from typing import Any

import redis

from teleclaude.core.settings import load
from tests.fleet import cli, join_all
from tests.machine import Machine
from tests.redis_process import RedisProcess
from tests.terminal import Terminal
from tests.wait import until

NAMES = ("laptop", "raspi", "server")


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Computers:
    """All of them, joined as the README says, all serving. `kind`: "redis" or "embedded"."""

    def __init__(self, kind: str) -> None:
        self._redis = RedisProcess() if kind == "redis" else None
        self._machines = {name: Machine(name) for name in NAMES}
        self.terminals: dict[str, Terminal] = {}
        try:
            for machine in self._machines.values():
                subprocess.run(["git", "init", "-q", str(machine.code / "alpha")], check=True)
            self._join()
            for machine in self._machines.values():
                machine.start()
            for machine in self._machines.values():
                until(lambda here=machine: self._sees_all(here), 30)  # type: ignore[misc]  # a default argument binds it
        except BaseException:
            self.close()
            raise

    def _join(self) -> None:
        if self._redis:
            join_all(self._machines.values(), self._redis.url)
            return
        first, *others = self._machines.values()
        join_string = cli(first, "fleet", "create", "--embedded", f"127.0.0.1:{free_port()}").split()[-1]
        for machine in others:
            cli(machine, "fleet", "join", "--untried", join_string)  # its server starts with the daemon

    @staticmethod
    def _sees_all(machine: Machine) -> bool:
        return [c["name"] for c in machine.get("/computers") if c["status"] == "online"] == list(NAMES)

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    def run(self, *command: Any) -> Any:
        """Run a command on the fleet's server."""
        url = load(self["laptop"].place.settings_file).redis.url
        with redis.Redis.from_url(
            url, decode_responses=True, encoding_errors="replace", socket_timeout=10
        ) as connection:
            return connection.execute_command(*command)

    def events(self, name: str) -> int:
        """Events that were ever put into the inbox of a computer."""
        with contextlib.suppress(redis.ResponseError):  # there is none
            told = self.run("XINFO", "STREAM", f"teleclaude:session_events:{{{name}}}")
            return int(told["entries-added"] if isinstance(told, dict) else told[told.index("entries-added") + 1])
        return 0

    def open(self, name: str) -> Terminal:
        """Open the client of a computer, as after a first start."""
        machine = self[name]
        machine.place.state.joinpath("tui.json").unlink(missing_ok=True)
        terminal = Terminal([sys.executable, "-m", "teleclaude.tui"], machine.environ)
        self.terminals[name] = terminal
        for computer in NAMES:
            terminal.wait_for(computer, 30)
        return terminal

    def clear(self) -> None:
        """Close all clients, and end all sessions."""
        for terminal in self.terminals.values():
            terminal.close()
        self.terminals.clear()
        for machine in self._machines.values():
            with contextlib.suppress(subprocess.CalledProcessError):  # no server
                machine.tmux("kill-server")
            until(lambda here=machine: not here.sessions(here.name), 20)  # type: ignore[misc]  # as above

    def close(self) -> None:
        """End all of it."""
        for terminal in self.terminals.values():
            terminal.close()
        for machine in self._machines.values():
            machine.close()
        if self._redis:
            self._redis.close()
