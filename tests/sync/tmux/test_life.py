"""tmux absent, killed, restarted, hung; ids that survive; no trace left."""

from __future__ import annotations

import errno
import json
import os
import pwd
import signal
import subprocess
from collections.abc import Callable

import pytest

from teleclaude.core.settings import parse
from teleclaude.sync.own_records import OwnChange
from teleclaude.sync.tmux import file_events
from tests.sync.conftest import Local, TmuxServer
from tests.wait import until

Start = Callable[..., Local]


def test_server_appears(tmux: TmuxServer, local: Start) -> None:
    """Without a server the computer says so at once; a server that is started later is seen by itself."""
    here = local()
    assert here.state() == "off"
    assert here.sessions() == []
    tmux.new("a")
    here.wait(lambda s: s.tmux.name == "a", 3)  # the folder is watched; the safety look comes every 5 s
    until(lambda: here.state() == "ok")


def test_not_installed(tmux: TmuxServer, local: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tmux on this computer the service is absent, with a sentence, and the half works on."""
    monkeypatch.setenv("PATH", "/nonexistent")
    here = local()
    assert here.state() == "absent"
    assert here.own.me is not None
    assert "not installed" in here.own.me.services[0].reason
    beats = here.beats
    until(lambda: here.beats > beats)


def test_server_killed(tmux: TmuxServer, local: Start) -> None:
    """When the server dies its sessions are gone at once, and the half waits for the next one."""
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.tmux.name == "a")
    os.kill(tmux.pid, signal.SIGKILL)
    until(lambda: not here.sessions(), 3)
    until(lambda: here.state() == "off")


def test_server_restarted(tmux: TmuxServer, local: Start) -> None:
    """Panes of a new server are other sessions, though tmux numbers them from the start again."""
    here = local()
    tmux.new("a")
    before = here.wait(lambda s: s.tmux.name == "a")
    os.kill(tmux.pid, signal.SIGKILL)
    until(lambda: tmux.new("a"))
    after = here.wait(lambda s: s.session_id != before.session_id)
    assert after.tmux == before.tmux
    assert len(here.sessions()) == 1


def test_hung_server(tmux: TmuxServer, local: Start) -> None:
    """A stopped server is told as hung; its rows stay, the loop beats on, and all is seen when it goes on."""
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.tmux.name == "a")
    pid = tmux.stop()
    assert not here.half.look_now(0.1)
    until(lambda: here.state() == "hung")
    assert here.own.me is not None
    assert "not answered" in here.own.me.services[0].reason
    assert here.named("a") is not None
    beats = here.beats
    until(lambda: here.beats > beats + 1)
    tmux.go_on(pid)
    until(lambda: here.state() == "ok", 3)  # by the question that was left standing, not by a later one
    tmux("rename-session", "-t", "=a", "b")
    here.wait(lambda s: s.tmux.name == "b", 3)


def test_socket_that_is_removed(tmux: TmuxServer, local: Start) -> None:
    """A server whose socket is removed keeps its sessions in view, says so, and has its socket again soon."""
    here = local()
    tmux.new("a")
    session = here.wait(lambda s: s.tmux.name == "a")
    until(lambda: not here.half.identities.unwritten())
    changes: list[OwnChange] = []
    here.own.listen(lambda _kind, change: changes.append(change))
    tmux.path.unlink()
    until(tmux.path.exists, 4)
    until(lambda: here.state() == "ok", 4)
    tmux("rename-session", "-t", "=a", "b")
    assert here.wait(lambda s: s.tmux.name == "b", 4).session_id == session.session_id
    assert not [change for change in changes if change.removes]


def test_socket_that_is_removed_while_the_server_hangs(tmux: TmuxServer, local: Start) -> None:
    """As long as it does not come back the rows stay, the state tells why, and no second server may be started."""
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.tmux.name == "a")
    pid = tmux.stop()
    tmux.path.unlink()
    until(lambda: here.half.has_lost_tmux and here.state() == "down")
    assert here.own.me is not None
    assert "was removed" in here.own.me.services[0].reason
    assert here.named("a") is not None
    tmux.go_on(pid)
    until(lambda: here.state() == "ok" and not here.half.has_lost_tmux)


def test_no_inotify(tmux: TmuxServer, local: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system grants no inotify instance tmux is looked at by the clock, and its state tells why."""

    def refuse(**_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(file_events, "INotify", refuse)
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.tmux.name == "a")
    until(lambda: here.own.me and "max_user_instances" in here.own.me.services[0].reason)
    assert here.state() == "ok"
    tmux("send-keys", "-t", "=a:", "sleep 100", "Enter")
    here.wait(lambda s: s.command == "sleep")
    monkeypatch.undo()
    monkeypatch.setattr(file_events, "TRY_AGAIN", 0.0)
    here.half._watch.listening._ttys._events._try_at = here.half._watch._socket._events._try_at = 0.0
    here.half.look_now(5)
    until(lambda: here.own.me and not here.own.me.services[0].reason)


def test_hung_server_that_is_killed(tmux: TmuxServer, local: Start) -> None:
    """A stopped server that is killed is gone, and so are its sessions."""
    here = local()
    tmux.new("a")
    here.wait(lambda s: s.tmux.name == "a")
    pid = tmux.stop()
    here.half.look_now(0.1)
    os.kill(pid, signal.SIGKILL)
    tmux.stopped.clear()
    until(lambda: not here.sessions() and here.state() == "off")


def test_no_sessions_but_a_server(tmux: TmuxServer, local: Start) -> None:
    """A server that lives on without sessions has none, and is well."""
    here = local()
    tmux.new("a")
    tmux("set-option", "-s", "exit-empty", "off")
    here.wait(lambda s: s.tmux.name == "a")
    tmux("kill-session", "-t", "=a")
    until(lambda: not here.sessions(), 3)
    here.half.look_now(5)
    assert here.state() == "ok"


def test_ids_survive_the_daemon(tmux: TmuxServer, local: Start) -> None:
    """Another local half finds the same ids; a session that copied another's gets an id of its own."""
    here = local()
    tmux.new("a")
    tmux.new("b")
    until(lambda: len(here.sessions()) == 2 and not here.half.identities.unwritten())
    before = {s.tmux.name: s.session_id for s in here.sessions()}
    here.close()
    copied = tmux("show-options", "-v", "-t", "=a:", "@teleclaude_session")
    tmux.new("copy")
    tmux("set-option", "-t", "=copy:", "@teleclaude_session", copied)
    there = local()
    until(lambda: len(there.sessions()) == 3)
    after = {s.tmux.name: s.session_id for s in there.sessions()}
    assert {name: after[name] for name in before} == before
    assert len(set(after.values())) == 3
    until(lambda: not there.half.identities.unwritten())
    kept = json.loads(tmux("show-options", "-v", "-t", "=copy:", "@teleclaude_session"))
    assert kept["id"] == after["copy"]


def test_option_that_holds_no_identity(tmux: TmuxServer, local: Start) -> None:
    """Whatever stands in the option, the session gets an id, and it is written."""
    here = local()
    for number, text in enumerate(["", "{", "[]", '{"id": 5}', '{"id": "#(touch x)"}', "x" * 5000, "a\nb\tc"]):
        tmux.new(f"s{number}")
        tmux("set-option", "-t", f"=s{number}:", "@teleclaude_session", text)
    until(lambda: len(here.sessions()) == 7)
    here.half.look_now(5)
    until(lambda: not here.half.identities.unwritten())
    assert len({s.session_id for s in here.sessions()}) == 7


def test_no_trace(tmux: TmuxServer, local: Start) -> None:
    """Watching adds no session, client, hook, key or pipe, keeps no server alive, and ends with the half."""
    tmux.new("a")
    looks = (
        ("list-sessions", "-F", "#{session_name}"),
        ("list-clients",),
        ("show-hooks", "-g"),
        ("list-keys",),
        ("list-buffers",),
        ("list-panes", "-a", "-F", "#{pane_pipe} #{pane_id}"),
    )
    before = [tmux(*look) for look in looks]
    here = local()
    here.wait(lambda s: s.tmux.name == "a")
    until(lambda: here.half._watch._notifier)
    assert [tmux(*look) for look in looks] == before
    pid = tmux.pid
    tmux("kill-session", "-t", "=a")
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    until(lambda: here.half._watch._notifier is None)


def test_nothing_is_left_open(tmux: TmuxServer, local: Start) -> None:
    """Files and processes are back where they were once the half has ended."""

    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    def processes() -> str:
        return subprocess.run(
            ["pgrep", "-f", f"-- *-L {tmux.name} -C"], capture_output=True, text=True, check=False
        ).stdout

    tmux.new("a")
    Local(tmux).close()
    before = files()
    here = Local(tmux)
    here.wait(lambda s: s.tmux.name == "a")
    until(lambda: here.half._watch._notifier)
    for number in range(20):
        tmux.new(f"s{number}")
    until(lambda: len(here.sessions()) == 21)
    here.close()
    assert files() == before
    assert processes() == ""


def test_forked_looks(tmux: TmuxServer, local: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tmux whose protocol is not known every look is a forked tmux, and all is seen the same."""
    monkeypatch.setattr("teleclaude.sync.tmux.watch.DIRECT_VERSIONS", frozenset())
    here = local()
    tmux.new("a", cwd="/usr")
    assert here.wait(lambda s: s.tmux.name == "a").cwd == "/usr"
    assert not here.half.tmux.direct
    tmux("set-option", "-s", "exit-empty", "off")
    tmux("kill-session", "-t", "=a")
    until(lambda: not here.sessions())
    tmux("kill-server")
    until(lambda: here.state() == "off")


def test_which_tmux_is_told(tmux: TmuxServer, local: Start) -> None:
    """The computer's record names the socket that is watched, after a reload the new one; the user is the process' own.

    The environment's user may be another's (su, sudo), and ssh would lead to that one's tmux.
    """
    here = local()
    assert here.own.me is not None
    assert here.own.me.tmux_socket == here.own.described.tmux_socket == tmux.name
    assert here.own.me.user == pwd.getpwuid(os.geteuid()).pw_name
    here.half.reload(parse(""), tmux.name + "-other")
    until(lambda: here.own.me and here.own.me.tmux_socket == tmux.name + "-other")
