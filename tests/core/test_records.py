"""Records: what another version wrote is read, and what is not known here is unknown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from teleclaude.client.events import Changed, read_frame
from teleclaude.core.records import Computer, Project, Record, Service, Session, Todo
from teleclaude.core.requests import Outcome
from teleclaude.sync.fleet.wire.messages import Heartbeat, read_rows
from tests import make

NEWER: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (
        make.session(),
        {"status": "compacting", "agent": "newcomer", "mood": 1},
        {"status": "unknown", "agent": "newcomer"},
    ),
    (make.todo(), {"status": "parked", "estimate": 3}, {"status": "unknown"}),
    (make.project(), {"archived": True}, {"path": "/code/a"}),
    (
        make.computer(),
        {"status": "asleep", "awaited": ["worktrees", "todos"]},
        {"status": "offline", "awaited": ("todos",)},
    ),
    (Service(name="tmux", state="ok"), {"state": "slow"}, {"state": "unknown"}),
    (Outcome(id="1", status="ok"), {"status": "deferred"}, {"status": "unknown"}),
]


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
@pytest.mark.parametrize(("record", "said", "read"), NEWER)
def test_a_value_of_a_newer_version_is_unknown(codec: Any, record: Any, said: Any, read: Any) -> None:
    """A status, a kind or a field that is not known here costs nothing else of its message."""
    data = codec.encode([msgspec.to_builtins(record), msgspec.to_builtins(record) | said])
    known, newer = codec.decode(data, type=list[type(record)])  # type: ignore[misc]  # as decoders are made at runtime
    assert known == record
    assert {name: getattr(newer, name) for name in read} == read


@pytest.mark.parametrize("kind", [Computer, Project, Session, Todo])
def test_the_schema_says_what_is_known(kind: type[Record]) -> None:
    """Who reads the document is told the values that this version has."""
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    if "status" in schema:
        assert {"online", "unknown"} & set(schema["status"]["enum"])


def test_messages_of_a_newer_version_are_read_whole() -> None:
    """Rows, a heartbeat and a frame that name something new bring all the rest of what they say."""
    row = msgspec.to_builtins(make.session(make.session_id("x"), "b")) | {"status": "compacting"}
    received = read_rows("sessions", "b", msgspec.Raw(msgspec.msgpack.encode([row])), 0.0)
    assert [record.status for record in received.rows if isinstance(record, Session)] == ["unknown"]
    info = {"name": "b", "services": [{"name": "tmux", "state": "slow"}]}
    beat = {"type": "heartbeat", "beat": 1, "home": "h", "heads": {"sessions": 1, "trees": 1}, "info": info}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(beat), type=Heartbeat).info.services[0].state == "unknown"
    frame = {"event": "session_started", "version": 3, "data": row}
    [message] = read_frame(msgspec.json.encode(frame), "e")
    assert isinstance(message, Changed)
