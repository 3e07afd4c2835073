"""Starting, stopping and asking a daemon from outside. The lock decides who is the daemon; nobody is ever replaced."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from teleclaude.core.errors import Unavailable
from teleclaude.core.lifeline import WorkerState
from teleclaude.core.log import words_of
from teleclaude.core.paths import Places
from teleclaude.core.settings import load
from teleclaude.daemon import folders
from teleclaude.daemon.lock import HELD, is_held
from teleclaude.daemon.main_socket import RunningDaemon, holder, running
from teleclaude.daemon.relay import FILE_LIMIT, open_log

START_WITHIN = 40.0  # seconds
STOP_WITHIN = 10.0  # seconds
LISTENS_WITHIN = 3.0  # seconds from taking the lock to listening
_ASK = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def start(place: Places) -> str:
    """Start the daemon in the background unless one runs, and return once it answers: one sentence.

    Raises Unavailable with the reason. A daemon that runs but is slow to answer is waited for, never replaced.
    """
    if _serves(place):
        return f"teleclaude runs already (pid {holder(place) or 'unknown'})"
    from teleclaude.daemon.systemd_unit import start_if_installed  # noqa: PLC0415  (not for a daemon that runs)

    folders.prepare(place)
    by_systemd = False  # one that is installed as a service runs as the service
    deadline = time.monotonic() + START_WITHIN
    ours: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        if ours is None and holder(place) is None and not by_systemd:
            by_systemd = start_if_installed(os.environ)
            ours = None if by_systemd else _spawn(place)
        if _serves(place):
            how = "now" if ours is not None or by_systemd else "already"
            return f"teleclaude runs {how} (pid {holder(place) or 'unknown'})"
        if ours is not None and (code := ours.poll()) is not None:
            if code != HELD:
                raise Unavailable(f"the daemon did not start: {_last_words(place.log_file) or f'status {code}'}")
            ours = None  # another one was quicker; should that one end too, we try again
        _raise_if_hopeless(place)
        time.sleep(0.03)
    raise Unavailable(f"the daemon does not answer after {START_WITHIN:.0f} s: {_reason(place)}")


def stop(place: Places) -> str:
    """End the daemon and wait until it is gone: one sentence. Raises Unavailable when it does not end."""
    with _found(place) as found:
        if found is None or not _signal(found.fd, signal.SIGTERM):
            return "no teleclaude daemon runs"
        if not select.select([found.fd], [], [], STOP_WITHIN)[0]:  # a pidfd is readable once its process ended
            raise Unavailable(
                f"the daemon (pid {found.pid}) did not end within {STOP_WITHIN:.0f} s: kill -9 {found.pid} ends it"
            )
        return f"teleclaude (pid {found.pid}) is stopped"


def restart(place: Places) -> Iterator[str]:
    """End the daemon and start it again: a sentence each.

    Raises SettingsError before anything is ended when it could not start with the settings of now; else as `stop`
    and `start` do.
    """
    load(place.settings_file)
    yield stop(place)
    yield start(place)


def reload(place: Places) -> str:
    """Have the daemon read its settings again, and wait until it has: one sentence.

    Raises SettingsError for wrong settings, which the daemon then never sees; Unavailable when none runs, when it does
    not say how it went, or when something of the settings could not be done.
    """
    load(place.settings_file)
    with _found(place) as found:
        if found is None or not _signal(found.fd, signal.SIGHUP):
            raise Unavailable("no teleclaude daemon runs")
        who = f"teleclaude (pid {found.pid})"
        try:
            ok, text = found.outcome(START_WITHIN)
        except OSError as error:
            raise Unavailable(f"{who} did not say whether it took the settings: {error}") from error
        if not ok:
            raise Unavailable(f"{who}: {text}")
        return f"{who} {text}"


@contextlib.contextmanager
def _found(place: Places) -> Iterator[RunningDaemon | None]:
    """Get hold of the daemon, or of None when none runs. One that just starts is waited for."""
    deadline = time.monotonic() + LISTENS_WITHIN
    while True:
        with running(place) as found:
            if found is not None or not is_held(place.lock_file):
                yield found
                return
        if time.monotonic() > deadline:
            raise Unavailable(
                f"{place.lock_file} is held by a daemon that does not listen at {place.main_socket}: "
                "it is of another version, or its socket was removed; end it by hand"
            )
        time.sleep(0.03)


def answers(place: Places, timeout: float = 5.0) -> bool:
    """Whether the daemon answers GET /health, well or degraded. `timeout`: seconds."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(os.fspath(place.api_socket))
        connection.sendall(_ASK)
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    return False


def worker_states(place: Places) -> dict[str, WorkerState]:
    """What the supervisor last wrote of its workers and itself; empty when none runs."""
    try:
        return msgspec.json.decode(place.workers_file.read_bytes(), type=dict[str, WorkerState])
    except (OSError, msgspec.MsgspecError):
        return {}


def _spawn(place: Places) -> subprocess.Popen[bytes]:
    """Start a daemon in a session of its own, so that neither Ctrl-C nor the terminal's end reaches it."""
    log = _open_log(place.log_file)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "teleclaude.daemon", "background"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(log)


def _open_log(path: Path) -> int:
    """Open the log for a daemon that is about to start; nowhere, where it cannot be had: it works without."""
    try:
        if path.exists() and path.stat().st_size > FILE_LIMIT:
            os.replace(path, path.with_name(path.name + ".1"))
        return open_log(path)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def _signal(fd: int, number: int) -> bool:
    """Send a signal; False when the process is gone."""
    try:
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    return True


def _serves(place: Places) -> bool:
    """Whether the daemon answers, and is not about to end."""
    own = worker_states(place).get("supervisor")
    return (own is None or own.state != "stopping") and answers(place)


def _raise_if_hopeless(place: Places) -> None:
    web = worker_states(place).get("web")
    if web is not None and web.state == "fatal" and holder(place):
        raise Unavailable(f"the daemon runs, but its web process does not: {web.reason}")


def _reason(place: Places) -> str:
    odd = [
        f"{name} is {state.state}{f' ({state.reason})' if state.reason else ''}"
        for name, state in worker_states(place).items()
        if state.state != "running"
    ]
    return ", ".join(odd) or _last_words(place.log_file) or f"see {place.log_file}"


def _last_words(log: Path) -> str:
    """Last line of the log, without its time and names."""
    try:
        lines = log.read_bytes()[-4000:].decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((words_of(line) for line in reversed(lines) if line.strip()), "")
