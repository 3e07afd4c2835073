"""What a traced daemon writes into the journal."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from teleclaude.sync.fleet.message_door import MessageDoor
from tests.chaos.journal import Journal, read
from tests.chaos.traced import _trace_answers
from tests.sync.fleet.story import Story


def test_an_answer_is_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers a question is noted as heard by who asked, at the time of its own clock; who asks is not."""
    monkeypatch.setattr(MessageDoor, "_prove", MessageDoor._prove)  # put back in the end
    story = Story("near", "far")
    with contextlib.closing(Journal(tmp_path / "journal")) as journal:
        _trace_answers(journal)
        asked = story["far"].now
        story["near"].looks_at("far")
        story.until(lambda: story["near"].sees("far") == ["one"], 1.0)
    heard = [(entry["computer"], entry["owner"], entry["word"]) for entry in read(tmp_path / "journal")]
    assert heard == [("near", "far", "answer")]
    assert asked <= read(tmp_path / "journal")[0]["sealed"] <= story["far"].now
