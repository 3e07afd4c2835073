"""A state folder that is full, or may only be read: one sentence from each command, and all is well again after it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from teleclaude.client.api import Api
from teleclaude.daemon.lifecycle import answers
from tests.fleet import cli
from tests.machine import Machine
from tests.redis_process import RedisProcess
from tests.small_disk import fill, needs_root, small_disk
from tests.wait import until

COMMANDS = [
    ["token", "create", "x"],
    ["token", "list"],
    ["token", "revoke", "x"],
    ["status"],
    ["sessions"],
    ["daemon", "start"],
    ["daemon", "reload"],
    ["daemon", "restart"],
    ["fleet", "status"],
    ["fleet", "rotate"],
    ["fleet", "leave"],
    ["fleet", "create", "--redis", "redis://127.0.0.1:1"],
    ["daemon", "stop"],
    ["daemon", "start"],
    ["daemon", "stop"],
]


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A computer whose daemon does not run yet."""
    found = Machine("here")
    try:
        yield found
    finally:
        cli_of(found, "daemon", "stop")
        found.close()


def cli_of(machine: Machine, *args: str) -> subprocess.CompletedProcess[str]:
    """Run `teleclaude` there."""
    argv = [sys.executable, "-m", "teleclaude.cli.main", *args]
    return subprocess.run(  # noqa: S603
        argv, env=machine.environ, capture_output=True, text=True, timeout=90, check=False, stdin=subprocess.DEVNULL
    )


@needs_root
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_no_command_ends_in_a_traceback(machine: Machine, how: str) -> None:
    """Each says in a sentence what is the matter, or does what it is to do."""
    with contextlib.closing(RedisProcess()) as redis, small_disk(machine.place.state, "256k") as state:
        cli(machine, "fleet", "create", "--redis", redis.url)
        cli(machine, "daemon", "start")
        if how == "full":
            fill(state)
        else:
            cli(machine, "daemon", "stop")  # it writes its log there
            subprocess.run(["mount", "-o", "remount,ro", str(state)], check=True)  # noqa: S603, S607
        for words in COMMANDS:
            done = cli_of(machine, *words)
            assert "Traceback" not in done.stderr + done.stdout, (words, done.stderr)
            assert done.returncode in {0, 1}, (words, done.stderr)
            assert done.returncode == 0 or done.stderr or done.stdout, words  # `status` says it on standard output
        assert cli_of(machine, "daemon", "start").returncode == 0  # local use needs nothing of that folder


@needs_root
def test_the_fleet_is_joined_once_there_is_space(machine: Machine) -> None:
    """A daemon that started with a full disk says so, and needs no restart afterwards."""
    with contextlib.closing(RedisProcess()) as redis, small_disk(machine.place.state, "256k") as state:
        cli(machine, "fleet", "create", "--redis", redis.url)
        filler = fill(state)
        cli(machine, "daemon", "start")
        assert until(lambda: answers(machine.place))
        api = Api(machine.place.api_socket)
        assert until(lambda: [each.reason for each in api.health().services if "cannot be joined" in each.reason], 20)
        filler.unlink()
        until(lambda: [each.state for each in api.health().services if each.name == "redis"] == ["ok"], 20)
        cli(machine, "daemon", "stop")
