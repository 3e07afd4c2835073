"""The sync process with a real cache process and a real tmux, from outside."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from teleclaude.cache.cache_client import CacheClient
from teleclaude.cache.snapshot import SnapshotReader
from teleclaude.core.lifeline import VARIABLE
from teleclaude.core.paths import Places
from teleclaude.core.records import Computer, Project, Session
from teleclaude.core.request_wire import OutputFrame, WatchFrame
from teleclaude.core.requests import Outcome, Request, new_id
from teleclaude.core.verbs import Args, End, Message, Refresh, Start
from teleclaude.sync.fleet.keyring import KeyRing, save_ring
from tests.dead_mount import DeadMount
from tests.request_link import Asked
from tests.sync.conftest import TmuxServer
from tests.sync.projects.test_roots import make_repository
from tests.wait import until
from tests.web.raw_http import Answer, ask


class Workers:
    """A cache and a sync process in folders of their own."""

    def __init__(self, folder: Path, tmux: TmuxServer) -> None:
        self.tmux = tmux
        self.place = Places(config=folder, state=folder, runtime=folder, tmux_socket=tmux.name)
        self.place.key_file.write_bytes(secrets.token_bytes(32))
        self.write_settings("")
        self.client = CacheClient(self.place)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.said = b""
        self._asked: Asked | None = None

    def write_settings(self, more: str) -> None:
        """Write the settings file."""
        self.place.settings_file.write_text(f'[computer]\nname = "here"\n{more}')

    def start(self, worker: str) -> subprocess.Popen[bytes]:
        """Start a worker with a lifeline."""
        ours, theirs = socket.socketpair()
        folder = str(self.place.runtime)
        environ = {
            **self.tmux.environ,
            "TELECLAUDE_CONFIG_DIR": folder,
            "TELECLAUDE_STATE_DIR": folder,
            "TELECLAUDE_RUNTIME_DIR": folder,
            "TELECLAUDE_TMUX_SOCKET": self.tmux.name,
            VARIABLE: str(theirs.fileno()),
        }
        with theirs, self.place.runtime.joinpath("log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"teleclaude.{worker}"], env=environ, pass_fds=[theirs.fileno()], stderr=log
            )
        self.running[worker] = process
        threading.Thread(target=self._hear, args=(worker, ours), daemon=True).start()
        return process

    def _hear(self, worker: str, line: socket.socket) -> None:
        with line:
            while data := line.recv(4096):
                if worker == "sync":
                    self.said += data

    def start_both(self) -> Workers:
        """Start both, and wait for data."""
        self.start("cache")
        self.start("sync")
        until(self.computer, 20)
        return self

    def kill(self, worker: str) -> None:
        """SIGKILL a worker."""
        process = self.running.pop(worker)
        process.kill()
        process.wait()

    def close(self) -> None:
        """End both."""
        for process in self.running.values():
            process.kill()
            process.wait()
        if self._asked:
            self._asked.close()

    def array(self, kind: str) -> bytes:
        """JSON of a kind in the snapshot, opened anew."""
        with contextlib.closing(SnapshotReader(self.place.snapshot_file)) as reader:
            found = reader.read()
            return found.array(kind) if found else b"[]"

    def sessions(self) -> list[Session]:
        """Sessions in the snapshot."""
        return msgspec.json.decode(self.array("sessions"), type=list[Session])

    def projects(self) -> list[str]:
        """Paths of the projects in the snapshot."""
        return [project.path for project in msgspec.json.decode(self.array("projects"), type=list[Project])]

    def computer(self) -> Computer | None:
        """This computer in the snapshot."""
        return next(iter(msgspec.json.decode(self.array("computers"), type=list[Computer])), None)

    def listen(self) -> Asked:
        """Be the web process for requests."""
        if self._asked is None:
            self._asked = Asked(self.place.requests_socket)
        return self._asked

    def run(self, args: Args, computer: str = "here") -> Outcome:
        """Run a command."""
        request = Request(id=new_id(), computer=computer, args=args, deadline=time.monotonic() + 10)
        return self.listen().run(request)


@pytest.fixture
def workers(folder: Path, tmux: TmuxServer) -> Iterator[Workers]:
    """A cache and a sync process, not started."""
    found = Workers(folder, tmux)
    yield found
    found.close()


def test_from_tmux_to_the_snapshot(workers: Workers) -> None:
    """A session in tmux is a row in the snapshot, and the computer's record tells of it; its end likewise."""
    workers.start_both()
    workers.tmux.new("a", cwd="/usr")
    session = until(lambda: next(iter(workers.sessions()), None))
    assert session
    assert (session.tmux.name, session.cwd, session.computer) == ("a", "/usr", "here")
    until(lambda: (found := workers.computer()) and found.counts)
    me = workers.computer()
    assert me
    assert (me.name, me.is_local, me.status, sum(me.counts.values())) == ("here", True, "online", 1)
    assert [(service.name, service.state) for service in me.services] == [("tmux", "ok")]
    workers.tmux("kill-session", "-t", "=a")
    until(lambda: not workers.sessions())


def test_commands_of_the_web_process(workers: Workers) -> None:
    """A command's outcome comes back, and what it did is in the snapshot when it comes."""
    asked = workers.start_both().listen()
    outcome = workers.run(Start(project="/tmp", agent="shell", title="new"))
    session = msgspec.convert(outcome.data["session"], Session)
    assert session in workers.sessions()
    asked.send(WatchFrame([("here", session.session_id)]))
    workers.tmux("send-keys", "-t", session.tmux.pane, "echo liv''e", "Enter")
    until(lambda: any(isinstance(f, OutputFrame) and "live" in f.screen.text for f in list(asked.frames)))
    assert workers.run(Refresh()).status == "ok"
    assert workers.run(End(session_id=session.session_id)).status == "ok"
    assert workers.sessions() == []
    elsewhere = workers.run(Refresh(), "elsewhere")
    assert (elsewhere.code, elsewhere.field) == ("not_found", "computer")


def test_without_a_cache_it_works_on(workers: Workers) -> None:
    """With no cache at the start it is ready and beats; the cache that comes is told everything."""
    workers.tmux.new("a")
    workers.start("sync")
    until(lambda: workers.said.startswith(b"ready\n"))
    until(lambda: workers.said.count(b"beat ") >= 3)
    workers.start("cache")
    until(workers.sessions, 20)


def test_cache_killed_and_back(workers: Workers) -> None:
    """A new cache is told everything, what happened meanwhile included, and commands work again."""
    workers.tmux.new("a")
    workers.start_both()
    until(workers.sessions)
    for name in ("b", "c"):
        workers.kill("cache")
        workers.tmux.new(name)
        workers.start("cache")
        until(lambda name=name: name in {s.tmux.name for s in workers.sessions()}, 20)  # type: ignore[misc]
    assert workers.run(Refresh()).status == "ok"
    assert len(workers.sessions()) == 3


def test_stopped_cache_does_not_stop_it(workers: Workers) -> None:
    """While the cache is stopped the loop beats on; all is told when it goes on."""
    workers.start_both()
    cache = workers.running["cache"]
    cache.send_signal(signal.SIGSTOP)
    workers.tmux.new("a")
    beats = workers.said.count(b"beat ")
    until(lambda: workers.said.count(b"beat ") >= beats + 3)
    cache.send_signal(signal.SIGCONT)
    until(workers.sessions)


def test_killed_and_back(workers: Workers) -> None:
    """Killed, it harms no session and leaves no process; the view is never blank, and ids stay when it is back."""
    workers.tmux.new("a")
    workers.tmux.new("b")
    workers.start_both()
    until(lambda: len(workers.sessions()) == 2)
    before = workers.sessions()
    until(lambda: all(workers.tmux("list-panes", "-a", "-F", "#{@teleclaude}").splitlines()))
    pid = workers.running["sync"].pid
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    workers.kill("sync")
    until(lambda: not any(_is_alive(child) for child in children))
    workers.tmux("kill-session", "-t", "=b")
    workers.start("sync")
    counts: list[int] = []

    def count() -> bool:
        counts.append(len(workers.sessions()))
        return counts[-1] == 1

    until(count, 20)
    assert set(counts) == {1, 2}
    assert before
    assert [s.session_id for s in workers.sessions()] == [s.session_id for s in before if s.tmux.name == "a"]


def test_no_command_is_lost_when_it_is_killed(workers: Workers) -> None:
    """A command that comes while it is dead, or starts, is run by the next one, once, and finds the session."""
    workers.tmux.new("a", "cat")
    workers.start_both()
    workers.start("web")
    session = until(lambda: next(iter(workers.sessions()), None))
    assert session
    path, headers = f"/sessions/{session.session_id}/message", {"Content-Type": "application/json"}
    until(lambda: ask(workers.place.api_socket, "GET", "/sessions").status == 200, 20)
    for number in range(3):
        workers.kill("sync")
        if number == 1:
            workers.start("sync")
        answers: list[Answer] = []
        body = msgspec.json.encode({"text": f"text {number}"})

        def send(body: bytes = body, answers: list[Answer] = answers) -> None:
            answers.append(ask(workers.place.api_socket, "POST", path, body, headers))

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        if number != 1:
            workers.start("sync")
        sender.join(20)
        assert [answer.status for answer in answers] == [200], answers
        until(lambda number=number: f"text {number}" in workers.tmux("capture-pane", "-p", "-t", session.tmux.pane))  # type: ignore[misc]
    screen = workers.tmux("capture-pane", "-p", "-t", session.tmux.pane)
    assert screen.split("\n")[:6] == [f"text {number}" for number in (0, 0, 1, 1, 2, 2)]  # typed, and told by cat


def test_no_session_is_denied_before_the_first_look(workers: Workers) -> None:
    """While tmux does not answer a sync process that starts, commands are refused, not told that nothing is there."""
    workers.tmux.new("a", "cat")
    workers.start_both()
    session = until(lambda: next(iter(workers.sessions()), None))
    assert session
    workers.kill("sync")
    pid = workers.tmux.stop()
    workers.start("sync")
    message = Message(session_id=session.session_id, text="x")
    outcome = workers.run(message)
    assert (outcome.status, outcome.code) == ("error", "unavailable"), outcome
    workers.tmux.go_on(pid)
    until(lambda: workers.run(message).status == "ok")


def test_a_look_at_this_computer_needs_no_redis(workers: Workers) -> None:
    """With a fleet whose Redis is away, a refresh of this computer is done all the same."""
    save_ring(workers.place, KeyRing(bytes(32)))
    workers.write_settings(f'[redis]\nurl = "unix://{workers.place.runtime}/nowhere"\n')
    workers.start_both()

    def services() -> list[tuple[str, str]]:
        me = workers.computer()
        return [(service.name, service.state) for service in me.services] if me else []

    until(lambda: ("redis", "down") in services())
    assert workers.run(Refresh()).status == "ok"
    outcome = workers.run(Message(session_id="x", text="x"), "elsewhere")
    assert outcome.status == "error"


def _is_alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_hung_tmux_is_told(workers: Workers) -> None:
    """While tmux hangs the rows stay, the reason is in the computer's record, and the loop beats."""
    workers.tmux.new("a")
    workers.start_both()
    until(workers.sessions)
    pid = workers.tmux.stop()

    def service() -> tuple[str, str]:
        me = workers.computer()
        assert me
        return me.services[0].state, me.services[0].reason

    until(lambda: service()[0] == "hung", 15)
    assert "not answered" in service()[1]
    assert len(workers.sessions()) == 1
    beats = workers.said.count(b"beat ")
    until(lambda: workers.said.count(b"beat ") >= beats + 3)
    workers.tmux.go_on(pid)
    until(lambda: service()[0] == "ok")


def test_a_dead_mount_stops_no_beat(workers: Workers) -> None:
    """Where a project and a session's folder do not answer, the loop beats on, tmux is followed, and it is said."""
    code = workers.place.runtime / "code"
    for name in ("app", "far"):
        make_repository(code / name)
    workers.write_settings(f'[projects]\nroots = ["{code}"]\n')
    workers.tmux.new("a", cwd=str(code / "far"))
    workers.start_both()
    until(lambda: workers.projects() == [str(code / "app"), str(code / "far")])
    try:
        mount = DeadMount(code / "far")
    except OSError as error:
        pytest.skip(f"needs root, and FUSE in the kernel: {error}")

    def hung() -> str:
        me = workers.computer()
        return next((service.reason for service in me.services if service.name == "projects"), "") if me else ""

    with contextlib.closing(mount):
        beats = workers.said.count(b"beat ")
        outcomes: list[Outcome] = []
        refresh = threading.Thread(target=lambda: outcomes.append(workers.run(Refresh())), daemon=True)
        refresh.start()
        until(hung, 20)
        assert hung() == f"{code}/far does not answer"
        workers.tmux.new("b", cwd=str(code / "app"))
        until(lambda: {s.tmux.name: s.project for s in workers.sessions()} == {"a": f"{code}/far", "b": f"{code}/app"})
        until(lambda: workers.said.count(b"beat ") >= beats + 6)
        assert workers.projects() == [str(code / "app"), str(code / "far")]
        assert workers.running["sync"].poll() is None
        refresh.join(15)
        assert outcomes
        started = workers.run(Start(project=str(code / "far"), agent="shell"))
        assert (started.status, started.code) == ("error", "unavailable"), started
        assert workers.run(Start(project=str(code / "app"), agent="shell")).status == "ok"
    until(lambda: not hung(), 20)
    assert workers.run(Start(project=str(code / "far"), agent="shell")).status == "ok"


def test_sigterm(workers: Workers) -> None:
    """SIGTERM ends it in order, whatever the cache does, and nothing of it is left; tmux goes on."""
    workers.tmux.new("a")
    workers.start_both()
    until(workers.sessions)
    workers.running["cache"].send_signal(signal.SIGSTOP)
    sync = workers.running["sync"]
    pids = [int(pid) for pid in Path(f"/proc/{sync.pid}/task/{sync.pid}/children").read_text().split()]
    sync.send_signal(signal.SIGINT)  # the terminal's, and not for a worker
    sync.send_signal(signal.SIGTERM)
    assert sync.wait(5) == 0
    until(lambda: not any(_is_alive(pid) for pid in pids))
    assert workers.tmux("list-sessions", "-F", "#{session_name}") == "a"


def test_sighup(workers: Workers) -> None:
    """SIGHUP takes the settings anew, in place; wrong ones change nothing."""
    workers.start_both()
    folder = workers.place.runtime / "mine"
    folder.mkdir()
    sync = workers.running["sync"]
    workers.write_settings("[projects]\nrooots = []\n")
    sync.send_signal(signal.SIGHUP)
    until(lambda: "stay as they were" in workers.place.runtime.joinpath("log").read_text())
    workers.write_settings(f'role = "x"\n[projects]\nlist = [{{path = "{folder}"}}]\n')
    sync.send_signal(signal.SIGHUP)
    until(lambda: workers.projects() == [str(folder)])
    until(lambda: (me := workers.computer()) and me.role == "x")
    assert sync.poll() is None


def test_supervisor_gone(workers: Workers) -> None:
    """When its supervisor is gone it ends by itself."""
    script = (
        "import os, socket, subprocess, sys\n"
        "ours, theirs = socket.socketpair()\n"
        f"os.environ[{VARIABLE!r}] = str(theirs.fileno())\n"
        "process = subprocess.Popen([sys.executable, '-m', 'teleclaude.sync'], pass_fds=[theirs.fileno()])\n"
        "theirs.close()\n"
        "ours.recv(100)\n"
        "print(process.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    folder = str(workers.place.runtime)
    names = ("TELECLAUDE_CONFIG_DIR", "TELECLAUDE_STATE_DIR", "TELECLAUDE_RUNTIME_DIR")
    environ = {**workers.tmux.environ, **dict.fromkeys(names, folder), "TELECLAUDE_TMUX_SOCKET": workers.tmux.name}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, check=True, timeout=30)
    until(lambda: not _is_alive(int(done.stdout)))


def test_local_use_has_nothing_of_redis(workers: Workers) -> None:
    """Without a fleet in the settings neither Redis' nor NaCl's code is in the process, and no connection is open."""
    workers.start_both()
    workers.tmux.new("a")
    until(workers.sessions)
    pid = workers.running["sync"].pid
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "hiredis" not in maps
    assert "sodium" not in maps
    assert "nacl" not in maps
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    inodes = {link[8:-1] for link in links if link.startswith("socket:")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        rows = [line.split() for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]
        assert not {row[9] for row in rows} & inodes
