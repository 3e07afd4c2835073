"""A tmux server that a command starts outlives the service that the daemon is."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleclaude.sync.commands.start import new_session
from teleclaude.sync.tmux.client import TmuxClient
from tests.daemon.user_manager import UserManager, why_not
from tests.sync.conftest import TmuxServer
from tests.wait import until

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "runs")

ROOT = Path(__file__).parents[3]
SERVICE = """
from teleclaude.sync.tmux.client import TmuxClient
from teleclaude.sync.commands.start import new_session
started = new_session(TmuxClient({name!r}), "mine", "/tmp", [], 20.0)
print(open(f"/proc/{{started.server}}/cgroup").read())
print("ID" if b"INVOCATION_ID=" in open(f"/proc/{{started.server}}/environ", "rb").read() else "clean")
"""


@pytest.fixture
def manager(tmux: TmuxServer) -> Iterator[UserManager]:
    """A real user manager."""
    home = Path(tempfile.mkdtemp(prefix="tc", dir="/tmp"))
    found = UserManager(home, tmux.environ)
    yield found
    found.close()
    home.rmdir()


def test_server_outlives_the_service(manager: UserManager, tmux: TmuxServer) -> None:
    """The server is in a scope of its own, with nothing of the service in its environment, and stays when it ends."""
    service = ["systemd-run", "--user", "--wait", "--pipe", "--quiet", "-p", "KillMode=control-group"]
    place = [f"--setenv=PYTHONPATH={ROOT}", "--setenv=SHELL=/bin/sh", f"--setenv=PATH={os.environ['PATH']}"]
    done = manager.run(*service, *place, "--", sys.executable, "-c", SERVICE.format(name=tmux.name))
    assert done.returncode == 0, done.stderr
    assert ".scope" in done.stdout
    assert "clean" in done.stdout
    until(lambda: manager.run("tmux", "-L", tmux.name, "list-sessions").stdout.startswith("mine:"))


def test_server_without_a_manager(tmux: TmuxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no user manager answers, the server is started all the same."""
    runtime = tempfile.mkdtemp(prefix="tc", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    started = new_session(TmuxClient(tmux.name), "mine", "/tmp", [], 20.0)
    assert (started.session, started.pane, started.server) == ("$0", "%0", tmux.pid)
    os.rmdir(runtime)
