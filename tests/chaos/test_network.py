"""Links between namespaces can be cut either way and mended, and nothing of them is left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.network import PREFIX, Network, NetworkError, ip, why_not
from tests.redis_process import RedisProcess
from tests.wait import until

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"no network namespaces here: {WHY_NOT}")

ASK = """
import redis, sys
line = redis.Redis.from_url(sys.argv[1], socket_timeout=1, socket_connect_timeout=1)
print(line.incr("asked"))
"""


@pytest.fixture
def network() -> Iterator[Network]:
    """Two computers and a hub."""
    with contextlib.closing(Network(["one", "two"])) as found:
        yield found


@pytest.fixture
def server(network: Network) -> Iterator[RedisProcess]:
    """Start a Redis on the hub."""
    with contextlib.closing(
        RedisProcess(prefix=network.prefix(), address=network.redis_address, password="secret")
    ) as found:
        yield found


def reaches(network: Network, name: str, url: str) -> bool:
    """Tell whether a computer gets an answer of Redis."""
    command = [*network.prefix(name), sys.executable, "-c", ASK, url]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


@pytest.mark.parametrize("how", ["cut", "cut_to_redis", "cut_from_redis"])
def test_a_cut_keeps_one_computer_apart_until_it_is_mended(network: Network, server: RedisProcess, how: str) -> None:
    """Each cut is of one computer and no other, and `mend` undoes it."""
    assert reaches(network, "one", server.url)
    getattr(network, how)("one")
    assert not reaches(network, "one", server.url)
    assert reaches(network, "two", server.url)
    network.mend("one")
    until(lambda: reaches(network, "one", server.url))


def test_one_way_only_is_one_way_only(network: Network, server: RedisProcess) -> None:
    """A command arrives when only the way back is cut, and does not when only the way there is."""
    with subprocess.Popen(
        [*network.prefix("one"), sys.executable, "-u", "-c", _STEPS, server.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as line:
        assert line.stdin and line.stdout  # noqa: PT018  (for the types)
        assert line.stdout.readline() == "ready\n"
        network.cut_from_redis("one")
        line.stdin.write("first\n")
        line.stdin.flush()
        until(lambda: server.run("GET", "first") == "1")
        assert line.stdout.readline() == "no answer\n"
        network.mend("one")
        network.cut_to_redis("one")
        line.stdin.write("second\n")
        line.stdin.close()
        assert line.stdout.readline() == "no answer\n"
        assert server.run("GET", "second") is None


_STEPS = """
import redis, sys
lines = [redis.Redis.from_url(sys.argv[1], socket_timeout=1, single_connection_client=True) for _ in range(2)]
for line in lines:
    line.ping()
print("ready")
for line in lines:
    try:
        line.execute_command("SET", sys.stdin.readline().strip(), 1)
        print("answer")
    except redis.TimeoutError:
        print("no answer")
"""


def own_spaces() -> list[str]:
    """Namespaces that bear the prefix."""
    return [space.name for space in Path("/run/netns").glob(f"{PREFIX}-*")]


def test_nothing_is_left_behind_and_runs_side_by_side_do_not_meet() -> None:
    """Two networks at once have the same addresses and nothing in common; closed, they are gone."""
    before = ip("link")
    first, second = Network(["one"]), Network(["one"])
    try:
        assert first.hub != second.hub
        assert ip("link") == before
    finally:
        first.close()
        second.close()
    assert not {first.hub, second.hub} & set(own_spaces())


def test_a_network_that_cannot_be_made_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made before the failure is removed."""

    def fails(_self: Network, _name: str) -> None:
        raise NetworkError("no")

    monkeypatch.setattr(Network, "_make", fails)
    before = set(own_spaces())
    with pytest.raises(NetworkError):
        Network(["one"])
    mine = {space for space in own_spaces() if space.startswith(f"{PREFIX}-{os.getpid()}-")}
    assert mine <= before


def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    """A namespace whose process is gone does not stay for ever."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    left = f"{PREFIX}-{process.pid}-1-hub"
    ip("netns", "add", left)
    Network(["one"]).close()
    assert left not in own_spaces()
