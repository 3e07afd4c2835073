"""The cache process: its doors, from outside."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from teleclaude.cache import wire
from teleclaude.cache.cache_client import CacheClient, open_feed
from teleclaude.cache.snapshot import SnapshotReader
from teleclaude.core.errors import Unavailable
from teleclaude.core.framing import FrameReader
from teleclaude.core.paths import Places
from teleclaude.core.records import Session
from tests import make
from tests.wait import until


class Daemon:
    """A real cache process in folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.place = Places(config=folder, state=folder, runtime=folder)
        self.log = folder / "log"
        self.place.key_file.write_bytes(secrets.token_bytes(32))
        self.client = CacheClient(self.place)
        self.feeds: list[Feed] = []
        self.process = self._spawn()

    def feed(self) -> Feed:
        """Subscribe; closed with the fixture."""
        self.feeds.append(Feed(self.place))
        return self.feeds[-1]

    def _spawn(self) -> subprocess.Popen[bytes]:
        folder = str(self.place.runtime)
        env = {**os.environ, **{f"TELECLAUDE_{name}_DIR": folder for name in ("CONFIG", "STATE", "RUNTIME")}}
        with self.log.open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "teleclaude.cache"], env=env, stderr=log)

    def wait(self) -> None:
        """Wait until it answers."""
        until(self._answers, 20)

    def _answers(self) -> bool:
        try:
            self.client.stats()
        except Unavailable:
            return False
        return True

    def kill(self) -> None:
        """End it the hard way."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start it again in the same folders."""
        self.process = self._spawn()
        self.wait()


class Feed:
    """A subscriber that collects frames."""

    def __init__(self, place: Places) -> None:
        self.socket = open_feed(place)
        self.frames: list[wire.Frame] = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        reader = FrameReader()
        try:
            while data := self.socket.recv(65536):
                self.frames += [wire.decode_frame(payload) for payload in reader.receive_data(data)]
        except OSError:
            pass
        self.ended.set()

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self.socket.close()

    def versions(self) -> list[int]:
        """All versions seen, in the order in which they came."""
        seen: list[int] = []
        for frame in self.frames:
            if isinstance(frame, wire.SnapshotFrame):
                seen.append(frame.version.number)
            if isinstance(frame, wire.ChangesFrame):
                seen += [change.number for change in frame.changes]
        return seen


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Start a cache process, and end it."""
    folder = Path(tempfile.mkdtemp(prefix="tc", dir="/tmp"))
    found = Daemon(folder)
    try:
        found.wait()
        yield found
    finally:
        found.kill()
        for feed in found.feeds:
            feed.close()
        shutil.rmtree(folder)


def test_a_flushed_write_is_in_the_snapshot_at_once(daemon: Daemon) -> None:
    """Who waited for a write reads it next."""
    reader = SnapshotReader(daemon.place.snapshot_file)
    daemon.client.write([wire.Filled()])
    for number in range(50):
        _, version = daemon.client.write(wire.put([make.session(f"s{number}")]), flush=True)
        found = reader.read()
        assert found is not None
        assert found.version >= version
        assert found.count("sessions") == number + 1


def test_nothing_is_shown_before_the_first_look_is_done(daemon: Daemon) -> None:
    """A cache that is being filled shows neither an empty nor a half snapshot."""
    feed = daemon.feed()
    reader = SnapshotReader(daemon.place.snapshot_file)
    daemon.client.write(wire.put([make.session("a")]), flush=True)
    assert reader.read() is None
    daemon.client.write([*wire.put([make.session("b")]), wire.Filled()], flush=True)
    until(feed.versions)
    assert feed.versions() == [2]
    found = reader.read()
    assert found is not None
    assert found.count("sessions") == 2


def test_the_feed_has_no_holes(daemon: Daemon) -> None:
    """A subscriber gets a snapshot, then every later change in order."""
    daemon.client.write([wire.Filled()])
    feed = daemon.feed()
    for number in range(300):
        daemon.client.write(wire.put([make.session(f"s{number % 7}", title=str(number))]))
    until(lambda: feed.versions()[-1:] == [300])
    versions = feed.versions()
    assert versions == list(range(versions[0], 301))


def test_a_subscriber_that_does_not_read_delays_nobody_and_then_gets_a_snapshot(daemon: Daemon) -> None:
    """A stopped reader costs bounded memory; others go on; it catches up by a snapshot."""
    daemon.client.write([wire.Filled()])
    slow, quick = open_feed(daemon.place), daemon.feed()
    text = "x" * 400
    for number in range(60):
        records: list[Session] = [make.session(f"s{i}", title=f"{text}{number}") for i in range(200)]
        daemon.client.write([wire.ReplaceSessions("here", records)])
    until(lambda: quick.versions()[-1:] == [12000])
    reader, frames = FrameReader(), list[wire.Frame]()

    def caught_up() -> bool:
        frames.extend(wire.decode_frame(payload) for payload in reader.receive_data(slow.recv(1 << 20)))
        last = frames[-1] if frames else None
        return (isinstance(last, wire.SnapshotFrame) and last.version.number == 12000) or (
            isinstance(last, wire.ChangesFrame) and last.changes[-1].number == 12000
        )

    until(caught_up)
    assert sum(isinstance(frame, wire.SnapshotFrame) for frame in frames) >= 2
    slow.close()


def test_who_holds_on_notices_the_end_at_once(daemon: Daemon) -> None:
    """The epoch is told after the time asked for; a cache that is killed meanwhile is noticed there and then."""
    epoch, _ = daemon.client.write([wire.Filled()])
    assert daemon.client.hold(0) == epoch
    ended = threading.Event()

    def hold() -> None:
        with contextlib.suppress(Unavailable):
            daemon.client.hold(3600)
        ended.set()

    threading.Thread(target=hold, daemon=True).start()
    assert not ended.is_set()
    daemon.kill()
    assert ended.wait(10)


def test_a_killed_cache_comes_back_with_another_epoch_and_no_empty_snapshot(daemon: Daemon) -> None:
    """Readers keep the last snapshot until the new cache has been filled; clients of the door connect anew."""
    reader = SnapshotReader(daemon.place.snapshot_file)
    feed = daemon.feed()
    old, _ = daemon.client.write([*wire.put([make.session("a")]), wire.Filled()], flush=True)
    daemon.kill()
    assert feed.ended.wait(10)
    with pytest.raises(Unavailable):
        daemon.client.stats()
    daemon.restart()
    found = reader.read()
    assert found is not None
    assert (found.epoch, found.count("sessions")) == (old, 1)
    new, _ = daemon.client.write([*wire.put([make.session("b")]), wire.Filled()], flush=True)
    found = reader.read()
    assert found is not None
    assert (found.epoch, new != old) == (new, True)


def test_sockets_are_private_and_gone_from_no_ones_sight(daemon: Daemon) -> None:
    """Sockets and files are 0600."""
    daemon.client.write([wire.Filled()], flush=True)
    for path in (daemon.place.cache_socket, daemon.place.feed_socket, daemon.place.snapshot_file):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["TELECLAUDE_TEST_BOMB"],)


def test_pickle_from_somebody_without_the_key_is_never_opened(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The door unpickles nothing before the key was shown, and goes on serving."""
    target = daemon.place.runtime / "bomb"
    monkeypatch.setenv("TELECLAUDE_TEST_BOMB", str(target))
    data = pickle.dumps(_Bomb())
    for payload in (data, len(data).to_bytes(4, "big") + data, b"\x00" * 64, os.urandom(500)):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(daemon.place.cache_socket))
            raw.sendall(payload)
            raw.shutdown(socket.SHUT_WR)
            raw.recv(1000)
    with pytest.raises(Exception, match=r"digest|rejected"):
        Client(str(daemon.place.cache_socket), authkey=b"wrong")
    assert daemon.client.stats()
    assert not target.exists()


def test_sigterm_ends_it_in_order(daemon: Daemon) -> None:
    """SIGTERM ends the process with status 0."""
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0


_STRANGER = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.settimeout(10)
sys.stdout.write(repr(connection.recv(1000)))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_closed_at_once(daemon: Daemon) -> None:
    """Even where the folder's mode would let them, another uid gets not a byte from either socket."""
    daemon.place.runtime.chmod(0o755)
    for path in (daemon.place.cache_socket, daemon.place.feed_socket):
        path.chmod(0o777)
        done = subprocess.run([sys.executable, "-c", _STRANGER, str(path)], capture_output=True, text=True, check=False)
        assert done.stdout == "b''" or "ConnectionResetError" in done.stderr, (path, done)
    assert daemon.client.stats()


def test_a_cache_without_descriptors_takes_callers_again_when_there_are_some(daemon: Daemon) -> None:
    """Both doors wait for better times; they neither end in silence nor run hot."""
    before = _cpu(daemon)
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    in_use = {int(path.name) for path in Path(f"/proc/{daemon.process.pid}/fd").iterdir()}
    lowest_free = min(set(range(len(in_use) + 1)) - in_use)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (lowest_free, hard))
    waiting = [open_feed(daemon.place), socket.socket(socket.AF_UNIX)]
    waiting[1].connect(str(daemon.place.cache_socket))
    log = daemon.log.read_text
    until(lambda: "a subscriber cannot be taken" in log() and "a connection to the cache cannot be taken" in log())
    assert _cpu(daemon) - before < 0.5
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: waiting[0].recv(64))
    until(daemon.client.stats)
    for connection in waiting:
        connection.close()


def _cpu(daemon: Daemon) -> float:
    """Seconds of processor time that the process took so far."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
