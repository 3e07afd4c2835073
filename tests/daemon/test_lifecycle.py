"""Starting and stopping the real daemon from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from teleclaude.daemon.lifecycle import answers
from teleclaude.daemon.lock import holder
from tests.daemon.places import Daemon, alive
from tests.wait import until


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Places for a daemon that is started with `start`."""
    made = Daemon()
    yield made
    made.close()


def pid_of(daemon: Daemon) -> int:
    """The one that holds the lock."""
    pid = holder(daemon.place.lock_file)
    assert pid
    return pid


def test_start_then_stop(daemon: Daemon) -> None:
    """`start` returns when the daemon answers, away from the caller's session; `stop` returns when all is gone."""
    done = daemon.command("start")
    assert (done.returncode, done.stderr.split(" (")[0]) == (0, "teleclaude runs now")
    assert answers(daemon.place)
    pid = pid_of(daemon)
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").resolve() == Path("/")
    workers = [state.pid for state in daemon.states().values()]
    again = daemon.command("start")
    assert (again.returncode, again.stderr) == (0, f"teleclaude runs already (pid {pid})\n")
    stopped = daemon.command("stop")
    assert (stopped.returncode, stopped.stderr) == (0, f"teleclaude (pid {pid}) is stopped\n")
    assert not any(alive(worker) for worker in [pid, *workers])
    assert list(daemon.place.runtime.iterdir()) == []
    assert "stopped" in daemon.place.log_file.read_text(encoding="utf-8")
    nobody = daemon.command("stop")
    assert (nobody.returncode, nobody.stderr) == (0, "no teleclaude daemon runs\n")


def test_starts_at_once_give_one_daemon(daemon: Daemon) -> None:
    """Several starts at the same moment all succeed, and one daemon runs."""
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: daemon.command("start"), range(4)))
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    pid = pid_of(daemon)
    assert all(f"pid {pid}" in each.stderr for each in done)


def test_slow_daemon_is_waited_for_and_never_replaced(daemon: Daemon) -> None:
    """A daemon that does not answer for a while keeps its place: a second start waits for it."""
    daemon.command("start")
    pid, web = pid_of(daemon), daemon.states()["web"].pid
    os.kill(pid, signal.SIGSTOP)  # so that nobody restarts the web process
    os.kill(web, signal.SIGSTOP)
    second = subprocess.Popen(
        [sys.executable, "-m", "teleclaude.daemon", "start"], env=daemon.environ, stderr=subprocess.PIPE, text=True
    )
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(7)  # longer than one look at /health lasts
    for stopped in (web, pid):
        os.kill(stopped, signal.SIGCONT)
    assert second.communicate(timeout=30)[1] == f"teleclaude runs already (pid {pid})\n"
    assert second.returncode == 0
    assert pid_of(daemon) == pid


def test_start_tells_why_not(daemon: Daemon) -> None:
    """A daemon that cannot start: one sentence with its reason, exit status 1."""
    daemon.place.config.mkdir(parents=True)
    daemon.place.settings_file.write_text("[compuler]\n", encoding="utf-8")
    done = daemon.command("start")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"the daemon did not start: {daemon.place.settings_file}: line 1: unknown key `compuler`"
    )
    assert len(done.stderr.splitlines()) == 1


def test_start_after_a_kill(daemon: Daemon) -> None:
    """When the supervisor was killed, a start at once brings all back, over what was left lying about."""
    daemon.command("start")
    pid = pid_of(daemon)
    os.kill(pid, signal.SIGKILL)
    done = daemon.command("start")
    assert done.returncode == 0, done.stderr
    assert pid_of(daemon) != pid
    assert not alive(pid)


def test_start_while_the_old_one_ends(daemon: Daemon) -> None:
    """A start that comes while the daemon is ending gives a new daemon."""
    daemon.command("start")
    pid = pid_of(daemon)
    os.kill(pid, signal.SIGTERM)
    assert daemon.command("start").returncode == 0
    assert until(lambda: answers(daemon.place))
    assert until(lambda: pid_of(daemon) != pid)


def test_reload_from_outside(daemon: Daemon) -> None:
    """`reload` reaches the daemon; without one it says so."""
    assert daemon.command("reload").stderr == "no teleclaude daemon runs\n"
    daemon.command("start")
    assert daemon.command("reload").returncode == 0
    until(lambda: "the settings were read again" in daemon.place.log_file.read_text(encoding="utf-8"))


def test_folder_of_the_caller_is_no_place_to_import_from(daemon: Daemon, tmp_path: Path) -> None:
    """A module of the user's own project, in the folder he happens to be in, gets into no process of ours."""
    for name in ("logging", "select", "socket", "teleclaude", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the wrong place')", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "teleclaude.daemon", "start"],
        env=daemon.environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert daemon.command("stop").returncode == 0


@pytest.mark.parametrize("words", [["bogus"], ["start", "x"], ["--bogus"]])
def test_wrong_words(daemon: Daemon, words: list[str]) -> None:
    """What it does not know: the usage, exit status 2, and nothing is started."""
    done = daemon.command(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
    assert not daemon.place.runtime.exists()


def test_places_that_cannot_be(daemon: Daemon) -> None:
    """A relative or overlong runtime folder, or one that cannot be made: one sentence, exit status 1."""
    for value in ("relative", "/tmp/" + "x" * 200, "/proc/nowhere"):
        daemon.environ["TELECLAUDE_RUNTIME_DIR"] = value
        done = daemon.command("start")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
