"""An agent on a server waits; its user sits at another computer, and is told there. Real daemons, tmux and Redis."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.fleet import join_all
from tests.machine import Machine
from tests.redis_process import RedisProcess
from tests.terminal import Terminal
from tests.titled_agent import RESTS, WAITS, WORKS, Agent, told, with_teller
from tests.wait import until


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """A server and a laptop in one fleet; the users of both have a command that notes what they are told."""
    redis = RedisProcess()
    found = [with_teller(Machine("server")), with_teller(Machine("laptop"))]
    try:
        join_all(found, redis.url)
        found[1].tmux("new-session", "-d", "-s", "mine", "-x", "80", "-y", "24", "exec cat")
        for machine in found:
            machine.start()
        yield found[0], found[1]
    finally:
        for machine in found:
            machine.close()
        redis.close()


def test_the_user_is_told_where_he_sits(machines: tuple[Machine, Machine]) -> None:
    """Once, on the laptop at whose tmux he presses keys, though the agent runs on the server; and on no other."""
    server, laptop = machines
    agent = Agent(server, "far")
    agent.shows(WORKS, "working")
    argv = ["tmux", "-u", "-L", laptop.tmux_socket, "attach-session", "-t", "=mine"]
    terminal = Terminal(argv, laptop.environ)
    try:
        until(lambda: len(server.get("/computers")) == len(laptop.get("/computers")) == 2, 30)
        until(lambda: laptop.tmux("list-clients"))
        terminal.send("typed\r")
        until(lambda: any(session.last_input for session in laptop.sessions("laptop")), 20)
        agent.shows(WAITS, "waiting")
        until(lambda: told(laptop) == ["◆ code waits for an answer"], 20)
        agent.shows(RESTS, "idle")
        until(lambda: len(told(laptop)) == 2, 20)
        assert told(server) == []
    finally:
        terminal.close()


def test_the_next_that_waits_may_be_elsewhere(machines: tuple[Machine, Machine]) -> None:
    """A key of tmux finds it though nobody looks at that computer, and opens one window for it, with ssh."""
    server, laptop = machines
    ssh = laptop.folder / "bin"
    ssh.mkdir()
    ssh.joinpath("ssh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{laptop.folder}/ssh"\necho I-AM-SSH; exec cat\n')
    ssh.joinpath("ssh").chmod(0o755)
    laptop.tmux("set-environment", "-g", "PATH", f"{ssh}:{os.environ['PATH']}")
    argv = ["tmux", "-u", "-L", laptop.tmux_socket, "attach-session", "-t", "=mine"]
    terminal = Terminal(argv, laptop.environ)
    try:
        until(lambda: len(server.get("/computers")) == len(laptop.get("/computers")) == 2, 30)
        until(lambda: laptop.tmux("list-clients"))
        terminal.send("typed\r")
        until(lambda: any(session.last_input for session in laptop.sessions("laptop")), 20)
        Agent(server, "far").shows(WAITS, "waiting")
        until(lambda: any(one["counts"].get("waiting") for one in laptop.get("/computers")), 90)
        assert laptop.get("/sessions?computer=server") == []
        around = laptop.tmux("display-message", "-p", "#{socket_path},#{pid},0")
        command = [sys.executable, "-P", "-m", "teleclaude.cli.main", "next"]
        for _ in range(2):
            environ = laptop.environ | {"TMUX": around, "PATH": f"{ssh}:{os.environ['PATH']}"}
            subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, check=True, timeout=60)
            terminal.wait_for("I-AM-SSH", 20)
            laptop.tmux("select-window", "-t", "=mine:0")
        assert laptop.tmux("list-windows", "-t", "=mine", "-F", "#{window_name}").split() == ["cat", "teleclaude"]
        assert f"-L {server.tmux_socket}" in laptop.folder.joinpath("ssh").read_text()
    finally:
        terminal.close()
