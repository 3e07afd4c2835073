"""`teleclaude fleet`, run as a user runs it, against a real Redis; with and without daemons."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teleclaude.cli.main import teleclaude
from teleclaude.sync.fleet.keyring import read_join_string
from tests.machine import Machine
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import server
from tests.wait import until

__all__ = ["server"]


class Home:
    """The folders of a computer on which only the command line runs."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tcf", dir="/tmp"))
        self.config = self.folder / "c" / "config.toml"
        self.config.parent.mkdir()
        self.config.write_text(f'# by hand\n[computer]\nname = "{name}" # short\n')
        self.environ = {
            **os.environ,
            "TELECLAUDE_CONFIG_DIR": str(self.folder / "c"),
            "TELECLAUDE_STATE_DIR": str(self.folder / "s"),
            "TELECLAUDE_RUNTIME_DIR": str(self.folder / "r"),
        }

    def fleet(self, *words: str, given: str = "") -> Result:
        """Run `teleclaude fleet`."""
        return CliRunner().invoke(teleclaude, ["fleet", *words], env=self.environ, input=given)

    def settings(self) -> dict[str, dict[str, object]]:
        """What is in the settings file."""
        found: dict[str, dict[str, object]] = tomllib.loads(self.config.read_text())
        return found


@pytest.fixture
def homes() -> Iterator[tuple[Home, Home]]:
    """Two computers."""
    made = Home("one"), Home("two")
    yield made
    for home in made:
        shutil.rmtree(home.folder)


def test_create_and_join(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """The join string is the last line; both have the same Redis and key, 0600, and what they had written is left."""
    one, two = homes
    made = one.fleet("create", "--redis", server.url, "--prefix", "mine:")
    assert made.exit_code == 0, made.output
    string = made.stdout.split()[-1]
    joined = two.fleet("join", string)
    assert joined.exit_code == 0, joined.output
    assert "two is in the fleet now." in joined.stdout
    for home in homes:
        assert home.settings()["redis"] == {"url": server.url, "prefix": "mine:"}
        assert "# by hand" in home.config.read_text()
        for path in (home.config, home.folder / "s" / "fleet.key"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = {(home.folder / "s" / "fleet.key").read_bytes() for home in homes}
    assert len(keys) == 1


def test_the_string_may_come_by_standard_input(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """So that it is in no process list and no history."""
    one, two = homes
    string = one.fleet("create", "--redis", server.url).stdout.split()[-1]
    assert two.fleet("join", "-", given=f"{string}\n").exit_code == 0
    assert two.settings()["redis"]["url"] == server.url


def test_a_redis_that_cannot_be_reached_is_told(homes: tuple[Home, Home]) -> None:
    """All is written, and the reason is told without the password."""
    made = homes[0].fleet("create", "--redis", "redis://:hidden-word@127.0.0.1:1")
    assert made.exit_code == 0
    assert "Redis at 127.0.0.1:1 cannot be reached: connection refused" in made.stderr
    assert "hidden" not in made.stderr
    assert read_join_string(made.stdout.split()[-1]).url == "redis://:hidden-word@127.0.0.1:1"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create",), "give the URL of a Redis, or with --embedded"),
        (
            ("create", "--redis", "redis://x", "--embedded", "127.0.0.1:1"),
            "give the URL of a Redis, or with --embedded",
        ),
        (("create", "--redis", "http://:secret@x"), "must begin with redis://"),
        (("create", "--redis", "redis://:secret@x:port"), "its port is not a number"),
        (("create", "--redis", "redis://"), "must name a host"),
        (("create", "--redis", "unix://"), "must name a socket"),
        (("create", "--embedded", "nonsense"), 'must be "address:port"'),
        (("create", "--redis", "redis://x", "--prefix", "a{b}"), "without braces"),
        (("join", "secret-string"), "is not one, or was cut off"),
        (("status",), "in no fleet"),
        (("leave",), "in no fleet"),
        (("rotate",), "in no fleet"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    homes: tuple[Home, Home], words: tuple[str, ...], told: str
) -> None:
    """One sentence, exit status 1, no secret in it, and no file changed."""
    home = homes[0]
    before = home.config.read_text()
    result = home.fleet(*words)
    assert result.exit_code == 1
    assert told in " ".join(result.stderr.split())
    assert "secret" not in result.stderr
    assert home.config.read_text() == before
    assert not (home.folder / "s" / "fleet.key").exists()


def test_one_fleet_at_a_time(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """Who is in a fleet neither makes nor joins another; leaving takes away what joining brought."""
    one, two = homes
    one.fleet("create", "--redis", server.url)
    other = two.fleet("create", "--redis", "unix:///elsewhere.sock").stdout.split()[-1]
    assert "in a fleet already" in one.fleet("create", "--redis", server.url).stderr
    assert "in another fleet" in one.fleet("join", other).stderr
    assert one.fleet("leave").exit_code == 0
    assert one.settings() == {"computer": {"name": "one"}}
    assert not (one.folder / "s" / "fleet.key").exists()
    assert one.fleet("join", other).exit_code == 0


def test_a_new_key_needs_a_new_join(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """After `rotate` the same fleet is joined again with the new string."""
    one, two = homes
    two.fleet("join", one.fleet("create", "--redis", server.url).stdout.split()[-1])
    first = read_join_string(one.fleet("rotate").stdout.split()[-1])
    made = one.fleet("rotate")
    second = read_join_string(made.stdout.split()[-1])
    assert first.key != second.key
    assert two.fleet("join", made.stdout.split()[-1]).exit_code == 0


def call(machine: Machine, *words: str) -> str:
    """Run `teleclaude fleet` for a computer with a daemon."""
    command = [sys.executable, "-P", "-m", "teleclaude.cli.main", "fleet", *words]
    done = subprocess.run(command, env=machine.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def statuses(machine: Machine) -> dict[str, str]:
    """Status of each computer, as a daemon tells it."""
    return {found["name"]: found["status"] for found in machine.get("/computers")}


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """Two computers with daemons, in no fleet."""
    made = Machine("one"), Machine("two")
    try:
        for machine in made:
            machine.start()
        yield made
    finally:
        for machine in made:
            machine.close()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_running_daemons_join_change_keys_and_leave(machines: tuple[Machine, Machine]) -> None:
    """With a server of its own and daemons that run: joined at once, parted by a new key, together again, and alone."""
    one, two = machines
    string = call(one, "create", "--embedded", f"127.0.0.1:{free_port()}").split()[-1]
    call(two, "join", string)
    until(lambda: statuses(one).get("two") == statuses(two).get("one") == "online", 30)
    until(lambda: "redis: ok" in call(two, "status"))
    assert "this computer runs the fleet's server" in call(one, "status")
    string = call(one, "rotate").split()[-1]
    call(two, "join", string)
    until(lambda: statuses(one).get("two") == statuses(two).get("one") == "online", 30)
    call(two, "leave")
    until(lambda: statuses(one) == {"one": "online"}, 30)
    until(lambda: all(service["name"] != "redis" or service["state"] == "off" for service in _services(two)))


def _services(machine: Machine) -> list[dict[str, str]]:
    found: list[dict[str, str]] = machine.get("/health")["services"]
    return found
