"""`teleclaude restore` and `forget`, on a whole daemon whose computer and tmux server are lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from teleclaude.core.records import Session
from teleclaude.sync.sessions.session_journal import StoredJournal
from tests.machine import Machine
from tests.wait import until


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A computer with two agents, stand-ins of Claude Code that say how they were started."""
    found = Machine("here")
    script = found.folder / "claude"
    script.write_text(f'#!/bin/sh\necho "$@" >> {found.folder}/calls\nexec {found.folder}/sleeping 1000\n')
    script.chmod(0o755)
    (found.folder / "sleeping").symlink_to("/bin/sleep")
    found.write_settings(f'[agents.claude]\ncommand = "{script}"\n')
    try:
        found.start()
        for title in ("One", "Two"):
            assert go(found, "start", str(found.code), "--title", title).returncode == 0
        yield found
    finally:
        found.close()


def go(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-P", "-m", "teleclaude.cli.main", *words]
    return subprocess.run(
        command, env=machine.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def lost(machine: Machine) -> list[Session]:
    """The lost, in order of their titles."""
    return sorted((s for s in machine.sessions() if s.status == "lost"), key=lambda s: s.title)


def test_lost_sessions_are_listed_restored_and_forgotten(machine: Machine) -> None:
    """When tmux' server died: what is lost is listed, one comes back by its id, another is forgotten."""
    assert go(machine, "restore").stdout == "nothing is lost\n"
    os.kill(int(machine.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)
    until(lambda: len(lost(machine)) == 2)
    one, two = lost(machine)
    listed = go(machine, "restore").stdout
    assert one.session_id in listed
    assert "Two" in listed
    back = go(machine, "restore", one.session_id[:8])
    assert (back.returncode, back.stdout.strip()) == (0, one.session_id), back.stderr
    assert go(machine, "forget", two.session_id).returncode == 0
    assert [(s.session_id, s.title) for s in machine.sessions()] == [(one.session_id, "One")]
    again = go(machine, "restore", one.session_id)
    assert again.returncode == 1
    assert "not lost" in again.stderr


def test_what_ran_before_a_reboot_is_brought_back(machine: Machine) -> None:
    """After a restart of the daemon nothing is lost; after one of the computer all is, and `--all` brings it back."""
    path = machine.place.journal_of_sessions
    ids = {s.session_id for s in machine.sessions()}
    machine.stop()
    machine.start()
    until(lambda: {s.session_id for s in machine.sessions() if s.status != "lost"} == ids)
    machine.stop()
    kept = msgspec.json.decode(path.read_bytes(), type=StoredJournal)
    assert {entry.session_id for entry in kept.entries} == ids
    assert path.stat().st_mode & 0o777 == 0o600
    machine.tmux("kill-server")
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(kept, boot="the one before")))
    machine.start()
    until(lambda: {s.session_id for s in lost(machine)} == ids)
    done = go(machine, "restore", "--all")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == ids
    assert {s.session_id for s in machine.sessions() if s.status != "lost"} == ids
