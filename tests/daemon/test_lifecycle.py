"""Starting and stopping the real daemon from outside."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from teleclaude.client.api import Api
from teleclaude.daemon.lifecycle import answers
from teleclaude.daemon.main_socket import holder
from tests.daemon.places import Daemon, alive
from tests.small_disk import fill, needs_root, small_disk
from tests.wait import until


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Places for a daemon that is started with `start`."""
    made = Daemon()
    yield made
    made.close()


def pid_of(daemon: Daemon) -> int:
    """The one that holds the lock."""
    pid = holder(daemon.place)
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
    """`reload` returns when the settings are in force; without a daemon it says so."""
    nobody = daemon.command("reload")
    assert (nobody.returncode, nobody.stderr) == (1, "no teleclaude daemon runs\n")
    daemon.command("start")
    daemon.place.settings_file.write_text('[api]\norigins = ["http://here"]\n', encoding="utf-8")
    done = daemon.command("reload")
    assert (done.returncode, done.stderr) == (0, f"teleclaude (pid {pid_of(daemon)}) has taken its settings anew\n")
    assert request(daemon, "Origin: http://here") == 200
    assert request(daemon, "Origin: http://there") == 403


def request(daemon: Daemon, header: str) -> int:
    """Status of a GET with a header more."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(daemon.place.api_socket))
        sock.sendall(f"GET /health HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n".encode())
        return int(sock.recv(12).split()[1])


def test_wrong_settings_reach_no_daemon(daemon: Daemon) -> None:
    """`reload` and `restart` tell file, line and key, and fail; the daemon goes on as it was."""
    daemon.command("start")
    pid, states = pid_of(daemon), daemon.states()
    daemon.place.settings_file.write_text("\n[log]\nlevel = 3\n", encoding="utf-8")
    for words in (["daemon", "reload"], ["cli.main", "daemon", "reload"], ["cli.main", "daemon", "restart"]):
        argv = [sys.executable, "-m", f"teleclaude.{words[0]}", *words[1:]]
        done = subprocess.run(argv, env=daemon.environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert f"{daemon.place.settings_file}: line 3: `log.level` must be" in done.stderr
    assert pid_of(daemon) == pid
    assert daemon.states() == states


def test_reload_tells_what_could_not_be_done(daemon: Daemon) -> None:
    """Settings that are right, of which something cannot be had: that is said, and `reload` fails; so do the states."""
    daemon.command("start")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        tcp = f'[api]\ntcp = "127.0.0.1:{taken.getsockname()[1]}"\n'
        daemon.place.settings_file.write_text(tcp, encoding="utf-8")
        done = daemon.command("reload")
        assert done.returncode == 1
        assert "web: TCP stays closed: " in done.stderr
        assert until(lambda: "TCP stays closed" in daemon.states()["web"].reason)
    assert daemon.command("reload").returncode == 0
    assert until(lambda: daemon.states()["web"].reason == "")


def test_an_other_name_begins_everything_anew(daemon: Daemon) -> None:
    """After `reload` this computer is there under its new name alone, with all that it has, and can be looked at."""
    daemon.command("start")
    before, pid = daemon.states(), pid_of(daemon)
    daemon.place.settings_file.write_text('[computer]\nname = "renamed"\n', encoding="utf-8")
    done = daemon.command("reload")
    assert done.returncode == 0, done.stderr
    assert "has begun anew" in done.stderr
    assert pid_of(daemon) == pid
    after = daemon.states()
    assert not {state.pid for name, state in before.items() if name != "supervisor"} & {s.pid for s in after.values()}
    api = Api(daemon.place.api_socket)
    assert until(lambda: [each.name for each in api.computers()]) == ["renamed"]
    assert {each.computer for each in api.projects()} <= {"renamed"}
    api.refresh()
    assert api.health().computer == "renamed"


def test_a_runtime_folder_that_is_removed_is_made_again(daemon: Daemon) -> None:
    """The daemon begins anew in a new folder, as itself; one daemon is there, and answers."""
    daemon.command("start")
    pid = pid_of(daemon)
    workers = [state.pid for name, state in daemon.states().items() if name != "supervisor"]
    shutil.rmtree(daemon.place.runtime, ignore_errors=True)  # what a worker writes meanwhile may stay
    until(lambda: answers(daemon.place), 30)
    assert pid_of(daemon) == pid
    assert not any(alive(worker) for worker in workers)
    assert daemon.command("start").stderr == f"teleclaude runs already (pid {pid})\n"


def test_a_socket_that_is_removed_is_made_again(daemon: Daemon) -> None:
    """The web process that nobody finds any more is begun anew, and the others are left alone."""
    daemon.command("start")
    before = daemon.states()
    daemon.place.api_socket.unlink()
    until(lambda: answers(daemon.place), 20)
    after = daemon.states()
    assert {name for name in after if after[name].pid != before[name].pid} == {"web"}


def is_removed(folder: Path) -> bool:
    """Remove a folder in which somebody writes; tell whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def test_a_daemon_that_lost_its_folder_to_another_ends(daemon: Daemon) -> None:
    """When another one was started in the new folder first, the old one ends, and takes nothing of it along."""
    daemon.command("start")
    old = pid_of(daemon)
    os.kill(old, signal.SIGSTOP)
    until(lambda: is_removed(daemon.place.runtime))
    assert daemon.command("start").returncode == 0
    new = pid_of(daemon)
    assert new != old
    os.kill(old, signal.SIGCONT)
    until(lambda: not alive(old), 20)
    assert pid_of(daemon) == new
    assert answers(daemon.place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
@pytest.mark.parametrize("word", ["reload", "stop", "start"])
def test_a_planted_runtime_folder_is_not_used(daemon: Daemon, word: str) -> None:
    """A folder of another user, with a lock that names a process of ours: nothing in it is believed."""
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    daemon.folder.chmod(0o777)
    with subprocess.Popen(sleep) as victim:
        plant = [sys.executable, "-c", PLANT, str(daemon.place.runtime), str(victim.pid)]
        with subprocess.Popen(plant, stdout=subprocess.PIPE) as planter:
            try:
                assert planter.stdout is not None
                assert planter.stdout.readline() == b"planted\n"
                done = daemon.command(word)
                assert done.returncode == 1
                assert f"{daemon.place.runtime} belongs to user 65534, not to you" in done.stderr
                assert victim.poll() is None
            finally:
                planter.kill()
                victim.kill()


PLANT = """
import fcntl, os, socket, sys, time
os.setgid(65534); os.setuid(65534)
where, pid = sys.argv[1:]
os.mkdir(where, 0o755)
lock = os.open(where + "/lock", os.O_RDWR | os.O_CREAT, 0o644)
os.write(lock, pid.encode() + b"\\n"); fcntl.flock(lock, fcntl.LOCK_EX)
for name in ("api.sock", "main.sock"):
    listener = socket.socket(socket.AF_UNIX); listener.bind(f"{where}/{name}"); listener.listen()
    os.chmod(f"{where}/{name}", 0o777); globals()[name] = listener
print("planted", flush=True); time.sleep(60)
"""


def test_the_number_in_the_lock_is_nobodys(daemon: Daemon) -> None:
    """Whatever is written there, `stop` ends the daemon, and nobody else."""
    daemon.command("start")
    pid = pid_of(daemon)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        daemon.place.lock_file.write_text(f"{other.pid}\n", encoding="ascii")
        assert daemon.command("stop").stderr == f"teleclaude (pid {pid}) is stopped\n"
        assert other.poll() is None
        other.kill()


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


@needs_root
def test_a_full_runtime_folder_is_told_and_healed(daemon: Daemon) -> None:
    """Nobody dies of it; the last snapshot is served as stale; reason and true pids are told; then all is well."""
    with small_disk(daemon.place.runtime):
        daemon.command("start")
        api = Api(daemon.place.api_socket)
        until(lambda: api.health().status == "ok")
        filler = fill(daemon.place.runtime)
        os.kill(daemon.states()["cache"].pid, signal.SIGKILL)  # the next one needs a file of its own
        told = until(lambda: [daemon.states()] if "folder is full" in daemon.states()["cache"].reason else [])[0]
        assert alive(told["cache"].pid)
        assert (told["cache"].state, told["cache"].restarts) == ("running", 1)
        assert until(lambda: "the runtime folder is full" in api.health().reason)
        assert [each.name for each in api.computers()]
        filler.unlink()
        until(lambda: api.health().status == "ok")
        states = daemon.states()
        assert {name: state.restarts for name, state in states.items() if state.restarts} == {"cache": 1}
        assert states["cache"].reason == ""
        log = daemon.place.log_file.read_text(encoding="utf-8")
        assert log.count("folder is full") == 1
        assert not list(daemon.place.runtime.glob(".snapshot*"))
        daemon.command("stop")
