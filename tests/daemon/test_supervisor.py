"""The supervisor over real processes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teleclaude.daemon.life import GIVE_UP_AFTER, HUNG_AFTER
from tests.daemon.places import Daemon, alive, children, daemon, dutiful
from tests.wait import until

__all__ = ["daemon"]

WORKERS = {"cache", "sync", "web"}
Make = Callable[..., Daemon]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes daemons with the workers that a test gives; the others are dutiful."""
    made: list[Daemon] = []

    def one(**workers: list[str]) -> Daemon:
        made.append(Daemon({name: workers.get(name, dutiful(name)) for name in ("cache", "sync", "web")}))
        return made[-1]

    yield one
    for each in made:
        each.close()


def python(code: str) -> list[str]:
    """Command line of a worker that runs `code`."""
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("name", ["cache", "sync", "web"])
def test_killed_worker_comes_back(daemon: Daemon, name: str) -> None:
    """A worker that was killed is started again with a new pid, and the others are left alone."""
    before = daemon.start().wait_for(all="running")
    os.kill(before[name].pid, signal.SIGKILL)
    after = daemon.wait_restarted(name)
    assert after[name].pid != before[name].pid
    assert "SIGKILL" not in after[name].reason
    assert {n: s.pid for n, s in after.items() if n != name} == {n: s.pid for n, s in before.items() if n != name}


def test_hung_worker_is_killed_and_comes_back(daemon: Daemon) -> None:
    """A worker that is stopped gives no sign of life: it is killed and started again."""
    before = daemon.start().wait_for(all="running")
    os.kill(before["web"].pid, signal.SIGSTOP)
    after = daemon.wait_restarted("web")
    assert not alive(before["web"].pid)
    assert after["web"].pid != before["web"].pid
    assert "gave no sign of life for 3 s" in daemon.log()


def test_worker_that_always_dies_is_given_up(make: Make) -> None:
    """Five quick deaths: fatal, with the last words as the reason, and the others work on."""
    daemon = make(web=python("import sys; sys.exit('\\x1b[31mno such port')")).start()
    states = daemon.wait_for(web="fatal", cache="running", sync="running")
    assert states["web"].pid == 0
    assert states["web"].restarts == GIVE_UP_AFTER - 1
    assert states["web"].reason == "ended with status 1: \N{REPLACEMENT CHARACTER}[31mno such port"
    assert "\x1b" not in daemon.log()


def test_reload_wakes_one_that_was_given_up(make: Make, tmp_path: Path) -> None:
    """SIGHUP gives a worker that was given up a new try."""
    cure = tmp_path / "cure"
    code = f"import os, sys\nif not os.path.exists({str(cure)!r}): sys.exit('ill')\n" + dutiful("web")[2]
    daemon = make(web=[*python(code), "web"]).start()
    daemon.wait_for(web="fatal")
    cure.touch()
    os.kill(daemon.pid, signal.SIGHUP)
    daemon.wait_for(all="running")


def test_worker_that_cannot_be_started_is_given_up(make: Make) -> None:
    """A command that is not there is given up like one that dies, and says so."""
    daemon = make(sync=["/nonexistent/worker"]).start()
    assert daemon.wait_for(sync="fatal")["sync"].reason == "cannot be started: No such file or directory"


def test_supervisor_killed_takes_all_with_it(daemon: Daemon) -> None:
    """SIGKILL of the supervisor ends each worker, even a stopped one; the next start works at once."""
    states = daemon.start().wait_for(all="running")
    os.kill(states["sync"].pid, signal.SIGSTOP)
    assert daemon.process is not None
    daemon.process.kill()
    daemon.process.wait()
    until(lambda: not any(alive(state.pid) for state in states.values()))
    daemon.start().wait_for(all="running")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_leaves_nothing(daemon: Daemon, number: int) -> None:
    """SIGTERM and SIGINT end all, in order, with exit status 0, and nothing is left in the runtime folder."""
    states = daemon.start().wait_for(all="running")
    os.kill(daemon.pid, number)
    assert daemon.process is not None
    assert daemon.process.wait(15) == 0
    assert not any(alive(state.pid) for state in states.values())
    assert list(daemon.place.runtime.iterdir()) == []
    ended = [line.split()[-2] for line in daemon.log().splitlines() if line.endswith(" ended")]
    assert ended == ["web", "sync", "cache"]


DEAF = """
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "1000"])
"""


def test_stop_of_a_deaf_worker(make: Make) -> None:
    """A worker that ignores SIGTERM, and what it started, are killed; the stop still ends."""
    code = dutiful("sync")[2].replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
    daemon = make(sync=[*python(DEAF + code), "sync"]).start()
    states = daemon.wait_for(all="running")
    (sleeper,) = children(states["sync"].pid)
    assert daemon.stop() == 0
    assert not alive(states["sync"].pid)
    assert not alive(sleeper)


PARENT = """
import subprocess
subprocess.Popen(["sleep", "1000"])
subprocess.Popen(["sleep", "1000"], start_new_session=True)
"""


def test_what_a_dead_worker_left_is_swept_up(make: Make) -> None:
    """The children of a killed worker go with it; one that made itself a daemon, as a tmux server does, stays."""
    daemon = make(sync=[*python(PARENT + dutiful("sync")[2]), "sync"]).start()
    worker = daemon.wait_for(all="running")["sync"].pid
    born = children(worker)
    own = [pid for pid in born if os.getsid(pid) == pid]
    try:
        os.kill(worker, signal.SIGKILL)
        own += [pid for pid in children(daemon.wait_restarted("sync")["sync"].pid) if os.getsid(pid) == pid]
        assert [pid for pid in born if alive(pid)] == own[:1]
    finally:
        for pid in own:
            os.kill(pid, signal.SIGKILL)


def test_fds_of_the_supervisor_do_not_grow(daemon: Daemon) -> None:
    """Many restarts later the supervisor has as many file descriptors as before."""
    states = daemon.start().wait_for(all="running", supervisor="running")
    before = sorted(os.listdir(f"/proc/{daemon.pid}/fd"))
    for count in range(1, 8):
        os.kill(daemon.states()["web"].pid, signal.SIGKILL)
        daemon.wait_restarted("web", count)
    assert len(os.listdir(f"/proc/{daemon.pid}/fd")) == len(before)
    assert states["cache"].pid == daemon.states()["cache"].pid


def test_second_start_names_the_first(daemon: Daemon) -> None:
    """A second daemon in the same runtime folder says who runs, exits with 1, and disturbs nothing."""
    before = daemon.start().wait_for(all="running", supervisor="running")
    second = daemon.command()
    assert second.returncode == 1
    assert f"a teleclaude daemon runs already (pid {daemon.pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert daemon.states() == before


def test_settings_are_reloaded(daemon: Daemon) -> None:
    """SIGHUP takes right settings to sync and web, and keeps the old ones when they are wrong."""
    daemon.start().wait_for(all="running")
    daemon.place.settings_file.write_text('[log]\nlevel = "debug"\n', encoding="utf-8")
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "reloaded sync" in daemon.log() and "reloaded web" in daemon.log())
    assert daemon.place.settings_in_force.read_text(encoding="utf-8") == '[log]\nlevel = "debug"\n'
    daemon.place.settings_file.write_text('[log]\nlevle = "debug"\n', encoding="utf-8")
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "did you mean `level`?" in daemon.log())
    assert daemon.place.settings_in_force.read_text(encoding="utf-8") == '[log]\nlevel = "debug"\n'
    assert daemon.log().count("reloaded web") == 1
    assert {state.restarts for state in daemon.states().values()} == {0}


def test_other_name_of_the_computer_restarts_all_workers_in_order(daemon: Daemon) -> None:
    """Each of them knows the computer's name: none outlives the others with the old one."""
    before = daemon.start().wait_for(all="running")
    daemon.place.settings_file.write_text('[computer]\nname = "other"\n', encoding="utf-8")
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: {name for name, state in daemon.states().items() if state.pid != before[name].pid} >= WORKERS)
    daemon.wait_for(all="running")
    ends = [line.split()[-2] for line in daemon.log().splitlines() if line.endswith(" ended")]
    assert ends == ["web", "sync", "cache"]
    assert {state.restarts for state in daemon.states().values()} == {0}


def test_wrong_settings_at_the_start(daemon: Daemon) -> None:
    """A daemon does not start with settings that are wrong; it says file, line and key."""
    daemon.place.config.mkdir(parents=True)
    daemon.place.settings_file.write_text("\n[log]\nlevel = 3\n", encoding="utf-8")
    done = daemon.command()
    assert done.returncode == 1
    assert f"{daemon.place.settings_file}: line 3: `log.level` must be" in done.stderr
    assert not daemon.place.lock_file.exists()


def plant_link(path: Path) -> None:
    """A link to somewhere else."""
    path.symlink_to("/tmp/elsewhere")


@pytest.mark.parametrize(
    "name", ["api.sock", "cache.sock", "feed.sock", "snapshot", "cache.key", "workers.json", "lock"]
)
@pytest.mark.parametrize("plant", [plant_link, Path.mkdir], ids=["link", "folder"])
def test_planted_names_are_refused(daemon: Daemon, name: str, plant: Callable[[Path], None]) -> None:
    """A link or folder in the place of a file of ours: no start, and the sentence names it."""
    daemon.place.runtime.mkdir(parents=True, mode=0o700)
    path = daemon.place.runtime / name
    plant(path)
    done = daemon.command()
    assert done.returncode == 1
    assert done.stderr.startswith(f"{path} ")
    assert "remove it" in done.stderr
    assert path.is_symlink() or path.is_dir()


def test_planted_runtime_folder_is_refused(daemon: Daemon) -> None:
    """A link in the place of the runtime folder: no start, and nothing is made behind it."""
    behind = daemon.folder / "behind"
    behind.mkdir(mode=0o700)
    daemon.place.runtime.symlink_to(behind)
    done = daemon.command()
    assert done.returncode == 1
    assert "is a link" in done.stderr
    assert list(behind.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that belongs to somebody else")
def test_folder_of_somebody_else_is_refused(daemon: Daemon) -> None:
    """A runtime folder that another user made first: no start."""
    daemon.place.runtime.mkdir(parents=True)
    os.chown(daemon.place.runtime, 12345, 12345)
    done = daemon.command()
    assert done.returncode == 1
    assert "belongs to user 12345" in done.stderr


def test_all_is_private(daemon: Daemon) -> None:
    """Folders are 0700, files and sockets 0600, whatever the umask of the user."""
    umask = os.umask(0)
    try:
        daemon.start().wait_for(all="running")
    finally:
        os.umask(umask)
    for folder in (daemon.place.config, daemon.place.state, daemon.place.runtime):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_workers_get_nothing_of_the_managers(make: Make) -> None:
    """What the service manager and the user's tmux gave to the supervisor stays with it."""
    code = "import os, sys; sys.stderr.write('|'.join(sorted(os.environ)) + '\\n'); sys.stderr.flush()\n"
    daemon = make(web=[*python(code + dutiful("web")[2]), "web"])
    daemon.start(NOTIFY_SOCKET="/nowhere", TMUX="/tmp/x,1,0", TMUX_PANE="%1", INVOCATION_ID="x", KEPT="yes")
    daemon.wait_for(all="running")
    words = next(line for line in daemon.log().splitlines() if "TELECLAUDE_RUNTIME_DIR" in line).split("|")
    assert "KEPT" in words
    assert not {"NOTIFY_SOCKET", "TMUX", "TMUX_PANE", "INVOCATION_ID"} & set(words)


def test_flood_of_log_lines_keeps_nobody(make: Make) -> None:
    """A worker that floods its log keeps the supervisor from none of its work."""
    code = dutiful("web")[2].replace("time.sleep(0.1)", "os.write(2, b'x' * 60000)")
    daemon = make(web=[*python(code), "web"]).start()
    daemon.wait_for(all="running")
    os.kill(daemon.states()["cache"].pid, signal.SIGKILL)
    daemon.wait_restarted("cache")
    assert daemon.stop() == 0


def test_lifeline_that_was_hung_up_is_no_reason_to_spin(make: Make) -> None:
    """A worker that closes its lifeline and lives on is waited for, at no cost."""
    code = "import os, time\nos.close(int(os.environ['TELECLAUDE_LIFELINE']))\ntime.sleep(1000)"
    daemon = make(sync=python(code)).start()
    daemon.wait_for(web="running", cache="running", sync="starting")
    before, began = cpu(daemon.pid), time.monotonic()
    until(lambda: time.monotonic() - began > 3)
    assert cpu(daemon.pid) - before < 0.4


def cpu(pid: int) -> float:
    """CPU seconds that a process used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_stopped_supervisor_judges_nobody(daemon: Daemon) -> None:
    """A supervisor that was itself stopped for longer than the limit finds all workers well."""
    daemon.start().wait_for(all="running")
    os.kill(daemon.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    until(lambda: time.monotonic() - stopped > HUNG_AFTER + 1.5)
    os.kill(daemon.pid, signal.SIGCONT)
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "reloaded web" in daemon.log())
    assert {state.restarts for state in daemon.states().values()} == {0}


class Manager:
    """Plays the service manager: a datagram socket, in the abstract name space or on disk."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(20)

    def wait_for(self, line: str) -> list[str]:
        """Give what came, up to the datagram with `line`."""
        lines: list[str] = []
        while line not in lines:
            lines += self.socket.recv(4096).decode().splitlines()
        return lines


@pytest.mark.parametrize("kind", ["abstract", "file"])
def test_tells_the_service_manager(daemon: Daemon, kind: str) -> None:
    """READY once all run and not before, WATCHDOG again and again, RELOADING then READY, STOPPING at the end."""
    manager = Manager(f"@{daemon.folder.name}" if kind == "abstract" else str(daemon.folder / "n"))
    with manager.socket:
        daemon.start(NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="400000")
        assert manager.wait_for("READY=1")
        daemon.wait_for(all="running")
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        os.kill(daemon.pid, signal.SIGHUP)
        manager.wait_for("RELOADING=1")
        assert "STATUS=cache, sync, web are running" in manager.wait_for("READY=1")
        os.kill(daemon.states()["web"].pid, signal.SIGKILL)
        until(lambda: any("web is" in line for line in manager.socket.recv(4096).decode().splitlines()))
        os.kill(daemon.pid, signal.SIGTERM)
        manager.wait_for("STOPPING=1")


def test_a_worker_given_up_does_not_end_the_rest(make: Make) -> None:
    """READY and WATCHDOG come although one worker is given up: the rest serves, and a restart would mend nothing."""
    daemon = make(sync=["false"])
    manager = Manager(f"@{daemon.folder.name}")
    with manager.socket:
        daemon.start(NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="400000")
        lines = manager.wait_for("READY=1")
        assert "STATUS=sync is fatal" in lines
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
