"""What is kept of agents, so that they can be brought back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from teleclaude.core.records import Session
from teleclaude.sync.sessions.session_journal import BOOT, SHUTDOWN, TRIAL, JournalClock, SessionJournal, StoredJournal
from tests.make import session


@dataclass
class Machine:
    """A computer with a clock, a tmux server and a disk."""

    now: float = 1_000_000.0
    boot: str = "one"
    booted: float = 900_000.0
    servers: dict[int, int] = field(default_factory=lambda: {77: 1})
    disk: bytes = msgspec.json.encode(StoredJournal())

    def journal(self) -> SessionJournal:
        """The journal of a daemon that starts now."""
        clock = JournalClock(lambda: self.now, self.boot, self.booted, self.servers.get)
        return SessionJournal(clock, msgspec.json.decode(self.disk, type=StoredJournal), self._write)

    def _write(self, journal: StoredJournal) -> None:
        self.disk = msgspec.json.encode(journal)

    def reboot(self, *, after: float = 20.0) -> None:
        """Start the computer anew."""
        self.now += after
        self.boot, self.booted, self.servers = self.boot + "+", self.now, {77: 5}  # a number may come again
        self.now += 5.0

    def running(self, *names: str) -> SessionJournal:
        """A journal of agents that run."""
        found = self.journal()
        found.met(77)
        for name in names:
            found.saw(agent(name), f"own-{name}", "")
        return found


def agent(name: str, **more: Any) -> Session:
    """A row with an agent."""
    plain = session(name, title=f"title of {name}")
    return replace(plain, **{"agent": "claude", "cwd": f"/{name}", **more})


def lost(journal: SessionJournal) -> list[str]:
    """Ids of the lost."""
    return sorted(record.session_id for record in journal.records("a", lambda _: ""))


def test_a_reboot_loses_what_ran() -> None:
    """After a start of the computer, what ran is lost, with its id, agent, folder and title, and nothing of tmux."""
    machine = Machine()
    machine.running("aaaa", "bbbb").gone("bbbb")
    machine.now += 60
    machine.reboot()
    after = machine.journal()
    assert lost(after) == ["aaaa"]
    record = after.records("a", lambda path: path + "/project")[0]
    assert (record.status, record.agent, record.cwd, record.title) == ("lost", "claude", "/aaaa", "title of aaaa")
    assert record.project == "/aaaa/project"
    assert (record.tmux.session, record.tmux.window, record.tmux.pane) == ("", "", "")
    assert "started anew" in record.status_reason
    entry = after.lost("aaaa")
    assert entry is not None
    assert entry.agent_session == "own-aaaa"


def test_a_shutdown_loses_what_it_ended() -> None:
    """What ended in the last seconds of a computer ended with it, even though its server took leave."""
    machine = Machine()
    before = machine.running("aaaa", "bbbb", "cccc")
    before.gone("cccc")
    machine.now += SHUTDOWN * 2
    before.gone("bbbb")
    before.parted(is_orderly=True)
    before.close()
    machine.reboot()
    assert lost(machine.journal()) == ["aaaa", "bbbb"]


def test_what_ended_long_before_the_computer_is_not_lost() -> None:
    """What ended last, and on purpose, is not lost when the power fails later."""
    machine = Machine()
    machine.running("aaaa").gone("aaaa")
    machine.reboot()  # the daemon saw no orderly end
    assert lost(machine.journal()) == []
    journal = machine.running("bbbb")
    journal.gone("bbbb")
    journal.close()
    machine.reboot(after=BOOT + 60)
    assert lost(machine.journal()) == []


def test_a_restart_of_the_daemon_loses_nothing() -> None:
    """While the server runs nothing is lost, and what ended meanwhile is just gone."""
    machine = Machine()
    machine.running("aaaa", "bbbb").close()
    after = machine.journal()
    after.met(77)
    after.saw(agent("aaaa"), "", "")
    after.keep_only({"aaaa"})
    assert lost(after) == []
    after.parted(is_orderly=False)
    assert lost(after) == ["aaaa"]
    entry = after.lost("aaaa")
    assert entry is not None
    assert entry.agent_session == "own-aaaa"  # as it said to the daemon before


def test_a_server_that_dies_loses_what_ran() -> None:
    """What ran is lost with a server that died, heard or unheard; not with one that took leave."""
    for how in ("died", "replaced", "gone"):
        machine = Machine()
        journal = machine.running("aaaa")
        machine.servers = {88: 2}
        if how == "died":
            journal.parted(is_orderly=False)
        elif how == "replaced":
            journal.met(88)
        else:
            journal = machine.journal()
        assert lost(journal) == ["aaaa"], how
        assert lost(machine.journal()) == ["aaaa"], how
    journal = Machine().running("aaaa")
    journal.parted(is_orderly=True)
    assert lost(journal) == []


def test_another_socket_loses_nothing() -> None:
    """When another server is watched from now on, the one before runs on."""
    journal = Machine().running("aaaa")
    journal.leave()
    journal.met(88)
    assert lost(journal) == []


def test_only_agents_are_kept() -> None:
    """A shell is not; nor is a pane from which its agent has gone, or in which it ended."""
    machine = Machine()
    journal = machine.running("aaaa", "bbbb")
    journal.saw(agent("aaaa", agent="shell"), "", "")
    journal.saw(agent("bbbb", status="ended"), "", "")
    journal.saw(agent("cccc", agent="other"), "", "")
    journal.parted(is_orderly=False)
    assert lost(journal) == []


def test_what_is_ended_on_purpose_is_not_lost() -> None:
    """Neither a lost one that is forgotten, nor one that a user ended, comes back."""
    machine = Machine()
    journal = machine.running("aaaa", "bbbb")
    assert journal.forget("aaaa")
    journal.gone("aaaa")
    journal.parted(is_orderly=False)
    assert lost(journal) == ["bbbb"]
    assert journal.forget("bbbb")
    assert not journal.forget("bbbb")
    assert lost(journal) == []
    machine.reboot()
    assert lost(machine.journal()) == []


def test_what_is_back_is_not_lost() -> None:
    """A row of the same id takes the lost one's place."""
    machine = Machine()
    journal = machine.running("aaaa")
    journal.parted(is_orderly=False)
    journal.met(88)
    version = journal.version
    journal.saw(agent("aaaa"), "", "")
    assert lost(journal) == []
    assert journal.version != version
    journal.parted(is_orderly=False)
    assert lost(journal) == ["aaaa"]


def test_a_resume_that_ends_at_once_is_lost_once_more() -> None:
    """It is to be started afresh then; what lasted, or was started afresh, ends as others do."""
    machine = Machine()
    journal = machine.running("aaaa")
    journal.parted(is_orderly=False)
    journal.met(88)
    journal.resumed("aaaa")
    journal.saw(agent("aaaa"), "", "")
    journal.gone("aaaa")
    entry = journal.lost("aaaa")
    assert entry is not None
    assert entry.failed
    assert "afresh" in journal.records("a", lambda _: "")[0].status_reason
    journal.saw(agent("aaaa"), "", "")  # started afresh
    journal.gone("aaaa")
    assert lost(journal) == []
    journal = machine.running("bbbb")
    journal.parted(is_orderly=False)
    journal.resumed("bbbb")
    journal.saw(agent("bbbb"), "", "")
    machine.now += TRIAL + 1
    journal.gone("bbbb")
    assert lost(journal) == []


def test_the_file_is_written_only_for_what_changes() -> None:
    """A row that shows another status or time changes nothing of what is kept."""
    machine = Machine()
    journal = machine.running("aaaa")
    machine.disk = b""
    journal.saw(agent("aaaa", last_activity="2026-11-23T18:00:00.000Z"), "own-aaaa", "")
    assert machine.disk == b""
    journal.saw(agent("aaaa"), "own-2", "")
    assert b"own-2" in machine.disk
