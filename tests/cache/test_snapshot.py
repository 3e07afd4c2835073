"""The snapshot file: never torn, never backward, readable whatever happens to its writer."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleclaude.cache import snapshot
from teleclaude.cache.snapshot import Block, Contents, SnapshotReader, SnapshotWriter, block_of
from teleclaude.replication.version import Version
from tests.small_disk import needs_root, small_disk
from tests.wait import until


def payload(version: int, size: int = 2, epoch: str = "e") -> Contents:
    """A snapshot whose sessions all tell its version; some of them are in each block."""
    body = b'{"v":%d}' % version
    counts = [min(64, size - start) for start in range(0, size, 64)]
    blocks = [block_of("sessions", "a", place, version, [body] * count) for place, count in enumerate(counts)]
    blocks += [block_of("sessions", "b", 0, version, [body]), block_of("todos", "a", 0, version, [body])]
    return Contents(Version(epoch, version), 0.0, blocks)


def test_arrays_by_kind_and_computer(tmp_path: Path) -> None:
    """A kind, and a kind of one computer, are JSON arrays; what is not there is an empty one."""
    writer, reader = SnapshotWriter(tmp_path / "s"), SnapshotReader(tmp_path / "s")
    assert reader.read() is None
    writer.publish(payload(7))
    found = reader.read()
    assert found is not None
    assert (found.epoch, found.version, found.count("sessions")) == ("e", 7, 3)
    assert json.loads(found.array("sessions")) == [{"v": 7}] * 3
    assert json.loads(found.array("sessions", "a")) == [{"v": 7}] * 2
    assert json.loads(found.array("todos")) == [{"v": 7}]
    assert found.array("projects") == found.array("sessions", "nobody") == b"[]"
    assert found.computers("sessions") == ["a", "b"]


def test_what_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    """A reader keeps the snapshot that it has until there is a newer one."""
    writer, reader = SnapshotWriter(tmp_path / "s"), SnapshotReader(tmp_path / "s")
    writer.publish(payload(1))
    first = reader.read()
    assert reader.read() is first
    writer.publish(payload(2))
    second = reader.read()
    assert second is not None
    assert second.version == 2


def test_reader_follows_growth_and_a_new_writer(tmp_path: Path) -> None:
    """A file that is too small is replaced; a new writer takes over; readers find both by themselves."""
    path = tmp_path / "s"
    writer, reader = SnapshotWriter(path), SnapshotReader(path)
    writer.publish(payload(1))
    assert _version(reader) == 1
    writer.publish(payload(2, size=200_000))
    assert _version(reader) == 2
    writer.close()
    assert _version(reader) == 2
    SnapshotWriter(path).publish(payload(1, epoch="f"))
    found = reader.read()
    assert found is not None
    assert (found.epoch, found.version) == ("f", 1)


def test_what_was_read_stays_readable_without_the_file(tmp_path: Path) -> None:
    """The last snapshot outlives its file."""
    path = tmp_path / "s"
    writer, reader = SnapshotWriter(path), SnapshotReader(path)
    writer.publish(payload(3))
    reader.read()
    path.unlink()
    assert _version(reader) == 3


def test_junk_and_links_are_refused(tmp_path: Path) -> None:
    """A file that is no snapshot, or a link in its place, is an error and not data."""
    junk = tmp_path / "junk"
    junk.write_bytes(b"x" * 100)
    with pytest.raises(OSError, match="no snapshot"):
        SnapshotReader(junk).read()
    link = tmp_path / "link"
    link.symlink_to(junk)
    with pytest.raises(OSError):
        SnapshotReader(link).read()


_WRITER = """
import sys
import tempfile
from pathlib import Path
from teleclaude.cache import snapshot
from teleclaude.cache.snapshot import SnapshotWriter
from tests.cache.test_snapshot import payload
writer = SnapshotWriter(Path(sys.argv[1]))
version = int(sys.argv[2])
while True:
    version += 1
    writer.publish(payload(version, size=300 + version % 300))
"""


def test_killed_writers_leave_no_torn_and_no_backward_snapshot(tmp_path: Path) -> None:
    """Against a writer at full speed that is killed at any moment, each read is whole and not older."""
    path = tmp_path / "s"
    reader = SnapshotReader(path)
    last = reads = 0
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(last)], cwd=Path(__file__).parents[2])
        try:
            target, least = last + 50, reads + 20  # versions written, and reads, before it is killed
            until(lambda after=last: _version(reader) > after)  # type: ignore[misc]  # a default argument binds it
            while last < target or reads < least:
                found = reader.read()
                assert found is not None
                assert found.version >= last
                versions = {item["v"] for item in json.loads(found.array("sessions"))}
                assert versions == {found.version}
                last = found.version
                reads += 1
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        found = reader.read()
        assert found is not None
        assert json.loads(found.array("sessions"))[0]["v"] == found.version >= last
        last = found.version


def test_bytes_that_are_not_meant_are_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte of the index or of any body that is not as it was written makes the snapshot none."""
    monkeypatch.setattr(snapshot, "_TRIES", 2)
    path = tmp_path / "s"
    SnapshotWriter(path).publish(payload(1))
    whole = path.read_bytes()
    slot = 64 + (len(whole) - 64) // 2  # the first generation is in slot 1
    (index,), (room,) = struct.unpack_from("<Q", whole, 24 + 16), struct.unpack_from("<Q", whole, 56)
    bodies = [match.start() for match in re.finditer(rb'\{"v":1\},', whole)]
    assert len(bodies) == 4
    assert bodies[0] == slot + room
    for at in [*range(slot, slot + index), *(start + place for start in bodies for place in range(8))]:
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x55,)) + whole[at + 1 :])
        assert SnapshotReader(path).read() is None, at
    path.write_bytes(whole)
    assert _version(SnapshotReader(path)) == 1


def _version(reader: SnapshotReader) -> int:
    found = reader.read()
    return 0 if found is None else found.version


@needs_root
def test_a_full_file_system_costs_no_snapshot(tmp_path: Path) -> None:
    """What does not fit is an error, and readers keep the last one; with space the next one is shown."""
    with small_disk(tmp_path / "small", "600k") as folder:
        writer, reader = SnapshotWriter(folder / "snapshot"), SnapshotReader(folder / "snapshot")
        writer.publish(payload(1))
        assert _version(reader) == 1
        with pytest.raises(OSError, match="space"):
            writer.publish(payload(2, size=50_000))
        assert _version(reader) == 1
        assert [path.name for path in folder.iterdir()] == ["snapshot"]
        writer.publish(payload(3))
        assert _version(reader) == 3
        subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)  # noqa: S603, S607
        writer.publish(payload(4, size=50_000))
        assert _version(reader) == 4
        reader.close()
        writer.close()


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    """A file that was being made when its writer was killed does not stay."""
    (tmp_path / ".snapshot.abc").write_bytes(b"half")
    SnapshotWriter(tmp_path / "snapshot")
    assert not list(tmp_path.iterdir())


def test_only_what_changed_is_written_and_read(tmp_path: Path) -> None:
    """A change costs its block: the others keep their bytes in the file, and are the same objects at a reader."""
    writer, reader = SnapshotWriter(tmp_path / "s"), SnapshotReader(tmp_path / "s")
    blocks = [block_of("sessions", "a", place, 1, [b"%d" % place] * 64) for place in range(100)]
    for version in (1, 2):  # both slots
        writer.publish(Contents(Version("e", version), 0.0, blocks))
    before = reader.read()
    assert before is not None
    blocks[7] = block_of("sessions", "a", 7, 3, [b"new"] * 65)
    whole = (tmp_path / "s").read_bytes()
    writer.publish(Contents(Version("e", 3), 0.0, blocks))
    now = (tmp_path / "s").read_bytes()
    slot, (room,) = 64 + (len(now) - 64) // 2, struct.unpack_from("<Q", now, 56)  # the third generation is in slot 1
    changed = [at for at in range(slot + room, len(now)) if whole[at] != now[at]]
    assert 0 < len(changed) <= 65 * 4
    after = reader.read()
    assert after is not None
    same = [one is other for one, other in zip(before.blocks("sessions"), after.blocks("sessions"), strict=True)]
    assert (same.count(False), same[7]) == (1, False)
    assert after.array("sessions").count(b"new") == 65


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3000), st.booleans()), max_size=40))
def test_whatever_is_published_is_what_is_read(steps: list[tuple[int, int, bool]]) -> None:
    """Blocks that grow, shrink, come and go end up as they are, in the old file or in a larger one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "s"
        writer, reader, blocks = SnapshotWriter(path), SnapshotReader(path), dict[int, Block]()
        for number, (place, size, is_there) in enumerate(steps, 1):
            blocks.pop(place, None)
            if is_there:
                blocks[place] = block_of("sessions", "a", place, number, [b'"%s"' % (b"x" * (size * place + number))])
            writer.publish(Contents(Version("e", number), 0.0, [block for _, block in sorted(blocks.items())]))
            found = reader.read() if number % 3 else None
            if found is not None:
                assert found.version == number
                lengths = [len(text) for text in json.loads(found.array("sessions"))]
                assert lengths == [len(block.data) - 3 for _, block in sorted(blocks.items())]
