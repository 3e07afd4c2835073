"""The folder of reports, with real files and a real inotify."""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify

from teleclaude.sync.sessions.agents import hook_spool
from teleclaude.sync.sessions.agents.hook_event import BODY_LIMIT, HookEvent
from teleclaude.sync.sessions.agents.hook_spool import PER_TURN, SETTLED, HookSpool
from teleclaude.sync.tmux import file_events
from teleclaude.sync.tmux.boot_clock import since_boot, wall_offset


class Eye:
    """A spool, and a clock that can be set forward."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = HookSpool(path)
        self.ahead = 0.0

    def take(self) -> list[HookEvent]:
        """What there is now."""
        return self.spool.take(time.monotonic() + self.ahead, since_boot() + self.ahead, wall_offset())

    def wait(self, timeout: float = 10.0) -> list[HookEvent]:
        """What there is once inotify says that there is something."""
        ready, _, _ = select.select([self.spool], [], [], timeout)
        assert ready, "nothing was heard"
        self.spool.heard()
        return self.take()

    def write(self, name: str, event: str = "Stop", *, age: float = 0.0, body: bytes = b"{}") -> Path:
        """Leave a report as the script does, made to look `age` seconds old."""
        path = self.path / name
        path.write_bytes(f"agent=claude\nevent={event}\nparent=1\n\n".encode() + body)
        if age:
            os.utime(path, (time.time() - age, time.time() - age))
        return path


@pytest.fixture
def eye(tmp_path: Path) -> Iterator[Eye]:
    """A spool that has looked once."""
    found = Eye(tmp_path / "hooks" / "spool")
    assert found.take() == []
    yield found
    found.spool.close()


def test_a_report_is_heard_of_when_it_is_whole(eye: Eye) -> None:
    """Not before its file is closed; then at once, and it is gone."""
    with eye.path.joinpath("1-1").open("wb") as file:
        file.write(b"agent=claude\nevent=Stop\n")
        file.flush()
        assert eye.take() == []
        file.write(b"\n{}")
    (event,) = eye.wait()
    assert (event.agent, event.event) == ("claude", "Stop")
    assert abs(event.at - since_boot()) < 60
    assert list(eye.path.iterdir()) == []
    assert eye.take() == []


def test_what_is_moved_there_counts_too_and_what_begins_with_a_dot_never_does(eye: Eye) -> None:
    """opencode's plugin renames."""
    path = eye.write(".2-2", age=100)
    eye.spool.heard()
    eye.ahead = 2 * SETTLED
    assert eye.take() == []
    path.rename(eye.path / "2-2")
    assert [event.event for event in eye.wait()] == ["Stop"]


def test_events_come_in_the_order_of_their_times(eye: Eye) -> None:
    """Whatever their names are."""
    for name, event, age in (("1", "Third", 3.0), ("2", "First", 9.0), ("3", "Second", 6.0)):
        eye.write(name, event, age=age)
    assert [event.event for event in eye.wait()] == ["First", "Second", "Third"]


def test_what_lies_there_at_the_start_is_read_with_its_age(tmp_path: Path) -> None:
    """An old one is told as old, one of before the computer's start not at all, and both are gone."""
    eye = Eye(tmp_path / "spool")
    tmp_path.joinpath("spool").mkdir(mode=0o700)
    eye.write("1", "Old", age=20.0)
    eye.write("2", "Older than the computer's start", age=since_boot() + 1000)
    (event,) = eye.take()
    assert event.event == "Old"
    assert 19 < since_boot() - event.at < 60
    assert list(eye.path.iterdir()) == []
    eye.spool.close()


def test_a_flood_is_taken_in_parts(eye: Eye) -> None:
    """So many at once, the next at once after them, none twice and none lost."""
    names = [f"{number:04}" for number in range(3 * PER_TURN)]
    for place, name in enumerate(names):
        eye.write(name, f"E{name}", age=1000.0 - place)
    first = eye.wait()
    assert len(first) == PER_TURN
    assert eye.spool.next_due() <= time.monotonic()
    rest = [event for _ in range(4) for event in eye.take()]
    assert [event.event for event in first + rest] == [f"E{name}" for name in names]


def test_what_an_overflow_hid_is_found_soon(eye: Eye) -> None:
    """Of a report of which nothing was heard, it is told when nobody has written to it for a moment."""
    eye.write("1", age=-0.9 * SETTLED)
    eye.spool._events.read()  # lost
    eye.spool._due = 0.0
    assert eye.take() == []
    eye.ahead = 3 * SETTLED
    assert [event.event for event in eye.take()] == ["Stop"]


def test_without_inotify_it_is_looked_at_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may grant no instance."""

    def refuse(*_: object, **__: object) -> INotify:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(file_events, "INotify", refuse)
    eye = Eye(tmp_path / "spool")
    assert eye.take() == []
    eye.write("1")
    eye.ahead = 2 * SETTLED
    assert eye.spool.next_due() <= time.monotonic() + eye.ahead
    assert [event.event for event in eye.take()] == ["Stop"]
    eye.spool.close()


def test_what_is_no_report_harms_nothing(eye: Eye, tmp_path: Path) -> None:
    """Folders, links, pipes, noise and files without end: no event, nothing followed, no waiting."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"agent=claude\nevent=Stop\n\n{}")
    eye.path.joinpath("link").symlink_to(secret)
    eye.path.joinpath("folder").mkdir()
    os.mkfifo(eye.path / "pipe")
    eye.path.joinpath("noise").write_bytes(os.urandom(1000))
    eye.path.joinpath("empty").touch()
    huge = eye.write("huge", "Huge", age=5.0)
    os.truncate(huge, 1 << 40)
    os.utime(huge, (time.time() - 5.0, time.time() - 5.0))
    eye.write("good", "Good", body=b"{" * 10_000, age=4.0)
    eye.spool.heard()
    assert [(event.event, event.body) for event in eye.take()] == [("Huge", {}), ("Good", {})]
    assert secret.exists()
    assert {path.name for path in eye.path.iterdir()} == {"link", "folder", "pipe"}


def test_a_report_that_cannot_be_deleted_is_not_told(eye: Eye, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be told again and again."""

    def fail(_: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    eye.write("1")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        assert eye.wait() == []
    eye.ahead = 100.0
    assert eye.take() == []


def test_a_folder_that_is_removed_is_made_again(eye: Eye) -> None:
    """And watched."""
    eye.path.rmdir()
    assert eye.wait() == []
    assert eye.path.stat().st_mode & 0o777 == 0o700
    eye.write("1")
    assert [event.event for event in eye.wait()] == ["Stop"]


def test_a_folder_that_cannot_be_made_is_told_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything else goes on."""
    tmp_path.joinpath("hooks").touch()
    eye = Eye(tmp_path / "hooks" / "spool")
    for _ in range(3):
        assert eye.take() == []
        eye.ahead += hook_spool.TRY_AGAIN
    assert len(caplog.records) == 1
    tmp_path.joinpath("hooks").unlink()
    assert eye.take() == []
    eye.write("1")
    assert [event.event for event in eye.wait()] == ["Stop"]
    eye.spool.close()


def test_a_body_that_was_cut_counts_as_none(eye: Eye) -> None:
    """Its last part may look like JSON."""
    eye.write("1", body=b'{"a": "' + b"x" * (BODY_LIMIT - 9) + b'"}')
    (event,) = eye.wait()
    assert event.body == {}
