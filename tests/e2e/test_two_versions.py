"""Two versions in one fleet: the release before this one's wire, beside this tree, on one Redis.

They cannot talk: this version signs what it says, and that one knows no signatures. So what is promised is less: each
works by itself as ever, nothing fails in either, the newer says which computer is to be upgraded, and once all are
upgraded they are one fleet again, with nobody joining anew.
"""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import cli
from tests.machine import ALLOW, ROOT, Machine
from tests.redis_process import RedisProcess
from tests.wait import until

RELEASE = "447cc2fda783c08f09f6b94326f22cbe332eddae"  # the last commit with the wire `tc1`


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack that version's tree."""
    folder = tmp_path_factory.mktemp("release")
    archive = folder / "tree.tar"
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    asked = subprocess.run([*git, "rev-parse", "--is-shallow-repository"], capture_output=True, text=True, check=False)
    if asked.stdout.strip() != "false":
        pytest.skip("this checkout has no history that reaches back to that version")
    subprocess.run([*git, "archive", "-o", str(archive), RELEASE, "teleclaude"], check=True)
    with tarfile.open(archive) as tree:
        tree.extractall(folder, filter="data")
    return folder


@pytest.fixture
def fleet(release: Path) -> Iterator[tuple[Machine, Machine]]:
    """Two computers of the older version that see each other."""
    redis = RedisProcess()
    machines: list[Machine] = []
    try:
        for name in ("alpha", "beta"):
            machine = Machine(name, environ={"PYTHONPATH": str(release), "PYTHONSAFEPATH": "1"})
            machines.append(machine)
            plain = machine.place.settings_file.read_text().replace(ALLOW, "")  # it does not know that right
            machine.place.settings_file.write_text(plain)
            machine.tmux("new-session", "-d", "-s", f"of-{name}", "cat")
        join_string = cli(machines[0], "fleet", "create", "--redis", redis.url).split()[-1]
        cli(machines[1], "fleet", "join", join_string)
        for machine in machines:
            machine.start()
        alpha, beta = machines
        until(lambda: online(alpha) == online(beta) == {"alpha", "beta"}, 20)
        yield alpha, beta
    finally:
        for machine in machines:
            machine.close()
        redis.close()


def online(machine: Machine) -> set[str]:
    """The computers that one shows as online."""
    return {computer["name"] for computer in machine.get("/computers") if computer["status"] == "online"}


def upgrade(machine: Machine) -> None:
    """Have the daemon run from this tree, as after an upgrade."""
    assert machine.stop() == 0
    machine.environ["PYTHONPATH"] = str(ROOT)
    machine.start()


def works(machine: Machine) -> bool:
    """Tell whether all of a daemon runs, has run all the time, and does what it is asked by itself."""
    health = machine.get("/health")
    assert {worker["state"] for worker in health["workers"].values()} == {"running"}, health
    assert {worker["restarts"] for worker in health["workers"].values()} == {0}, health
    assert "Traceback" not in machine.log()
    body = {"computer": machine.name, "project": str(machine.code), "agent": "shell", "title": "by itself"}
    status, made = machine.call("POST", "/sessions", body)
    assert status == 201, made
    assert machine.call("DELETE", f"/sessions/{made['session_id']}")[0] == 200
    return f"of-{machine.name}" in {session.tmux.name for session in machine.sessions()}


def test_versions_that_cannot_talk_leave_each_other_alone_and_say_so(fleet: tuple[Machine, Machine]) -> None:
    """Half upgraded, both work by themselves, and the newer one says what to do; wholly upgraded they meet again.

    A join string of this version is refused by the older one, which says so and stays in the fleet that it is in.
    """
    alpha, beta = fleet
    upgrade(beta)
    until(lambda: "older version of teleclaude" in cli(beta, "fleet", "status"), 20)
    until(lambda: online(alpha) == {"alpha"}, 20)
    join_string = cli(beta, "fleet", "invite").split()[-1]
    with pytest.raises(AssertionError, match="join string"):
        cli(alpha, "fleet", "join", join_string)
    assert works(alpha)
    assert works(beta)
    upgrade(alpha)
    until(lambda: online(alpha) == online(beta) == {"alpha", "beta"}, 20)
    assert "older version" not in cli(beta, "fleet", "status")
    body = {"computer": "alpha", "project": str(alpha.code), "agent": "shell", "title": "from beta"}
    status, made = beta.call("POST", "/sessions", body)
    assert status in {201, 403}, made  # 403: alpha's own settings allow no shell; either way it was asked, and answered
