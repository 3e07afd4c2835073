"""`teleclaude next`: which session comes next, and a real tmux client that shows it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from teleclaude.cli.waiting_ring import has_more, next_in, ring
from teleclaude.core.records import Computer, Session, Tmux
from teleclaude.core.tmux_clients import AttachedClient, clients_of, most_recent
from tests.machine import Machine
from tests.terminal import Terminal
from tests.wait import until

HERE = Computer(name="here", is_local=True)
RASPI = Computer(name="raspi", counts={"waiting": 2})
GONE = Computer(name="gone", status="offline", counts={"waiting": 5})


def waits(key: str, since: str, computer: str = "here") -> Session:
    """A session that waits, in a pane of its own."""
    place = Tmux(name="main", session="$1", window="@1", pane=f"%{key}")
    return Session(session_id=key, computer=computer, status="waiting", status_since=since, tmux=place)


def test_the_longest_waiting_is_first_and_others_come_after_this_computer() -> None:
    """Only those that wait, on computers that are there."""
    one, two, far = waits("1", "T2"), waits("2", "T1"), waits("3", "T0", "raspi")
    others = [replace(one, session_id="4", status="idle"), waits("5", "T0", "gone"), waits("6", "T0", "unknown")]
    assert ring([one, far, two, *others], [HERE, RASPI, GONE]) == [two, one, far]


def test_the_ring_goes_on_from_what_is_looked_at() -> None:
    """The next, then around; the one that is looked at is not next to itself."""
    one, two, far = waits("1", "T1"), waits("2", "T2"), waits("1", "T0", "raspi")
    assert next_in([one, two, far], ("", "", ""), "") == (one, False)
    assert next_in([one, two, far], ("here", "$1", "%1"), "") == (two, False)
    assert next_in([one, two, far], ("here", "$1", "%2"), "") == (far, False)
    assert next_in([one, two, far], ("here", "$7", "%70"), "raspi/1") == (one, True)
    assert next_in([one], ("here", "$1", "%1"), "") == (None, True)
    assert next_in([far], ("here", "$1", "%1"), "") == (far, False)
    assert next_in([], ("here", "$1", "%1"), "") == (None, True)


def test_computers_with_more_than_is_known_are_asked() -> None:
    """By the counts in their heartbeats; not this one, nor one that is offline."""
    assert has_more([], [HERE, RASPI, GONE]) == ["raspi"]
    assert has_more([waits("1", "T1", "raspi"), waits("2", "T1", "raspi")], [HERE, RASPI]) == []


def test_clients_are_read_and_programs_are_none() -> None:
    """A control client, a line cut short and a terminal that calls itself by our mark are left out."""
    line = "/dev/pts/1<|>/dev/pts/1<|>17<|>0<|>$1<|>%2<|><|>xterm<|>foot(1.16)"
    program = line.replace("<|>0<|>", "<|>1<|>").replace("17", "99")
    found = clients_of("\n".join([line, program, line[:30], f"{line}<|>", ""]))
    assert found == [AttachedClient("/dev/pts/1", "/dev/pts/1", 17, "$1", "%2", "", "xterm", "foot(1.16)")]
    assert most_recent(found) == found[0]
    assert most_recent([]) is None


# The real thing


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A computer with two sessions."""
    found = Machine("here")
    try:
        for name in ("one", "two"):
            found.tmux("new-session", "-d", "-s", name, "-x", "80", "-y", "24", f"sh -c 'echo I-AM-{name}; exec cat'")
        found.start()
        until(lambda: len(found.sessions()) == 2)
        yield found
    finally:
        found.close()


@pytest.fixture
def terminal(machine: Machine) -> Iterator[Terminal]:
    """A tmux client that shows the first."""
    found = Terminal(["tmux", "-u", "-L", machine.tmux_socket, "attach-session", "-t", "=one"], machine.environ)
    found.wait_for("I-AM-one")
    yield found
    found.close()


def id_of(machine: Machine, name: str) -> str:
    """The id of a session."""
    return next(session.session_id for session in machine.sessions() if session.tmux.name == name)


def go(machine: Machine, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `teleclaude next`, at no terminal."""
    command = [sys.executable, "-P", "-m", "teleclaude.cli.main", "next", *words]
    found = machine.environ | environ
    return subprocess.run(
        command, env=found, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def key(machine: Machine, terminal: Terminal, *words: str) -> None:
    """Bind a key as README says, and press it."""
    python = f"{sys.executable} -P -m teleclaude.cli.main next {' '.join(words)}"
    machine.tmux("bind-key", "-n", "F9", "run-shell", "-b", f"{python} --client '#{{client_name}}'")
    terminal.send("\x1b[20~")


def test_a_key_of_tmux_has_the_client_that_pressed_it_switch(machine: Machine, terminal: Terminal) -> None:
    """That client, and no other, shows the session."""
    other = Terminal(["tmux", "-u", "-L", machine.tmux_socket, "attach-session", "-t", "=one"], machine.environ)
    try:
        other.wait_for("I-AM-one")
        key(machine, terminal, "--session", id_of(machine, "two"))
        terminal.wait_for("I-AM-two", 20)
        assert "I-AM-one" in other.text()
    finally:
        other.close()


def test_where_nothing_waits_the_status_line_says_so(machine: Machine, terminal: Terminal) -> None:
    """The pane stays as it is."""
    machine.tmux("set-option", "-g", "display-time", "0")
    key(machine, terminal)
    terminal.wait_for("no other session waits", 20)
    assert "I-AM-one" in terminal.text()


def test_what_goes_wrong_is_told_in_the_status_line(machine: Machine, terminal: Terminal) -> None:
    """With the words of the error, and no format of tmux in them expanded."""
    machine.tmux("set-option", "-g", "display-time", "0")
    key(machine, terminal, "--session", "feed")
    terminal.wait_for("feed", 20)
    done = go(machine, "--client", "/dev/#{pid}")
    assert done.returncode == 1
    assert done.stderr == "Error: tmux has no client /dev/#{pid}\n"


def test_another_tmux_gets_a_window_and_no_second_one(machine: Machine) -> None:
    """Whose client is of another server sees the session in a window; asked again, that one is selected."""
    socket = f"{machine.tmux_socket}-mine"
    outer = ["tmux", "-u", "-L", socket, "-f", "/dev/null"]
    inside = Terminal([*outer, "new-session", "-s", "mine", "sh -c 'echo I-AM-MINE; exec cat'"], machine.environ)

    def ask(*words: str) -> str:
        return subprocess.run([*outer, *words], env=machine.environ, capture_output=True, text=True, check=True).stdout

    try:
        inside.wait_for("I-AM-MINE")
        around = ask("display-message", "-p", "TMUX=#{socket_path},#{pid},0").strip().partition("=")[2]
        for _ in range(2):
            ask("select-window", "-t", "mine:0")
            inside.wait_for("I-AM-MINE")
            done = go(machine, "--session", id_of(machine, "two"), TMUX=around)
            assert (done.returncode, done.stderr) == (0, "")
            inside.wait_for("I-AM-two", 20)
        assert ask("list-windows", "-t", "mine", "-F", "#{window_name}").split() == ["sh", "teleclaude"]
    finally:
        subprocess.run([*outer, "kill-server"], env=machine.environ, capture_output=True, check=False)
        inside.close()
