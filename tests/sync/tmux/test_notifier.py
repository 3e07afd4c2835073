"""The notifier on a real tmux: what it hears, and that it never harms the server."""

from __future__ import annotations

import contextlib
import os
import select
import struct
import threading
from collections.abc import Iterator

import pytest

from teleclaude.core.errors import Unavailable
from teleclaude.sync.tmux.client import NotTaking, TmuxClient
from teleclaude.sync.tmux.imsg import control_opening, says_end
from teleclaude.sync.tmux.notifier import ClientWatch, Notifier
from tests.sync.conftest import TmuxServer
from tests.sync.tmux.test_imsg import message, parts
from tests.wait import until

CONTROL = 0x2000
LONG_FLAGS, DONE, COMMAND = 111, 106, 200


@pytest.fixture
def notifier(tmux: TmuxServer) -> Iterator[Notifier]:
    """A notifier on a server with one session."""
    tmux.new("a")
    with contextlib.closing(Notifier(direct(tmux))) as made:
        yield made


def direct(tmux: TmuxServer) -> TmuxClient:
    """The server as one whose version is known."""
    made = TmuxClient(tmux.name)
    made.direct = True
    return made


def hears(notifier: Notifier) -> bool:
    """Wait until it is readable; whether it goes on."""
    assert select.select([notifier], [], [], 10)[0]
    return notifier.receive()


def test_control_client_is_made_in_one_go() -> None:
    """The flag that makes a control client is sent together with all that makes the server ready for it.

    Between the two tmux would write to a client that it has not made: the server dies of it.
    """
    first, second = (parts(piece) for piece in control_opening([b"wait-for", b"x"], 42))
    assert LONG_FLAGS not in [kind for kind, _ in first]
    assert [kind for kind, _ in second][-3:] == [LONG_FLAGS, DONE, COMMAND]
    (flags,) = struct.unpack("=Q", second[-3][1])
    assert flags & CONTROL


def test_server_outlives_notifiers_that_come_and_go(tmux: TmuxServer) -> None:
    """However often a daemon begins and ends to listen while sessions come and go, the server and its sessions live."""
    tmux.new("keep")
    before, stop = tmux.pid, threading.Event()
    failures: list[OSError] = []

    def churn() -> None:
        while not stop.is_set() and not failures:
            try:
                tmux("new-session", "-d", "-s", "x", ";", "rename-window", "y", ";", "kill-session", "-t", "=x")
            except OSError as error:
                failures.append(error)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for number in range(200):
            with contextlib.suppress(NotTaking), contextlib.closing(Notifier(direct(tmux))) as made:
                select.select([made], [], [], 0.004 * (number % 4))
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert tmux.pid == before
    assert tmux("list-sessions", "-F", "#{session_name}") == "keep"


def test_hears_of_sessions_and_windows(tmux: TmuxServer, notifier: Notifier) -> None:
    """A session that is made, renamed or closed, another window, and a split, make it readable."""
    for command in (
        ("new-session", "-d", "-s", "b"),
        ("rename-session", "-t", "=b", "c"),
        ("new-window", "-t", "=c:"),
        ("split-window", "-t", "=c:"),
        ("kill-session", "-t", "=c"),
    ):
        while select.select([notifier], [], [], 0.2)[0]:
            assert notifier.receive()
        tmux(*command)
        assert hears(notifier), command


@pytest.mark.parametrize("ending", ["kill-server", "kill-session"])
def test_ends_with_its_server(tmux: TmuxServer, notifier: Notifier, ending: str) -> None:
    """The server ends with its last session, or when it is told to; the notifier hears it and goes."""
    pid = tmux.pid
    tmux(ending)
    until(lambda: not hears(notifier))
    notifier.close()
    until(lambda: not os.path.exists(f"/proc/{pid}"))


def test_killed_server(tmux: TmuxServer, notifier: Notifier) -> None:
    """A server that is killed ends its notifier."""
    os.kill(tmux.pid, 9)
    until(lambda: not hears(notifier))


def test_leaves_no_trace(tmux: TmuxServer, notifier: Notifier) -> None:
    """It is in no list of clients, and its descriptors are closed with it."""
    assert tmux("list-clients") == ""
    before = len(os.listdir("/proc/self/fd"))
    Notifier(direct(tmux)).close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_unknown_version(tmux: TmuxServer) -> None:
    """A server whose protocol is not known is not tried: a forked control client could end it."""
    tmux.new("a")
    with pytest.raises(Unavailable):
        Notifier(TmuxClient(tmux.name))


@pytest.mark.parametrize(
    ("data", "ended"),
    [
        (b"", False),
        (message(207, b""), False),
        (message(207, b"x") + message(203, b""), True),
        (message(210, b""), True),
        (message(12, b""), True),
        (bytes(16), True),
        (message(207, b"")[:9], False),
    ],
)
def test_what_the_server_says(data: bytes, ended: bool) -> None:
    """A farewell among messages is heard; junk is one."""
    assert says_end(data) is ended


def test_clients_are_counted_once_a_second_and_only_while_somebody_is_attached() -> None:
    """Nothing is due without a client; with one, the server is looked at at the pace that README tells."""
    watch = ClientWatch()
    watch.note(os.getpid(), is_attached=False, now=10.0)
    assert watch.next_due() is None
    watch.note(os.getpid(), is_attached=True, now=10.0)
    watch.have_changed(10.0)
    assert watch.next_due() == 11.0
    watch.note(os.getpid(), is_attached=True, now=10.5)
    assert not watch.is_due(10.9)
    assert watch.is_due(11.0)
    pipe = os.pipe()
    changed = watch.have_changed(11.0)
    for fd in pipe:
        os.close(fd)
    assert changed
    watch.note(os.getpid(), is_attached=False, now=12.5)
    assert watch.next_due() is None
