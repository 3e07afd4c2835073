"""Two computers as they are run: what one has is on the other's screen, and the trouble of one is not the other's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fleet import cli, join_all
from tests.machine import Machine, request
from tests.redis_process import RedisProcess
from tests.terminal import Terminal
from tests.wait import until

ROADMAP = "- [ ] first-thing: Do it first\n"


class Two:
    """A laptop and a raspi of one fleet; the raspi has a project with a todo, and a session in it."""

    def __init__(self) -> None:
        self.redis = RedisProcess()
        self.laptop, self.raspi = Machine("laptop"), Machine("raspi")
        self.machines = (self.laptop, self.raspi)
        alpha = self.raspi.code / "alpha"
        subprocess.run(["git", "init", "-q", str(alpha)], check=True)
        self.roadmap = alpha / "todos" / "roadmap.md"
        self.roadmap.parent.mkdir()
        self.roadmap.write_text(ROADMAP)
        self.raspi.tmux("new-session", "-d", "-s", "faraway", "-c", str(alpha))
        join_all(self.machines, self.redis.url)

    def start(self) -> Two:
        """Start both daemons, and wait until the laptop sees the raspi."""
        for machine in self.machines:
            machine.start()
        until(lambda: self.raspi_status() == "online", 30)
        return self

    def raspi_status(self) -> str:
        """What the laptop says of the raspi."""
        return str({c["name"]: c["status"] for c in self.laptop.get("/computers")}.get("raspi"))

    def asked_of_raspi(self) -> int:
        """How many messages were ever put before the raspi."""
        return int(self.redis.run("XINFO", "STREAM", "teleclaude:messages:{raspi}")["entries-added"])

    def close(self) -> None:
        """End all of it."""
        self.redis.go_on()
        for machine in self.machines:
            machine.close()
        self.redis.close()


@contextmanager
def made() -> Iterator[Two]:
    """Make them."""
    found = Two()
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def two() -> Iterator[Two]:
    """Two of its own for a test that starts, stops or changes them."""
    with made() as found:
        yield found


@pytest.fixture(scope="module")
def two_for_all() -> Iterator[Two]:
    """Two that run."""
    with made() as found:
        yield found.start()


@pytest.fixture
def started(two_for_all: Two) -> Two:
    """The same, for tests that leave them as they were; nothing is kept of clients that were there before."""
    for machine in two_for_all.machines:
        machine.place.state.joinpath("tui.json").unlink(missing_ok=True)
    return two_for_all


def metrics(machine: Machine) -> str:
    """What /metrics tells."""
    status, body = request(machine.place.api_socket, "GET", "/metrics")
    assert status == 200
    return body.decode()


@contextmanager
def client(machine: Machine) -> Iterator[Terminal]:
    """Open the client of a computer."""
    terminal = Terminal([sys.executable, "-m", "teleclaude.tui"], machine.environ)
    try:
        terminal.wait_for(machine.name)
        yield terminal
    finally:
        terminal.close()


def test_projects_and_todos_of_another_computer(started: Two) -> None:
    """They are on the screen under the computer that owns them, and what is written into a todos file follows."""
    laptop = started.laptop
    with client(laptop) as terminal:
        terminal.send("2")
        terminal.wait_for("raspi")
        terminal.send("Gl")
        terminal.wait_for("alpha", 20)
        terminal.send("jl")
        terminal.wait_for("Do it first", 20)
        started.roadmap.write_text(ROADMAP + "- [x] second-thing: Finished\n")
        terminal.wait_for("Finished", 20)
        for target in ("/projects?computer=raspi", "/todos?computer=raspi", "/projects-with-todos?computer=raspi"):
            rows = laptop.get(target)
            assert rows, target
            assert {row["computer"] for row in rows} == {"raspi"}
        assert laptop.get("/projects?computer=laptop") == []


def test_reads_ask_nobody(started: Two) -> None:
    """However often the lists of another computer are read, nothing is asked of it: reads are pure."""
    laptop = started.laptop
    with client(laptop) as terminal:
        terminal.send("Gl")
        terminal.wait_for("faraway", 20)
    samples: list[int] = []

    def is_quiet() -> bool:
        samples.append(started.asked_of_raspi())
        return samples[-1] == samples[-3:][0] and len(samples) > 3

    until(is_quiet, 30, every=0.5)  # the interest of the client has ended
    for _ in range(50):
        for target in ("/computers", *(f"/{kind}?computer=raspi" for kind in ("projects", "sessions", "todos"))):
            assert laptop.get_status(target) == 200
    status, _ = laptop.call("POST", f"/sessions/{'0' * 16}/message?computer=raspi", {"text": "x"})
    assert status == 404
    assert started.asked_of_raspi() == samples[-1] + 1
    assert [session.tmux.name for session in laptop.sessions("raspi")] == ["faraway"]


def test_what_is_dropped_is_counted_for_all_to_see(started: Two) -> None:
    """A message that is none does nothing but raise a number that /metrics tells."""
    raspi = started.raspi

    def is_told(number: str) -> bool:  # numbers come with the sync process' next question for work
        return raspi.call("POST", "/refresh")[0] == 200 and f"peers_dropped_unsealed_total {number}" in metrics(raspi)

    until(lambda: is_told("0.0"))
    started.redis.run("XADD", "teleclaude:messages:{raspi}", "*", "m", "junk")
    until(lambda: is_told("1.0"))


def test_a_computer_that_hangs_locks_nobody(two: Two) -> None:
    """While it hangs, the other looks again at itself; its client draws, ends and starts, and its daemon as well."""
    laptop = two.start().laptop
    with client(laptop) as terminal:
        terminal.send("Gl")
        terminal.wait_for("faraway", 20)
        with two.raspi.hung("cache", "sync", "web"):  # its heartbeat stays in Redis for a minute
            laptop.tmux("new-session", "-d", "-s", "nearby")
            terminal.wait_for("nearby")
            assert laptop.call("POST", "/refresh", {"computer": "laptop"})[0] == 200
            terminal.send("gr")  # look again at this computer, then at the other, too
            terminal.send("Gr")
            terminal.send("2")
            terminal.wait_gone("nearby")
            terminal.send("1")
            terminal.wait_for("nearby")
            terminal.send("q")
            assert terminal.process.wait(10) == 0
            with client(laptop) as second:
                second.wait_for("faraway")
                second.send("q")
                assert second.process.wait(10) == 0
            assert laptop.stop() == 0
            laptop.start()
            with client(laptop) as third:
                third.wait_for("nearby")
                third.send("q")
                assert third.process.wait(10) == 0
    until(lambda: two.raspi_status() == "online", 30)


def test_a_redis_that_hangs_keeps_nobody_from_starting(two: Two) -> None:
    """Everything local works at once, to the end of the daemon; when Redis goes on, so does the fleet."""
    raspi = two.raspi
    two.redis.stop_the_clock()
    raspi.start()
    until(lambda: [session.tmux.name for session in raspi.sessions("raspi")] == ["faraway"])
    with client(raspi) as terminal:
        terminal.wait_for("faraway")
        raspi.tmux("rename-session", "-t", "=faraway", "renamed")
        terminal.wait_for("renamed")
        terminal.send("q")
        assert terminal.process.wait(10) == 0
    assert raspi.stop() == 0
    raspi.start()
    two.redis.go_on()
    two.laptop.start()
    until(lambda: two.raspi_status() == "online", 30)


def test_a_computer_with_another_name_is_there_once(two: Two) -> None:
    """After `reload` it is in each tree under its new name alone, with what it has; the old one is gone at once."""
    laptop, raspi = two.start().machines
    with client(laptop) as terminal:
        terminal.send("Gl")
        terminal.wait_for("faraway", 20)
        text = raspi.place.settings_file.read_text(encoding="utf-8")
        raspi.place.settings_file.write_text(text.replace('"raspi"', '"berry"'), encoding="utf-8")
        assert "has begun anew" in cli(raspi, "daemon", "reload")
        for machine in two.machines:
            until(lambda here=machine: _names(here) == {"laptop": "online", "berry": "online"}, 20)  # type: ignore[misc]  # a default argument binds it
        assert {session.computer for session in raspi.sessions()} == {"berry"}
        assert raspi.call("POST", "/refresh")[0] == 200
        assert laptop.sessions("raspi") == []
        terminal.wait_for("berry", 20)


def _names(machine: Machine) -> dict[str, str]:
    return {each["name"]: each["status"] for each in machine.get("/computers")}
