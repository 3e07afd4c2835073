"""The daemon as a user service: the unit's text, and a real user manager that runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleclaude.core.errors import Conflict, Unavailable
from teleclaude.daemon.systemd_unit import UNIT, covers, render, unit_path
from tests.daemon.user_manager import UserManager, why_not
from tests.machine import Machine
from tests.wait import until

ROOT = Path(__file__).parents[2]
NASTY = "/tmp/a b%c\"d'e\\f$g"


def test_unit_is_what_systemd_takes(tmp_path: Path) -> None:
    """The unit is free of warnings for systemd itself, also where paths hold blanks, quotes, percents and dollars."""
    checkout = tmp_path / Path(NASTY).name
    (checkout / "bin").mkdir(parents=True)
    shutil.copytree(ROOT / "systemd", checkout / "systemd")
    (checkout / "bin" / "teleclaude-daemon").write_text("#!/bin/sh\n", encoding="utf-8")
    (checkout / "bin" / "teleclaude-daemon").chmod(0o755)
    (checkout / "README.md").touch()
    unit = tmp_path / UNIT
    unit.write_text(render(checkout, {"PATH": os.environ["PATH"], "TELECLAUDE_STATE_DIR": NASTY}), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_unit_needs_a_checkout(tmp_path: Path) -> None:
    """Without a checkout there is nothing to install, and it says so."""
    with pytest.raises(Unavailable, match="is no checkout"):
        render(tmp_path, {})


def test_unit_is_for_the_folders_it_was_installed_with(tmp_path: Path) -> None:
    """A service for other folders is not taken for ours, and a unit of somebody else is never ours."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/bin", "TELECLAUDE_STATE_DIR": NASTY}
    unit = unit_path(environ)
    assert not covers(environ)
    unit.parent.mkdir(parents=True)
    unit.write_text(render(ROOT, environ), encoding="utf-8")
    assert covers(environ)
    assert covers({**environ, "PATH": "/other"})
    assert not covers({**environ, "TELECLAUDE_STATE_DIR": "/other"})
    assert not covers({**environ, "TELECLAUDE_RUNTIME_DIR": "/other"})
    unit.write_text("[Service]\n", encoding="utf-8")
    assert not covers(environ)


def cli(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run `teleclaude` without a manager."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "teleclaude.cli.main", *words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("words", ["install", "uninstall", "status"])
def test_without_a_manager(tmp_path: Path, words: str) -> None:
    """Where no user manager answers, or no systemctl is there: one sentence, exit status 1, nothing written."""
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "XDG_CONFIG_HOME": ""}
    environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
    done = cli(environ, "service", words)
    assert done.returncode == 1
    assert "no systemd of user" in done.stderr
    done = cli({**environ, "PATH": str(tmp_path)}, "service", words)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: systemctl is not here")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / ".config" / "systemd").exists()


def test_unit_of_somebody_else_stays(tmp_path: Path) -> None:
    """A unit of our name that we did not write is not overwritten."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/bin"}
    unit = unit_path(environ)
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\n", encoding="utf-8")
    from teleclaude.daemon.systemd_unit import _ours  # noqa: PLC0415  (what install and uninstall ask first)

    with pytest.raises(Conflict, match="was not written by teleclaude"):
        _ours(unit)


class Serviced:
    """A computer whose daemon is run by a user manager."""

    def __init__(self, machine: Machine, manager: UserManager) -> None:
        self.machine, self.manager = machine, manager

    def teleclaude(self, *words: str) -> str:
        """Run `teleclaude` as the user would; what it said."""
        places = {key: value for key, value in self.machine.environ.items() if key.startswith("TELECLAUDE_")}
        done = self.manager.run(sys.executable, "-P", "-m", "teleclaude.cli.main", *words, **places)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def systemctl(self, *words: str) -> str:
        """Run `systemctl --user`."""
        done = self.manager.run("systemctl", "--user", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def show(self, name: str) -> str:
        """One property of the unit."""
        return self.systemctl("show", "--value", "-p", name, UNIT)

    def pid(self) -> str:
        """The supervisor's, as the manager sees it."""
        return self.show("MainPID")

    def panes(self) -> set[str]:
        """Ids and processes of all panes."""
        return set(self.machine.tmux("list-panes", "-a", "-F", "#{pane_id} #{pane_pid}").splitlines())


@pytest.fixture
def serviced() -> Iterator[Serviced]:
    """A computer, not yet installed as a service, beside a user manager."""
    home = Path(tempfile.mkdtemp(prefix="tch", dir="/tmp"))
    machine = Machine("serviced")
    manager = UserManager(home, machine.environ)
    yield Serviced(machine, manager)
    manager.close()
    machine.close()
    shutil.rmtree(home)


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "possible here")
def test_a_service_of_a_real_user_manager(serviced: Serviced) -> None:
    """Install, start, reload, hang, restart, stop, uninstall: the daemon obeys, and every tmux session stays."""
    machine = serviced.machine
    said = serviced.teleclaude("service", "install").splitlines()
    assert said[0].startswith("wrote ")
    assert said[1].startswith(f"{UNIT} is enabled and runs (pid ")
    machine.wait_until_serving()
    assert serviced.show("StatusText") == "cache, sync, web are running"
    assert serviced.teleclaude("service", "status").count("active") == 1
    assert "is as it should be" in serviced.teleclaude("service", "install")

    # A tmux server that the daemon started, put where it is in most danger: the service's own control group.
    body = {"computer": "serviced", "project": str(machine.code), "agent": "shell"}
    assert machine.call("POST", "/sessions", body)[0] == 201
    server = serviced.machine.tmux("display-message", "-p", "#{pid}")
    group = Path(f"/proc/{outside(machine)}/cgroup").read_text(encoding="ascii")
    assert f"/{UNIT}" in group
    path = serviced.show("ControlGroup")
    moved = serviced.manager.run("sh", "-c", f"echo {server} > /sys/fs/cgroup{path}/cgroup.procs")
    assert moved.returncode == 0, moved.stderr
    panes = serviced.panes()
    assert panes

    pid = serviced.pid()
    serviced.systemctl("reload", UNIT)
    assert serviced.pid() == pid

    drop_in = Path(serviced.manager.environ["HOME"]) / f".config/systemd/user/{UNIT}.d/quick.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nWatchdogSec=8\n", encoding="utf-8")
    serviced.systemctl("daemon-reload")
    serviced.systemctl("restart", UNIT)
    machine.wait_until_serving()
    assert serviced.pid() != pid
    assert serviced.panes() == panes

    pid = serviced.pid()
    assert serviced.manager.run("kill", "-STOP", pid).returncode == 0
    until(lambda: serviced.pid() not in {pid, "0"} and serviced.show("ActiveState") == "active", 40)
    assert int(serviced.show("NRestarts")) == 1
    machine.wait_until_serving()
    assert serviced.panes() == panes

    serviced.systemctl("stop", UNIT)
    assert serviced.show("Result") == "success"
    assert list(machine.place.runtime.iterdir()) == []
    assert serviced.panes() == panes
    left = serviced.manager.run("cat", f"/sys/fs/cgroup{path}/cgroup.procs").stdout.split()
    assert server in left
    assert all("teleclaude" not in command_line(serviced, number) for number in left)

    # One that is installed as a service is started as the service.
    assert "runs now" in serviced.teleclaude("daemon", "start")
    assert serviced.pid() != "0"
    assert json.loads(serviced.teleclaude("sessions", "--json"))
    removed = serviced.teleclaude("service", "uninstall").splitlines()
    assert removed[0] == f"{UNIT} is stopped and disabled"
    assert "nothing to do" in serviced.teleclaude("service", "uninstall")
    assert serviced.panes() == panes


def outside(machine: Machine) -> str:
    """Pid of the supervisor as seen from outside the manager's pid name space."""
    found = subprocess.run(
        ["pgrep", "-f", "-u", "0", "teleclaude.daemon"], capture_output=True, text=True, check=False
    ).stdout.split()
    for pid in found:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        if str(machine.place.runtime).encode() in environ:
            return pid
    raise AssertionError(found)


def command_line(serviced: Serviced, pid: str) -> str:
    """Command line of a process beside the manager."""
    return serviced.manager.run("cat", f"/proc/{pid}/cmdline").stdout.replace("\0", " ")


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "possible here")
def test_a_daemon_in_the_background_becomes_the_service(serviced: Serviced) -> None:
    """Installing stops the daemon that runs in the background, says so, and its sessions stay."""
    machine = serviced.machine
    machine.tmux("new-session", "-d", "-s", "mine")
    assert "runs now" in serviced.teleclaude("daemon", "start")
    assert serviced.show("MainPID") == "0"
    panes = serviced.panes()
    said = serviced.teleclaude("service", "install")
    assert "is stopped, to run as the service from now on" in said
    machine.wait_until_serving()
    assert serviced.pid() != "0"
    assert serviced.panes() == panes
