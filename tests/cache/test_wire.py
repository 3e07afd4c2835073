"""The wire between the workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.cache import wire
from teleclaude.core.framing import FrameReader, framed
from teleclaude.core.records import KINDS, Record
from teleclaude.replication.version import Version
from tests import make

FRAMES: list[wire.Frame] = [
    wire.WelcomeFrame("here"),
    wire.SnapshotFrame(Version("e", 3), [wire.Section("sessions", "here", [("k", b"{}")])]),
    wire.ChangesFrame("e", [wire.RowChange(4, "todos", "a", "k", None), wire.RowChange(5, "todos", "a", "k", b"{}")]),
]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=50))
def test_frames_survive_any_cut(cuts: list[int]) -> None:
    """The reader gives the same frames however the bytes are cut."""
    data = b"".join(framed(wire.encode(frame)) for frame in FRAMES)
    reader = FrameReader()
    payloads: list[bytes] = []
    at = 0
    for cut in cuts:
        payloads += reader.receive_data(data[at : at + cut])
        at += cut
    payloads += reader.receive_data(data[at:])
    assert [wire.decode_frame(payload) for payload in payloads] == FRAMES


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    """A length that nobody would send is an error, not an allocation."""
    with pytest.raises(ValueError, match="over the limit"):
        FrameReader(limit=10).receive_data(b"\xff\xff\xff\xff")


def test_writes_survive_the_wire() -> None:
    """Every kind of write is read as it was made."""
    records: list[Record] = [make.computer(), make.project(), make.session(), make.todo()]
    ops = wire.put(records)
    ops += [wire.replace("projects", "here", [make.project()]), wire.replace("sessions", "here", [make.session()])]
    ops += [wire.replace("todos", "here", [make.todo()]), wire.Remove("todos", "here", ["k"])]
    ops += [wire.Touch("todos", "far"), wire.LastHeard("far", 1.5), wire.ForgetComputer("far"), wire.Filled()]
    assert wire.decode_ops(wire.encode(ops)) == ops
    assert len(ops) == len(KINDS) + 8
