"""Attaching: the right command line, by ids, never through a shell; and the real thing in real tmux."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import convert
from msgspec.structs import replace

from teleclaude.core.errors import Conflict
from teleclaude.core.pane_mark import shows_mark
from teleclaude.core.records import Computer, Session, Tmux
from teleclaude.tui.attach import GONE, Plan, failure, outer_pane, plan
from teleclaude.tui.attaching import socket_path
from tests.machine import Machine
from tests.terminal import Terminal
from tests.wait import until

HERE = Computer(name="here", is_local=True, user="me", host="ws.lan")
THERE = Computer(name="raspi", user="pi", host="raspi.lan")
CONDITION = shows_mark("s-1")
OTHERWISE = f"select-pane -t '={GONE}'"


def at(computer: str = "here", **ids: str) -> Session:
    """A session in tmux."""
    found = {"name": "x; touch pwned #(id)", "session": "$1", "window": "@2", "pane": "%3"} | ids
    return Session(session_id="s-1", computer=computer, agent="claude", tmux=convert(found, Tmux))


def checked(verb: str) -> list[str]:
    """The tmux command that shows the pane by `verb`, if it is still what it was."""
    then = f"{verb} -t '$1' ; select-window -t @2 ; select-pane -Z -t %3"
    return ["if-shell", "-F", "-t", "$1:.%3", CONDITION, then, OTHERWISE]


def planned(session: Session, computer: Computer, outer: str = "", socket: str = "") -> Plan:
    """A plan with the daemon's tmux at /tmp/tmux-0/default."""
    return plan(session, replace(computer, tmux_socket=socket), outer, "/tmp/tmux-0/default")


def test_outside_of_tmux_the_terminal_is_given_to_tmux() -> None:
    """The session is attached by its id, an agent's window and pane selected, on the daemon's socket."""
    found = planned(at(), HERE)
    assert found == Plan(["tmux", "-u", *checked("attach-session")], True)
    assert planned(at(), HERE, socket="own").argv[:4] == ["tmux", "-u", "-L", "own"]


def test_inside_of_the_same_server_the_client_switches() -> None:
    """No tmux in tmux: the client that is there shows the other session."""
    found = planned(at(), HERE, outer="/tmp/tmux-0/default")
    assert found == Plan(["tmux", "-u", *checked("switch-client")], False)


def test_of_a_session_without_an_agent_no_pane_is_chosen() -> None:
    """Its row is the session: it is shown as whoever works in it left it."""
    found = planned(replace(at(), agent="shell"), HERE)
    assert found.argv[2:] == ["if-shell", "-F", "-t", "$1", CONDITION, "attach-session -t '$1'", OTHERWISE]


def test_where_the_client_was_started_is_a_guess_of_the_environment() -> None:
    """Socket and pane of the tmux around, both or none: to be checked against the terminal."""
    assert outer_pane({"TMUX": "/tmp/a,b,123,0", "TMUX_PANE": "%7"}) == ("/tmp/a,b", "%7")
    for environ in ({}, {"TMUX": "/tmp/a,1,0"}, {"TMUX_PANE": "%7"}, {"TMUX": "/tmp/a,1,0", "TMUX_PANE": "-x"}):
        assert outer_pane(environ) == ("", "")


def test_inside_of_another_server_a_window_is_opened() -> None:
    """The words go to tmux one by one; a semicolon in them does not end its command."""
    found = planned(at(), HERE, outer="/tmp/tmux-0/mine", socket="theirs")
    head = ["tmux", "-u", "new-window", "-n", "teleclaude", "--", "env", "-u", "TMUX", "-u", "TMUX_PANE"]
    assert found.argv == [*head, "tmux", "-u", "-L", "theirs", *checked("attach-session")]
    assert not any(word.endswith(";") for word in found.argv)
    assert not found.takes_terminal


def test_a_local_session_is_never_opened_by_ssh() -> None:
    """Though its record has user and host."""
    for outer in ("", "/tmp/tmux-0/default", "/tmp/tmux-0/other"):
        assert "ssh" not in planned(at(), HERE, outer=outer).argv


def test_a_remote_session_goes_through_ssh_word_by_word() -> None:
    """The remote shell gets quoted words; host and user come from the computer's record."""
    found = planned(at("raspi"), THERE, socket="theirs")
    assert found.takes_terminal
    assert found.argv[0] == "ssh"
    assert found.argv[-3:-1] == ["--", "pi@raspi.lan"]
    assert shlex.split(found.argv[-1]) == ["tmux", "-u", "-L", "theirs", *checked("attach-session")]
    assert planned(at("raspi"), Computer(name="raspi", host="h")).argv[-2] == "h"
    assert "-L" not in planned(at("raspi"), THERE).argv[-1]  # an older computer does not say


@pytest.mark.parametrize("name", ["x y", "$(touch x)", "a;b", "-f", "../x", "/tmp/x", ".", "a\nb", "a" * 65, "\ufffd"])
def test_only_a_name_is_a_tmux_socket(name: str) -> None:
    """What another computer says its tmux socket is called goes into no command unless it is a plain name."""
    for computer in (HERE, THERE):
        with pytest.raises(Conflict, match="tmux socket"):
            planned(at(), computer, socket=name)


@pytest.mark.parametrize(
    ("status", "errors", "says"),
    [
        (0, "", ""),
        (0, "a warning", ""),
        (255, "ssh: connect to host x port 22: Connection refused\r\n", "Connection refused"),
        (255, "ssh: \x1b]0;x\x07\n\n", "ssh: \ufffd]0;x\ufffd"),
        (127, "", "raspi: no tmux"),
        (1, "", "raspi: its tmux ended with status 1"),
        (-2, "", "interrupted"),
    ],
)
def test_why_it_failed_is_told(status: int, errors: str, says: str) -> None:
    """The last line on standard error, else what the exit status means; nothing a terminal could act on."""
    found = failure(status, errors, THERE)
    assert says in found
    assert bool(found) is bool(says)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("session", "main"),
        ("session", "$1;x"),
        ("session", "-R"),
        ("window", "1"),
        ("pane", "%1 "),
        ("pane", "%\u0661"),
    ],
)
def test_only_ids_are_targets(field: str, value: str) -> None:
    """A name, an option or anything behind an id is refused."""
    with pytest.raises(Conflict):
        planned(at(**{field: value}), HERE)


@pytest.mark.parametrize("value", ["", "a*", 'a"', "a,b", "#{q}", "x" * 65, "ä"])
def test_only_an_id_of_ours_goes_into_the_question(value: str) -> None:
    """What another computer calls a session's id is no pattern and no format."""
    with pytest.raises(Conflict):
        planned(replace(at(), session_id=value), THERE)


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch x", "a b", "a;b", "$(x)", "None@", "a\nb"])
def test_a_host_that_is_none_is_refused_with_advice(host: str) -> None:
    """Never `ssh None@None`, never an option in place of a host."""
    with pytest.raises(Conflict, match=r"under \[computer\]"):
        planned(at("raspi"), Computer(name="raspi", user="pi", host=host))
    with pytest.raises(Conflict, match="user"):
        planned(at("raspi"), Computer(name="raspi", user="-l root", host="raspi"))


def test_the_socket_of_a_name_is_where_tmux_puts_it() -> None:
    """The path that tmux tells of itself is the one that is compared with."""
    machine = Machine("solo")
    try:
        machine.tmux("new-session", "-d")
        assert machine.tmux("display-message", "-p", "#{socket_path}") == socket_path(machine.tmux_socket)
    finally:
        machine.close()


# The real thing


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Start a computer with two sessions, the second with two windows of two panes."""
    found = Machine("solo")
    try:
        found.tmux("new-session", "-d", "-s", "one", "-x", "80", "-y", "24", "sh -c 'echo I-AM-ONE; exec cat'")
        found.tmux("new-session", "-d", "-s", "two", "-x", "80", "-y", "24", "sh -c 'echo I-AM-TWO; exec cat'")
        found.tmux("split-window", "-d", "-t", "two:", "sh -c 'echo OTHER-PANE; exec cat'")
        found.start()
        until(lambda: len(found.sessions()) == 2)
        yield found
    finally:
        found.close()


def client(machine: Machine, rows: int = 24, columns: int = 80) -> Terminal:
    """The client on a terminal, with both sessions on its screen and the first selected."""
    terminal = Terminal([sys.executable, "-m", "teleclaude.tui"], machine.environ, rows, columns)
    terminal.wait_for("two")
    terminal.send("gjj")
    return terminal


def clients(machine: Machine) -> str:
    """Names of the sessions that have clients."""
    return machine.tmux("list-clients", "-F", "#{session_name}")


def test_attach_and_detach_outside_of_tmux(machine: Machine) -> None:
    """Enter gives the terminal to the session; detached, the tree is back, with what changed meanwhile."""
    terminal = client(machine)
    try:
        terminal.wait_for("id ")
        terminal.send("\r")
        terminal.wait_for("I-AM-ONE")
        until(lambda: clients(machine) == "one")
        terminal.send("typed into it\r")
        terminal.wait_for("typed into it")
        machine.tmux("new-session", "-d", "-s", "meanwhile")
        machine.tmux("detach-client", "-s", "one")
        terminal.wait_for("meanwhile")
        terminal.wait_for("q quit")
        assert "I-AM-ONE" not in terminal.text()
        terminal.send("\x1b[B\r")
        terminal.wait_for("I-AM-TWO")
        assert clients(machine) == "two"
        machine.tmux("detach-client", "-s", "two")
        terminal.wait_for("q quit")
        terminal.send("q")
        assert terminal.process.wait(10) == 0
    finally:
        terminal.close()


def test_a_session_that_has_gone_is_told(machine: Machine) -> None:
    """When there is nothing to attach to any more, the client comes back and says why."""
    terminal = client(machine)
    try:
        with machine.hung("sync"):  # the row stays though the session goes
            machine.tmux("kill-session", "-t", "=one")
            terminal.send("\r")
            terminal.wait_for("Not attached to one: there is no such session")
            terminal.wait_for("q quit")
    finally:
        terminal.close()


def test_what_has_a_gone_sessions_place_is_not_attached_to(machine: Machine) -> None:
    """The daemon is gone and tmux was restarted: the ids that a row tells are another session's, and Enter says so."""
    terminal = client(machine)
    try:
        machine.kill()
        terminal.wait_for("reconnect")
        machine.tmux("kill-server")
        until(lambda: began(machine, "new-session", "-d", "-s", "other", "sh -c 'echo ANOTHER; exec cat'"))
        assert machine.tmux("display-message", "-p", "-t", "other", "#{session_id}#{pane_id}") == "$0%0"
        terminal.send("\r")
        terminal.wait_for("Not attached to one: the session has gone; what has its place")
        assert clients(machine) == ""
        attached = Terminal(attach_argv(machine, "$0", "%0"), machine.environ)  # as it goes through ssh
        try:
            assert attached.process.wait(10) == 1
            attached.wait_for(GONE)
        finally:
            attached.close()
    finally:
        terminal.close()


def began(machine: Machine, *command: str) -> bool:
    """Run tmux, and tell whether that went well: not so while the server before is still going."""
    try:
        machine.tmux(*command)
    except subprocess.CalledProcessError:
        return False
    return True


def attach_argv(machine: Machine, session: str, pane: str) -> list[str]:
    """What attaches to the session `s-1` at these ids."""
    computer = replace(HERE, tmux_socket=machine.tmux_socket)
    return plan(at(session=session, window="@0", pane=pane), computer).argv


def test_a_tmux_that_hangs_does_not_get_the_terminal(machine: Machine) -> None:
    """Enter says that tmux does not answer; the tree stays, and any key takes back an Enter that has no answer yet."""
    terminal = client(machine)
    server = int(machine.tmux("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        terminal.send("\r")
        terminal.wait_for("Attaching to one")
        terminal.wait_for("Not attached to one: tmux does not answer")
        terminal.send("\r")
        terminal.wait_for("Attaching to one")
        terminal.send("j")
        terminal.wait_gone("Attaching to one")
        os.kill(server, signal.SIGCONT)
        terminal.send("?")
        terminal.wait_for("Any other key closes this")
        assert clients(machine) == ""
        terminal.send("\x1b")
        terminal.wait_gone("Any other key closes this")
        terminal.send("q")
        assert terminal.process.wait(10) == 0
    finally:
        os.kill(server, signal.SIGCONT)
        terminal.close()


def test_an_inherited_tmux_is_not_where_the_client_is(machine: Machine) -> None:
    """In a terminal opened from a pane, Enter attaches here; the terminal that the pane is in shows what it showed."""
    machine.tmux("new-session", "-d", "-s", "zz-editor", "-x", "100", "-y", "30", "cat")
    argv = ["tmux", "-u", "-L", machine.tmux_socket, "attach-session", "-t", "=zz-editor"]
    other = Terminal(argv, machine.environ, 30, 100)
    until(lambda: clients(machine) == "zz-editor")
    inherited = machine.tmux("display-message", "-p", "-t", "=zz-editor:", "TMUX=#{socket_path},#{pid},0 #{pane_id}")
    tmux, pane = inherited.split(" ")
    program = ["env", tmux, f"TMUX_PANE={pane}", sys.executable, "-m", "teleclaude.tui"]
    terminal = Terminal(program, machine.environ)
    try:
        terminal.wait_for("two")
        terminal.send("gjj")
        terminal.wait_for("tmux one")
        terminal.send("\r")
        terminal.wait_for("I-AM-ONE")
        assert sorted(clients(machine).split()) == ["one", "zz-editor"]
        machine.tmux("detach-client", "-s", "=one")
        terminal.wait_for("q quit")
    finally:
        terminal.close()
        other.close()


def outer(machine: Machine, socket: str) -> Any:
    """Run tmux on a socket of the test's choice; gives a function."""

    def run(*args: str) -> str:
        command = ["tmux", "-u", "-L", socket, "-f", "/dev/null", *args]
        return subprocess.run(command, env=machine.environ, capture_output=True, text=True, check=True).stdout

    return run


def test_inside_of_the_same_server_a_real_client_switches(machine: Machine) -> None:
    """The client in a pane of the daemon's own tmux switches its terminal to the selected session."""
    command = shlex.join([sys.executable, "-m", "teleclaude.tui"])
    machine.tmux("new-session", "-d", "-s", "zz-client", "-x", "100", "-y", "30", command)
    argv = ["tmux", "-u", "-L", machine.tmux_socket, "attach-session", "-t", "=zz-client"]
    terminal = Terminal(argv, machine.environ, 30, 100)
    try:
        terminal.wait_for("two")
        terminal.send("gjj")
        terminal.wait_for("tmux one")
        terminal.send("\r")
        terminal.wait_for("I-AM-ONE")
        until(lambda: clients(machine) == "one")
    finally:
        terminal.close()


def test_inside_of_another_server_a_real_window_opens(machine: Machine) -> None:
    """The client in a foreign tmux opens a window there that shows the session, and goes on."""
    socket = machine.tmux_socket + "-outer"
    run = outer(machine, socket)
    try:
        run("new-session", "-d", "-x", "100", "-y", "30", shlex.join([sys.executable, "-m", "teleclaude.tui"]))
        until(lambda: "two" in run("capture-pane", "-p"))
        run("send-keys", "g", "j", "j")
        until(lambda: "tmux one" in run("capture-pane", "-p"))
        run("send-keys", "Enter")
        until(lambda: clients(machine) == "one")
        until(lambda: "I-AM-ONE" in run("capture-pane", "-p"))
        assert len(run("list-windows").splitlines()) == 2
    finally:
        run("kill-server")
        folder = os.environ.get("TMUX_TMPDIR", "/tmp")
        os.unlink(f"{folder}/tmux-{os.geteuid()}/{socket}")
