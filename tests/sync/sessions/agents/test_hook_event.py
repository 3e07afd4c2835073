"""A hook's file is read whatever it holds, and nothing in it is believed that cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.sync.sessions.agents.hook_event import HookEvent, read_hook_file

HEAD = b"agent=claude\nevent=Stop\nparent=42\npane=%7\ntmux=/tmp/a,b/default,99,3\npipe=answer.5\n\n"


def test_head_and_body_are_read() -> None:
    """What the hook knew, and what the agent told, come out as they went in."""
    assert read_hook_file(HEAD + b'{"session_id": "x", "n": 1}', 5.0) == HookEvent(
        agent="claude", event="Stop", at=5.0, parent=42, pane="%7", server=99, pipe="answer.5",
        body={"session_id": "x", "n": 1},
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"a": "\xff"}', b'{"a":' * 900])
def test_body_that_cannot_be_read_is_empty(body: bytes) -> None:
    """The event itself is evidence, without its body too: an asynchronous SessionEnd has none."""
    found = read_hook_file(HEAD + body, 1.0)
    assert found is not None
    assert found.body == {}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [(b"pane=%7", "pane"), (b"parent=42", "parent"), (b"tmux=/tmp/a,b/default,99,3", "server"), (b"answer.5", "pipe")],
)
def test_part_that_cannot_be_right_is_left_out(wrong: bytes, field: str) -> None:
    """A pane, a process or a pipe that is none is none, and names no file elsewhere."""
    name = wrong.partition(b"=")[0] if b"=" in wrong else b"pipe"
    found = read_hook_file(HEAD.replace(wrong, name + b"=../../x" if b"=" in wrong else b"../../x"), 1.0)
    assert found is not None
    assert not getattr(found, field)


@pytest.mark.parametrize("head", [b"", b"agent=claude\n\n", b"agent=\nevent=Stop\n\n", b"agent=../x\nevent=Stop\n\n"])
def test_file_of_another_is_none(head: bytes) -> None:
    """Without an agent and an event there is no report."""
    assert read_hook_file(head, 1.0) is None


@given(st.binary(max_size=300))
def test_anything_is_read_without_an_error(data: bytes) -> None:
    """Who writes into the folder cannot end who reads it."""
    read_hook_file(HEAD[:40] + data, 1.0)
