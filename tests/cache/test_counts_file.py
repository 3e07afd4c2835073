"""The file of counts: what all computers that are there tell of their sessions, written only when it changes."""

from __future__ import annotations

from pathlib import Path

import msgspec

from teleclaude.cache.counts_file import CountsFile
from teleclaude.cache.snapshot import Block, block_of
from teleclaude.core.records import Computer
from tests.make import session


def blocks(*computers: Computer, number: int = 1) -> list[Block]:
    """A snapshot of computers, and of a session besides."""
    bodies = {computer.name: msgspec.json.encode(computer) for computer in computers}
    made = [block_of("computers", name, 0, number, [body]) for name, body in bodies.items()]
    return [*made, block_of("sessions", "a", 0, number, [msgspec.json.encode(session())])]


def test_the_computers_that_are_there_are_added_up(tmp_path: Path) -> None:
    """One line for each status; a computer that is offline does not count, and a status of no session has no line."""
    found = CountsFile(tmp_path / "counts")
    found.show(
        blocks(
            Computer(name="a", counts={"waiting": 1, "idle": 3}),
            Computer(name="b", counts={"waiting": 2, "error": 0}),
            Computer(name="c", counts={"waiting": 9}, status="offline"),
        )
    )
    assert (tmp_path / "counts").read_text() == "idle 3\nwaiting 3\n"
    assert (tmp_path / "counts").stat().st_mode & 0o777 == 0o600
    found.show(blocks(Computer(name="a")))
    assert (tmp_path / "counts").read_text() == ""


def test_what_does_not_change_is_not_written(tmp_path: Path) -> None:
    """A computer that is seen again, with the same counts, leaves the file as it is."""
    path = tmp_path / "counts"
    found = CountsFile(path)
    found.show(blocks(Computer(name="a", counts={"idle": 1})))
    before = path.stat().st_ino
    found.show(blocks(Computer(name="a", counts={"idle": 1}, last_seen="2026-11-25T10:00:00.000Z"), number=2))
    assert path.stat().st_ino == before
    found.show(blocks(Computer(name="a", counts={"idle": 2}), number=3))
    assert path.read_text() == "idle 2\n"
