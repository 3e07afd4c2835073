"""The fleet's own server: two computers with nothing installed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from redis.exceptions import NoPermissionError

from teleclaude.core.errors import InvalidField
from teleclaude.core.settings import FleetSettings, RedisSettings, Settings, parse
from teleclaude.sync.fleet.board import Board
from teleclaude.sync.fleet.redis.connection import FAILURES, connect
from teleclaude.sync.fleet.redis.embedded_server import SERVICE, EmbeddedServer, address, find_server
from teleclaude.sync.fleet.redis.trial import try_redis
from tests.sync.fleet.conftest import MakeNode
from tests.wait import until


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(port: int, password: str) -> bool:
    """Whether the server there takes that password."""
    try:
        line = connect(RedisSettings(url=f"redis://:{password}@127.0.0.1:{port}"))
        is_pong = bool(line.call("PING") == b"PONG")
    except FAILURES:
        return False
    line.close()
    return is_pong


def test_a_fleet_on_a_server_of_its_own(node: MakeNode) -> None:
    """One computer runs the server, the other one joins; the password is wanted; it ends with its computer."""
    port = free_port()
    url = f"redis://:a-word@127.0.0.1:{port}"
    near = node("near", "")
    fleet = FleetSettings(embedded=f"127.0.0.1:{port}")
    near.change_settings(redis=RedisSettings(url=url), fleet=fleet)
    far = node("far", url)
    near.look("*")
    until(lambda: near.titles("far") == ["one"], 30)
    assert not answers(port, "another-word")
    assert [(s.name, s.state) for s in near.half.services()] == [(SERVICE, "ok"), ("redis", "ok")]
    far.sessions("two")
    until(lambda: near.titles("far") == ["two"])
    near.change_settings(fleet=FleetSettings(), redis=RedisSettings())
    until(lambda: not answers(port, "a-word"))
    assert [(s.name, s.state) for s in near.half.services()] == [("redis", "off")]


def test_a_killed_server_comes_back(node: MakeNode) -> None:
    """The server is watched: after its death a new one serves, and the rows are equal again."""
    port = free_port()
    url = f"redis://:a-word@127.0.0.1:{port}"
    near = node("near", "")
    near.change_settings(redis=RedisSettings(url=url), fleet=FleetSettings(embedded=f"127.0.0.1:{port}"))
    far = node("far", url)
    near.look("*")
    until(lambda: near.titles("far") == ["one"], 30)
    server = near.half._embedded
    assert server is not None
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    far.sessions("after")
    until(lambda: server.pid not in {None, first}, 20)
    until(lambda: near.titles("far") == ["after"], 20)


def test_no_password_in_the_process_list() -> None:
    """The server's command line and files tell no secret."""
    with tempfile.TemporaryDirectory(prefix="tce", dir="/tmp") as folder:
        port = free_port()
        server = EmbeddedServer(Path(folder), _settings(port), Board())
        server.start()
        try:
            until(lambda: answers(port, "a-word"), 20)
            line = Path(f"/proc/{server.pid}/cmdline").read_bytes()
            assert b"a-word" not in line
            assert str(find_server()).encode() in line
            assert list(Path(folder).iterdir()) == []
        finally:
            server.stop()
        assert server.pid is None


@pytest.mark.parametrize("prefix", ["teleclaude:", "t*[x]:", 'q"\\:'])
def test_a_member_may_use_the_fleet_s_commands_alone(prefix: str) -> None:
    """All that a fleet needs works on its keys; nothing is administrated, and no other key is seen (F23)."""
    port = free_port()
    settings = RedisSettings(url=f"redis://:a-word@127.0.0.1:{port}", prefix=prefix)
    server = EmbeddedServer(Path("/tmp"), msgspec.structs.replace(_settings(port), redis=settings), Board())
    server.start()
    try:
        line = try_redis(settings, patience=20.0)
        wrong = [f"{prefix[:-1]}x", "other", prefix.replace("*", "any")] if "*" in prefix else ["other"]
        refused: list[tuple[str, ...]] = [("SET", key, "x") for key in wrong]
        refused += [("FLUSHALL",), ("CONFIG", "GET", "*"), ("EVAL", "return 1", "0"), ("KEYS", "*"), ("MONITOR",)]
        refused += [("REPLICAOF", "evil.lan", "6379"), ("ACL", "LIST"), ("SLOWLOG", "GET"), ("SHUTDOWN",)]
        for command in refused:
            with pytest.raises(NoPermissionError):
                line.call(*command)
        line.close()
    finally:
        server.stop()


LAUNCH = """
import sys, time
from pathlib import Path
from tests.sync.fleet.test_embedded import _settings
from teleclaude.sync.fleet.redis.embedded_server import EmbeddedServer
from teleclaude.sync.fleet.board import Board
server = EmbeddedServer(Path("/tmp"), _settings(int(sys.argv[1])), Board())
server.start()
time.sleep(60)
"""


def test_it_ends_with_a_daemon_that_is_killed() -> None:
    """SIGKILL of the daemon leaves no server behind."""
    port = free_port()
    daemon = subprocess.Popen([sys.executable, "-c", LAUNCH, str(port)])
    try:
        until(lambda: answers(port, "a-word"), 30)
    finally:
        daemon.kill()
        daemon.wait()
    until(lambda: not answers(port, "a-word"))


def test_a_port_that_is_taken_is_told() -> None:
    """When the address is in use the service says so, and the server is tried again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        board = Board()
        server = EmbeddedServer(Path("/tmp"), _settings(taken.getsockname()[1]), board)
        server.start()
        try:
            until(lambda: any("in use" in service.reason for service in board.all()), 20)
        finally:
            server.stop()


@pytest.mark.parametrize("text", ["", "6399", ":6399", "host:", "host:0", "host:70000", 'a" b:1', "a\nb:1"])
def test_a_wrong_address_is_refused(text: str) -> None:
    """What is no address and port is told as that."""
    with pytest.raises(InvalidField, match=r"fleet\.embedded"):
        address(text)


def test_addresses() -> None:
    """IPv4, IPv6 and names."""
    found = [address(text) for text in ("127.0.0.1:6399", "[::1]:6399", "ws.lan:1")]
    assert found == [("127.0.0.1", 6399), ("::1", 6399), ("ws.lan", 1)]


def _settings(port: int) -> Settings:
    return parse(f'[redis]\nurl = "redis://:a-word@127.0.0.1:{port}"\n[fleet]\nembedded = "127.0.0.1:{port}"\n')
