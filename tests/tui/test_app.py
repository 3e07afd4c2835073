"""The whole client on a terminal, with a real daemon."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teleclaude.tui.keys import PASTE_DELAY
from tests.client.served import Daemon, tell
from tests.machine import Machine
from tests.make import session
from tests.terminal import Terminal
from tests.wait import until

CLIENT = [sys.executable, "-m", "teleclaude.tui"]


@contextlib.contextmanager
def solo() -> Iterator[Machine]:
    """A computer with one project; its daemon is not started."""
    found = Machine("solo")
    (found.code / "alpha").mkdir()
    subprocess.run(["git", "init", "-q", str(found.code / "alpha")], check=True)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Make a computer of its own for a test that starts or stops its daemon, however that was started."""
    with solo() as found:
        try:
            yield found
        finally:
            subprocess.run(
                [sys.executable, "-m", "teleclaude.daemon", "stop"], env=found.environ, capture_output=True, check=False
            )


@pytest.fixture(scope="module")
def one_for_all() -> Iterator[Machine]:
    """A computer whose daemon runs."""
    with solo() as found:
        yield found.start()


@pytest.fixture
def running(one_for_all: Machine) -> Machine:
    """The same, with no session, and nothing kept of clients that were there before."""
    one_for_all.clear()
    return one_for_all


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Iterator[Callable[..., Terminal]]:
    """Give what opens a client of the test's computer; all are closed in the end."""
    machine: Machine = request.getfixturevalue("running" if "running" in request.fixturenames else "machine")
    shown: list[Terminal] = []

    def start(rows: int = 24, columns: int = 80, **environ: str) -> Terminal:
        shown.append(Terminal(CLIENT, {**machine.environ, **environ}, rows, columns))
        return shown[-1]

    yield start
    for terminal in shown:
        terminal.close()


def log(machine: Machine) -> str:
    """The client's log."""
    path = machine.place.state / "tui.log"
    return path.read_text() if path.exists() else ""


def test_it_starts_the_daemon_when_none_runs_and_shows_the_tree(
    machine: Machine, show: Callable[..., Terminal]
) -> None:
    """The screen is there at once and says what happens; then the tree comes by itself, and the daemon stays."""
    machine.tmux("new-session", "-d", "-s", "apple", "-c", str(machine.code / "alpha"))
    terminal = show()
    terminal.wait_for("starting the daemon")
    terminal.wait_for("apple", 30)
    terminal.wait_gone("starting the daemon")
    terminal.send("q")
    assert terminal.process.wait(10) == 0
    assert machine.get_status("/sessions") == 200
    assert "Traceback" not in log(machine)


def test_a_daemon_that_cannot_start_is_told(machine: Machine, show: Callable[..., Terminal]) -> None:
    """Settings that are wrong: the reason is on the screen, and the client is there."""
    machine.place.settings_file.write_text('[computer]\nnmae = "x"\n')
    terminal = show(30, 140)
    terminal.wait_for("did not start", 30)
    terminal.wait_for("nmae")
    terminal.send("q")
    assert terminal.process.wait(10) == 0


def agent_line(terminal: Terminal) -> str:
    """The agent that is chosen in the dialog: other things on the screen may change meanwhile."""
    return next((line for line in terminal.text().splitlines() if "Agent  " in line), "").partition("Agent")[2][:24]


def test_a_whole_session_from_the_keyboard(running: Machine, show: Callable[..., Terminal]) -> None:
    """Start a shell, send it a message in several lines and scripts, see it run, end it: all by keys."""
    terminal = show(35, 120)
    terminal.wait_for("1 project without")
    terminal.send("jl")
    terminal.wait_for("alpha")
    terminal.send("jn")
    terminal.wait_for("New session on solo")
    for _ in range(8):
        if "◂ shell" in terminal.text():
            break
        before = agent_line(terminal)
        terminal.send("\x1b[C")
        until(lambda before=before: agent_line(terminal) != before)  # type: ignore[misc]  # a default binds the loop's value
    terminal.send("\tmein Täst 漢\x13")
    terminal.wait_gone("New session on solo", 20)
    terminal.wait_for("mein Täst")
    terminal.wait_for("id ")
    (found,) = running.sessions()
    assert found.session_id in terminal.text()
    assert found.title == "mein Täst 漢"
    terminal.send("m")
    terminal.wait_for("Message to")
    terminal.send("\x1b[200~echo ei$((40+2))ns\necho zw$((40+3))ei\x1b[201~")
    terminal.wait_for("zw$((40+3))ei")
    terminal.send("\t\r")
    terminal.wait_gone("Message to", 20)
    until(lambda: "zw43ei" in running.get(f"/sessions/{found.session_id}/output")["text"])
    assert "ei42ns" in running.get(f"/sessions/{found.session_id}/output")["text"]
    terminal.send("xy")
    until(lambda: not running.sessions())
    terminal.wait_for("No sessions.")
    assert log(running) == ""


def test_resizing_draws_the_whole_screen_anew(running: Machine, show: Callable[..., Terminal]) -> None:
    """Smaller, tiny and larger again: lines are whole, and nothing of the old size is left."""
    running.tmux("new-session", "-d", "-s", "apple", "-c", str(running.code / "alpha"))
    terminal = show(35, 120)
    terminal.wait_for("apple")
    terminal.send("gjj")
    terminal.wait_for("tmux apple")
    for rows, columns in ((24, 80), (5, 20), (10, 40), (50, 200)):
        terminal.resize(rows, columns)
        if rows == 5:
            terminal.wait_for("too small")
            frames = terminal.raw.count(b"too small")
            terminal.send("xym\x13n\x0c")  # nobody can see what these keys would act on; ^L tells that they were read
            until(lambda frames=frames: terminal.raw.count(b"too small") > frames)  # type: ignore[misc]  # as above
        until(lambda columns=columns: "─" * columns in terminal.text() or "too small" in terminal.text())  # type: ignore[misc]  # as above
    until(lambda: "tmux apple" in terminal.text() and "─" * 200 in terminal.text())
    assert [session.tmux.name for session in running.sessions()] == ["apple"]
    assert not any(word in terminal.text() for word in ("Ending", "Message to", "New session"))


@pytest.mark.parametrize("end", ["q", "\x03", signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_terminal_is_left_as_it_was(
    running: Machine, show: Callable[..., Terminal], end: str | signal.Signals
) -> None:
    """However it ends: modes, cursor and screen are put back, and nobody waits for the daemon."""
    terminal = show()
    before = termios.tcgetattr(terminal._master)
    terminal.wait_for("solo")
    until(lambda: termios.tcgetattr(terminal._master)[3] != before[3] or True)
    if isinstance(end, str):
        terminal.send(end)
    else:
        os.kill(terminal.process.pid, end)
    assert terminal.process.wait(10) == 0
    until(lambda: b"\x1b[?1049l" in terminal.raw)
    assert termios.tcgetattr(terminal._master)[3] & termios.ICANON
    assert termios.tcgetattr(terminal._master)[3] & termios.ECHO
    tail = bytes(terminal.raw[terminal.raw.rfind(b"\x1b[?2026l") :])
    for sequence in (b"\x1b[?25h", b"\x1b[?2004l", b"\x1b[?7h"):
        assert sequence in tail


@pytest.mark.parametrize("how", ["key", "SIGTSTP", "SIGSTOP", "started behind"])
@pytest.mark.parametrize("is_sent_behind", [False, True])
def test_it_can_be_stopped_and_brought_back_by_the_shell(running: Machine, how: str, is_sent_behind: bool) -> None:
    """However it is stopped, and though it is continued in the background first: the shell has its terminal as it was.

    fg brings the whole screen back, keys and all; what the shell's own line editor set is not taken for the terminal's.
    """
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], {**running.environ, "PS1": "shell> "})
    try:
        terminal.wait_for("shell>")
        before, after = (running.code / f"modes-{when}" for when in ("before", "after"))
        terminal.send(f"stty -g >{before}\r")
        until(lambda: before.exists() and before.read_text() and not jobs_of(terminal))
        is_behind = how == "started behind"
        terminal.send(shlex.join(CLIENT) + (" &\r" if is_behind else "\r"))
        if is_behind:
            until(lambda: jobs_of(terminal))
        else:
            terminal.wait_for("No sessions.")
        for _ in range(2):
            if how == "key":
                terminal.send("\x1a")
            elif not is_behind:
                os.kill(client_pid(terminal), signal.Signals[how])
            until(lambda: state_of(client_pid(terminal)) == "T")
            terminal.send("\r")
            terminal.wait_for("Stopped")
            terminal.send("clear; echo at-the-$((40+2))-shell\r")
            until(lambda: terminal.text().count("at-the-42-shell") == 1)
            if is_sent_behind:
                terminal.send("bg; echo behind\r")
                until(lambda: terminal.text().count("behind") == 2)
                until(lambda: state_of(client_pid(terminal)) == "T")
                assert "No sessions." not in terminal.text()
                continued_at_the_prompt(client_pid(terminal))
            is_behind, how = False, "key" if is_behind else how
            terminal.send("clear; fg\r")
            terminal.wait_for("No sessions.")
            terminal.send("?")
            terminal.wait_for("Any other key closes this")
            terminal.send("\x1b")
            terminal.wait_gone("Any other key closes this")
        terminal.send("q")
        terminal.wait_for("shell>")
        terminal.send("echo seen-as-typed\r")
        until(lambda: terminal.text().count("seen-as-typed") == 2)
        terminal.send(f"stty -g >{after}\r")
        terminal.send("exit\r")
        assert terminal.process.wait(10) == 0
        assert after.read_text() == before.read_text()  # what runs next has the terminal as the shell gives it
    finally:
        terminal.close()


def continued_at_the_prompt(pid: int) -> None:
    """Continue a client from outside, while the shell's line editor has the terminal; it stops again."""
    before = switches_of(pid)
    os.kill(pid, signal.SIGCONT)
    until(lambda: switches_of(pid) > before and state_of(pid) == "T")


def switches_of(pid: int) -> int:
    """How often a process has slept of its own accord."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def state_of(pid: int) -> str:
    """State of a process: R, S, T (stopped)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def client_pid(terminal: Terminal) -> int:
    """Process id of the client that runs in the shell on a terminal."""
    return until(lambda: jobs_of(terminal))[0]  # the kernel may leave one out for once


def jobs_of(terminal: Terminal) -> list[int]:
    """Process ids of what runs in the shell on a terminal."""
    children = Path(f"/proc/{terminal.process.pid}/task/{terminal.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def test_no_bytes_end_it_or_take_its_keyboard(running: Machine, show: Callable[..., Terminal]) -> None:
    """Impossible code points, mouse bytes, lost ends: the client goes on, and the next key works."""
    terminal = show()
    terminal.wait_for("No sessions.")
    for junk in (b"\x1b[1114112u", b"\x1b[M q?", b"\x1b[Mq", b"\x1b]0;title", b"\x1b[200~lost"):
        terminal.send(junk)
        for key, words in (("2", "No todos."), ("1", "No sessions.")):
            type_until(terminal, key, words)
    terminal.send("q")
    assert terminal.process.wait(10) == 0
    assert log(running) == ""


def type_until(terminal: Terminal, key: str, words: str) -> None:
    """Type a key that may be typed again, until the words that it brings are there; with rests, as a user would."""
    for _ in range(10):
        terminal.send(key)
        with contextlib.suppress(AssertionError):
            terminal.wait_for(words, PASTE_DELAY * 1.5)
            return
    terminal.wait_for(words)


def test_a_terminal_that_goes_away_ends_it(running: Machine) -> None:
    """A closed window ends the client, with nobody left spinning."""
    terminal = Terminal(CLIENT, running.environ)
    terminal.wait_for("solo")
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.process.wait(10) is not None
    terminal.close()


def test_a_daemon_that_hangs_blocks_neither_start_nor_keys_nor_exit(
    machine: Machine, show: Callable[..., Terminal]
) -> None:
    """With the web process stopped the client starts, moves, shows dialogs and quits."""
    machine.start()
    machine.tmux("new-session", "-d", "-s", "apple", "-c", str(machine.code / "alpha"))
    first = show()
    first.wait_for("apple")
    assert machine.daemon is not None
    machine.daemon.send_signal(signal.SIGSTOP)  # or it would mend it
    web = machine_web_pid(machine)
    os.kill(web, signal.SIGSTOP)
    try:
        first.send("r")
        first.send("?")
        first.wait_for("Any other key closes this")
        first.send("\x1b")
        first.wait_gone("Any other key closes this")
        second = show()
        second.wait_for("teleclaude")
        second.send("?")
        second.wait_for("Any other key closes this")
        second.send("\x03")
        second.send("q")
        assert second.process.wait(10) == 0
        first.send("q")
        assert first.process.wait(10) == 0
    finally:
        os.kill(web, signal.SIGCONT)
        machine.daemon.send_signal(signal.SIGCONT)


def machine_web_pid(machine: Machine) -> int:
    """Process id of the web worker."""
    return machine.worker_pid("web")


def test_what_is_kept_comes_back_and_a_damaged_file_is_told(running: Machine, show: Callable[..., Terminal]) -> None:
    """View and closed nodes survive a restart; a damaged file is set aside, and said so."""
    running.tmux("new-session", "-d", "-s", "apple", "-c", str(running.code / "alpha"))
    terminal = show()
    terminal.wait_for("apple")
    terminal.send("gjh")
    terminal.wait_gone("apple")
    terminal.send("q")
    assert terminal.process.wait(10) == 0
    again = show()
    again.wait_for("▸ alpha")
    assert "apple" not in again.text()
    again.send("q")
    assert again.process.wait(10) == 0
    (running.place.state / "tui.json").write_bytes(b"{ha")
    third = show(24, 140)
    third.wait_for("set aside")
    third.wait_for("apple")


def test_a_flood_of_changes_is_drawn_as_few_frames(machine: Machine, show: Callable[..., Terminal]) -> None:
    """Changes that arrive together cost one drawing; the last state is what is shown, keys are answered meanwhile."""
    machine.place.runtime.mkdir(mode=0o700)
    daemon = Daemon(machine.place.api_socket)
    try:
        terminal = show()
        daemon.asked()
        here = {"computer": "here", "sessions": [session("a", title="start")]}
        tell(daemon.connection, "sessions_initial", 1, here)
        terminal.wait_for("start")
        for version in range(2, 5000):
            tell(daemon.connection, "session_updated", version, session("a", title=f"title{version}"))
        terminal.send("?")
        terminal.wait_for("Any other key closes this")
        terminal.send("\x1b")
        terminal.wait_for("title4999")
        frames = terminal.raw.count(b"\x1b[?2026h")
        assert frames < 2500
    finally:
        daemon.close()


def test_records_that_cannot_be_read_go_to_the_log_and_not_across_the_screen(
    machine: Machine, show: Callable[..., Terminal]
) -> None:
    """A malformed record is told in words; its details are in the log, safe to show."""
    machine.place.runtime.mkdir(mode=0o700)
    daemon = Daemon(machine.place.api_socket)
    try:
        terminal = show()
        daemon.asked()
        tell(daemon.connection, "sessions_initial", 1, {"computer": "here", "sessions": [session("a", title="good")]})
        terminal.wait_for("good")
        tell(daemon.connection, "session_updated", 2, {"session_id": "\x1b[2J"})
        terminal.wait_for("cannot be read: see tui.log")
        assert "good" in terminal.text()
        until(lambda: "malformed" in log(machine))
        assert "\x1b" not in log(machine)
    finally:
        daemon.close()


def test_it_sleeps_when_nothing_happens(running: Machine, show: Callable[..., Terminal]) -> None:
    """With nothing to show anew, the client uses no processor and writes nothing."""
    terminal = show()
    terminal.wait_for("No sessions.")
    terminal.send("?\x1b")

    def switches() -> int:
        status = Path(f"/proc/{terminal.process.pid}/status").read_text()
        return int(re.findall(r"voluntary_ctxt_switches:\s+(\d+)", status)[0])

    quiet: list[int] = []

    def is_quiet() -> bool:
        quiet.append(switches())
        return len(quiet) > 20 and quiet[-1] == quiet[-20]

    until(is_quiet, 30, every=0.05)


def test_without_a_terminal_it_says_so() -> None:
    """A pipe is no terminal: one sentence and status 1; --help and --version need none; unknown words are refused."""
    done = subprocess.run(CLIENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs a terminal" in done.stderr
    for argument, status in (("--help", 0), ("--version", 0), ("--nonsense", 2)):
        answer = subprocess.run([*CLIENT, argument], capture_output=True, text=True, check=False)
        assert answer.returncode == status
        assert "teleclaude" in answer.stdout + answer.stderr


def test_the_start_imports_nothing_that_is_not_needed_for_it() -> None:
    """Until the first screen: no websockets, no logging, no HTTP library, no blessed, and nothing of the daemon."""
    code = "import sys, teleclaude.core.lean as m; m.import_msgspec(); import teleclaude.tui.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    unwanted = {
        "websockets",
        "logging",
        "http.client",
        "blessed",
        "wcwidth",
        "subprocess",
        "typing_extensions",
        "inspect",
    }
    assert not unwanted & set(loaded)
    assert not [name for name in loaded if name.startswith(("gevent", "flask", "redis", "teleclaude.cache"))]
