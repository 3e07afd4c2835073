"""Frames become messages; a bad record never takes the good ones with it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.client.events import (
    Changed,
    Connected,
    HealthEvent,
    LiveOutput,
    Malformed,
    Message,
    Refreshed,
    Replaced,
    Resumed,
    ServerError,
    read_frame,
)
from teleclaude.core.errors import PeerError
from tests.make import computer, project, session, todo


def frame(event: str, data: Any, version: int = 7) -> bytes:
    """A frame as the daemon sends it."""
    return msgspec.json.encode({"event": event, "version": version, "data": data})


def test_each_event_becomes_its_message() -> None:
    """Every event of the contract is read, with its version and the epoch of the last hello."""
    found = {
        name: read_frame(frame(name, data), "e1")
        for name, data in {
            "hello": {"epoch": "e2", "computer": "here", "server": "0.1"},
            "computers_initial": {"computers": [computer()]},
            "session_started": session(),
            "session_removed": {"session_id": "s1", "computer": "here"},
            "computer_removed": {"name": "raspi"},
            "todos_updated": {"computer": "here", "project": "/code/a", "todos": [todo()]},
            "projects_updated": {"computer": "here", "projects": [project()]},
            "resumed": {"complete": True},
            "health": {"stale": True, "reason": "sync is gone", "workers": {"sync": "backoff"}},
            "session_output": {"computer": "here", "session_id": "s1", "text": "x"},
            "refreshed": {"computer": None, "status": "ok", "message": ""},
            "error": {"code": "invalid", "message": "no", "field": "subscribe"},
        }.items()
    }
    at: dict[str, Any] = {"epoch": "e1", "version": 7}
    expected: dict[str, Message] = {
        "hello": Connected(epoch="e2", version=7, computer="here", server="0.1"),
        "computers_initial": Replaced(**at, kind="computers", computer="*", records=[computer()]),
        "session_started": Changed(**at, kind="sessions", computer="here", puts=[session()]),
        "session_removed": Changed(**at, kind="sessions", computer="here", removes=["s1"]),
        "computer_removed": Changed(**at, kind="computers", computer="raspi", removes=["raspi"]),
        "todos_updated": Changed(**at, kind="todos", computer="here", puts=[todo()], project="/code/a"),
        "projects_updated": Replaced(**at, kind="projects", computer="here", records=[project()]),
        "resumed": Resumed(**at),
        "health": HealthEvent(stale=True, reason="sync is gone", workers={"sync": "backoff"}),
        "session_output": LiveOutput(computer="here", session_id="s1", text="x"),
        "refreshed": Refreshed(status="ok"),
        "error": ServerError(code="invalid", message="no", field="subscribe"),
    }
    assert found == {name: [message] for name, message in expected.items()}


def test_an_initial_tells_only_the_kinds_that_are_in_it() -> None:
    """An absent key is a kind that was not subscribed to; an empty list is a kind of which nothing is there."""
    found = read_frame(frame("preparation_initial", {"computer": "raspi", "todos": []}), "e1")
    assert found == [Replaced(epoch="e1", version=7, kind="todos", computer="raspi", records=[])]


def test_one_bad_record_leaves_the_others() -> None:
    """Of a list with a bad record, the good ones are kept, and the bad one is told."""
    bad = {"session_id": 5}
    found = read_frame(
        frame("sessions_initial", {"computer": "here", "sessions": [session("a"), bad, session("b")]}), "e"
    )
    replaced, malformed = found
    assert isinstance(replaced, Replaced)
    assert replaced.records == [session("a"), session("b")]
    assert isinstance(malformed, Malformed)
    assert "session_id" in malformed.reason


def test_a_bad_single_record_is_malformed() -> None:
    """An event whose record cannot be read is told, not raised."""
    assert isinstance(read_frame(frame("session_updated", {"session_id": 1}), "e")[0], Malformed)


def test_what_a_newer_daemon_sends_besides_is_left_out() -> None:
    """Unknown events and unknown fields are no errors."""
    assert read_frame(frame("weather", {"sun": 1}), "e") == []
    data = {"epoch": "e", "computer": "here", "mood": "good"}
    assert len(read_frame(frame("hello", data), "e")) == 1


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"\xff\xfe", b'{"event":1,"version":2,"data":{}}', b'{"event":"hello"}', b"[" * 9999]
)
def test_what_is_no_event_raises(text: bytes) -> None:
    """Junk is the peer's error, whatever it is."""
    with pytest.raises(PeerError):
        read_frame(text, "e")


EVENTS = ["hello", "sessions_initial", "session_updated", "todos_updated", "health", "refreshed", "computer_removed"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["computer", "sessions", "x"]), inner),
    max_leaves=8,
)


@given(st.sampled_from(EVENTS), JSON)
def test_any_data_gives_messages_and_never_another_error(event: str, data: Any) -> None:
    """Whatever JSON an event carries, it is read or told as malformed."""
    for message in read_frame(frame(event, data), "e"):
        assert isinstance(message, Message)
