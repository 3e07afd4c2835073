"""A client that asks for a session's output again and again, for hours, leaves nothing behind in any process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine
from tests.wait import until
from tests.web.raw_http import Connection

WARM, MANY = 300, 1500  # requests; the first ones fill what is allocated once
LINES = 8000  # of one answer, some 40 KB
MAY_GROW = 6 * 1024 * 1024  # bytes; a tenth of what the many answers hold
WORKERS = ("cache", "sync", "web")


@pytest.fixture
def machine() -> Iterator[Machine]:
    """One computer, serving."""
    found = Machine("laptop")
    try:
        found.start()
        yield found
    finally:
        found.close()


def memory(pid: int) -> int:
    """Bytes of a process that nobody shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024


def fds(pid: int) -> int:
    """Open descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def poll(connection: Connection, session_id: str, times: int) -> int:
    """Ask for a session's output so often; bytes of all answers."""
    total = 0
    for _ in range(times):
        answer = connection.ask("GET", f"/sessions/{session_id}/output?lines={LINES}")
        assert answer.status == 200
        total += len(answer.body)
    return total


def test_output_asked_for_all_day_leaves_nothing_behind(machine: Machine) -> None:
    """Memory and descriptors of every process are as they were; no request is held on to, and commands still work."""
    machine.tmux(
        "set-option", "-g", "history-limit", "20000", ";", "new-session", "-d", "-s", "talk", f"seq {LINES}; cat"
    )
    session_id = until(lambda: next((s.session_id for s in machine.sessions() if s.tmux.name == "talk"), ""))
    connection = Connection(machine.place.api_socket)
    poll(connection, session_id, WARM)
    pids = {name: machine.worker_pid(name) for name in WORKERS}
    before = {name: (memory(pid), fds(pid)) for name, pid in pids.items()}
    total = poll(connection, session_id, MANY)
    assert total > 8 * MAY_GROW
    for name, pid in pids.items():
        bytes_before, fds_before = before[name]
        assert memory(pid) - bytes_before < MAY_GROW, name
        until(lambda pid=pid, most=fds_before: fds(pid) <= most)  # type: ignore[misc]  # default arguments bind them
    assert b"commands_under_way 0.0" in connection.ask("GET", "/metrics").body
    assert machine.call("POST", f"/sessions/{session_id}/message", {"text": "still here"})[0] == 200
    assert {name: machine.worker_pid(name) for name in WORKERS} == pids
    connection.close()
