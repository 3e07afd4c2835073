"""Enter on a session of another computer: a real ssh into a real sshd, to that computer's own tmux, and back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from tests.fleet import join_all
from tests.machine import Machine
from tests.redis_process import RedisProcess
from tests.sshd import Sshd, why_not
from tests.terminal import Terminal
from tests.wait import until

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "runs")

HOST = "raspi.test"


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    """An sshd that the laptop's `ssh` reaches as the raspi's host name."""
    found = Sshd(HOST)
    yield found
    found.close()


@pytest.fixture
def machines(sshd: Sshd) -> Iterator[tuple[Machine, Machine]]:
    """The laptop, and the raspi with a session and a name for ssh, in one fleet."""
    redis = RedisProcess()
    found: list[Machine] = []
    try:
        laptop = Machine("laptop", environ={"PATH": f"{sshd.bin}:{os.environ['PATH']}"})
        found.append(laptop)
        raspi = Machine("raspi")
        found.append(raspi)
        settings = raspi.place.settings_file
        settings.write_text(settings.read_text().replace("[computer]", f'[computer]\nhost = "{HOST}"'))
        raspi.tmux("new-session", "-d", "-s", "faraway", "-x", "80", "-y", "24", "sh -c 'echo I-AM-FAR; exec cat'")
        join_all(found, redis.url)
        for machine in found:
            machine.start()
        yield laptop, raspi
    finally:
        for machine in found:
            machine.close()
        redis.close()


@pytest.fixture
def client(machines: tuple[Machine, Machine]) -> Iterator[Terminal]:
    """The laptop's client, the raspi expanded and its session selected."""
    terminal = Terminal([sys.executable, "-m", "teleclaude.tui"], machines[0].environ)
    try:
        terminal.wait_for("raspi", 30)
        terminal.send("Gl")
        terminal.wait_for("faraway", 30)
        terminal.send("G")
        until(lambda: "faraway" in terminal.selected())
        yield terminal
    finally:
        terminal.close()


def attach(client: Terminal, sshd: Sshd, text: str = "I-AM-FAR") -> None:
    """Press Enter, and wait until the session is on the terminal."""
    shown = len(client.raw)
    client.send("\r")
    try:
        client.wait_for(text, 20)
    except AssertionError as error:
        log = sshd.folder.joinpath("log").read_text(errors="replace")
        raise AssertionError(f"{error}\nall that was shown: {bytes(client.raw[shown:])!r}\nsshd: {log}") from None


def test_enter_attaches_to_a_session_of_another_computer(
    machines: tuple[Machine, Machine], client: Terminal, sshd: Sshd
) -> None:
    """Its tmux, on the socket of its own, is on the terminal; it gets what is typed; C-b d leads back to the tree."""
    laptop, raspi = machines
    attach(client, sshd)
    assert raspi.tmux("list-clients", "-F", "#{session_name}") == "faraway"
    client.send("typed from afar\r")
    until(lambda: "typed from afar" in raspi.tmux("capture-pane", "-p", "-t", "=faraway:"))
    raspi.tmux("new-session", "-d", "-s", "meanwhile")
    client.send("\x02d")
    client.wait_for("q quit")
    client.wait_for("meanwhile", 20)
    assert "I-AM-FAR" not in client.text()
    until(lambda: not raspi.tmux("list-clients"))
    attach(client, sshd, "typed from afar")
    client.send("\x02d")
    client.wait_for("q quit")
    client.send("q")
    assert client.process.wait(10) == 0
    assert laptop.sessions("raspi")


def test_a_host_that_cannot_be_reached_is_told(machines: tuple[Machine, Machine], client: Terminal, sshd: Sshd) -> None:
    """ssh's own reason is on the screen, the tree is back and lives; once ssh works, attaching does."""
    sshd.stop()
    client.send("\r")
    client.wait_for("Connection refused", 20)
    client.wait_for("q quit")
    machines[1].tmux("rename-session", "-t", "=faraway", "renamed")
    client.wait_for("renamed", 20)
    sshd.start()
    attach(client, sshd)
    client.send("\x02d")
    client.wait_for("q quit")


def test_a_host_that_hangs_is_given_up_with_a_key(client: Terminal, sshd: Sshd) -> None:
    """The terminal says what it waits for; ^C ends that and nothing else."""
    sshd.hang()
    client.send("\r")
    client.wait_for("Connecting to raspi")
    client.send("\x03")
    client.wait_for("interrupted")
    client.wait_for("faraway")
    client.send("q")
    assert client.process.wait(10) == 0


def test_a_session_that_has_gone_there_is_told(machines: tuple[Machine, Machine], client: Terminal) -> None:
    """What tmux says on the other computer is gone with its terminal; the client still says what was wrong."""
    raspi = machines[1]
    with raspi.hung("sync"):  # the row stays though the session goes
        raspi.tmux("new-session", "-d", "-s", "other")
        raspi.tmux("kill-session", "-t", "=faraway")
        client.send("\r")
        client.wait_for("raspi: its tmux ended with status 1", 20)
        client.wait_for("q quit")
