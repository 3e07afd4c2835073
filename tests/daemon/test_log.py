"""The daemon's log: lines of workers, and where they go."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.daemon.relay import Relay, open_log
from teleclaude.daemon.worker import Lines, how_it_ended


@given(st.lists(st.binary(max_size=3000)))
def test_lines_are_the_same_however_they_come(pieces: list[bytes]) -> None:
    """Cutting the bytes elsewhere gives the same lines, none of them over the limit, and loses nothing."""
    whole, lines = b"".join(pieces), Lines()
    got = [line for piece in pieces for line in lines.receive(piece)] + lines.rest()
    assert b"".join(got) == whole.replace(b"\n", b"")
    assert all(len(line) <= 1000 for line in got)
    bytewise = Lines()
    short = [b"ab", b"", b"c"]
    data = b"\n".join(short) + b"\n"
    assert [line for byte in data for line in bytewise.receive(bytes([byte]))] == Lines().receive(data)


def test_relay_waits_for_nobody() -> None:
    """Lines that the reader does not take are dropped, and counted once it reads again."""
    read, write = os.pipe()
    relay = Relay(write)
    for _ in range(1000):
        relay.line(b"x" * 500)
    taken = os.read(read, 1 << 20)
    assert len(taken) < 1000 * 501
    os.set_blocking(read, False)
    while os.read(read, 1 << 20) if _readable(read) else b"":
        pass
    relay.line(b"after")
    lines = os.read(read, 1 << 20).splitlines()
    assert lines[0].endswith(b"lines of the log were dropped)")
    assert lines[1:] == [b"after"]
    os.close(read)
    relay.line(b"the reader is gone")
    os.close(write)


def _readable(fd: int) -> bool:
    try:
        return bool(os.readv(fd, [bytearray(65536)]))
    except BlockingIOError:
        return False


def test_log_file_is_kept_small(tmp_path: Path) -> None:
    """Over its size the file becomes `.1` and a new one begins, both private; no line is lost at the turn."""
    file = tmp_path / "daemon.log"
    fd = open_log(file)
    relay = Relay(fd, file, limit=1000)
    for number in range(50):
        relay.line(b"%040d" % number)
    old, new = (tmp_path / "daemon.log.1").read_bytes().split(), file.read_bytes().split()
    assert [int(line) for line in old + new] == list(range(50 - len(old + new), 50))
    assert len(new) * 41 <= 1041
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    os.close(fd)


def test_log_file_is_never_a_link(tmp_path: Path) -> None:
    """A link in the place of the log is refused."""
    (tmp_path / "log").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic link"):
        open_log(tmp_path / "log")


@pytest.mark.parametrize(
    ("code", "last", "words"),
    [
        (1, "boom", "ended with status 1: boom"),
        (0, "", "ended with status 0"),
        (-9, "", "was ended by SIGKILL"),
        (-64, "x", "was ended by SIGRTMAX: x"),
        (-40, "", "was ended by signal 40"),
    ],
)
def test_how_a_worker_ended(code: int, last: str, words: str) -> None:
    """A person reads by what a worker ended, and its last words."""
    assert how_it_ended(code, last) == words
