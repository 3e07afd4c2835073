"""The lock of a runtime folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from teleclaude.core.errors import Refused
from teleclaude.daemon.lock import AlreadyRuns, Lock, is_held
from tests.wait import until

HOLD = """
import sys, time
from pathlib import Path
from teleclaude.daemon.lock import AlreadyRuns, Lock
try:
    lock = Lock.acquire(Path(sys.argv[1]))
except AlreadyRuns:
    print("held", flush=True)
    sys.exit()
print("mine", flush=True)
sys.stdin.read()
lock.release()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """A process that tries for the lock, and holds it until its standard input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_holder_is_named_while_there_is_one(tmp_path: Path) -> None:
    """Who holds the lock is known by its pid; when it is released, the file is gone and nobody holds it."""
    path = tmp_path / "lock"
    assert not is_held(path)
    lock = Lock.acquire(path)
    assert is_held(path)
    with pytest.raises(AlreadyRuns, match=f"pid {os.getpid()}"):
        Lock.acquire(path)
    lock.release()
    assert not path.exists()
    Lock.acquire(path).release()


def test_killed_holder_holds_nothing(tmp_path: Path) -> None:
    """A holder that was killed leaves its file, and the next one takes it at once."""
    path = tmp_path / "lock"
    with hold(path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        assert is_held(path)
        process.kill()
        process.wait()
    assert path.exists()
    assert not is_held(path)
    lock = Lock.acquire(path)
    assert is_held(path)
    lock.release()


def test_many_at_once_give_one_holder(tmp_path: Path) -> None:
    """Of many that try at once, again and again, exactly one holds the lock at a time."""
    path = tmp_path / "lock"
    for _ in range(3):
        crowd = [hold(path) for _ in range(6)]
        said = [process.stdout.readline() for process in crowd if process.stdout]
        assert sorted(said) == ["held\n"] * 5 + ["mine\n"]
        for process in crowd:
            process.communicate()


def test_removed_lock_file_is_not_trusted(tmp_path: Path) -> None:
    """A lock on a file that is not there any more is no lock: the next one makes a new file."""
    path = tmp_path / "lock"
    first = Lock.acquire(path)
    path.unlink()
    second = Lock.acquire(path)
    assert is_held(path)
    assert second.is_in_place()
    assert not first.is_in_place()
    first.release()
    assert is_held(path)  # and what the first one leaves behind is not the second one's file
    second.release()


def test_looking_disturbs_nobody(tmp_path: Path) -> None:
    """One that starts while others look who holds the lock gets it all the same."""
    path = tmp_path / "lock"
    path.touch(mode=0o600)
    look = (
        "import sys\nfrom pathlib import Path\nfrom teleclaude.daemon.lock import is_held\n"
        "while True: is_held(Path(sys.argv[1]))"
    )
    lookers = [subprocess.Popen([sys.executable, "-c", look, str(path)]) for _ in range(2)]
    try:
        for _ in range(20):
            Lock.acquire(path).release()
    finally:
        for process in lookers:
            process.kill()
            process.wait()


def hard_link(path: Path) -> None:
    """A second name of somebody's file."""
    other = path.with_name("other")
    other.write_text("precious", encoding="utf-8")
    path.hardlink_to(other)


def soft_link(path: Path) -> None:
    """A link to a file that we could write to."""
    path.with_name("other").write_text("precious", encoding="utf-8")
    path.symlink_to(path.with_name("other"))


def fifo(path: Path) -> None:
    """Something that would make an open wait."""
    os.mkfifo(path)
    path.with_name("other").write_text("precious", encoding="utf-8")


@pytest.mark.parametrize("plant", [hard_link, soft_link, fifo])
def test_planted_file_is_refused(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    """What is no plain file of ours is refused by name, at once, and what is behind it is not touched."""
    path = tmp_path / "lock"
    plant(path)
    with pytest.raises(Refused, match=str(path)):
        Lock.acquire(path)
    assert path.with_name("other").read_text(encoding="utf-8") == "precious"
    assert until(lambda: not is_held(path))
