"""The last prompt and answer are found at the end of a transcript, whatever else stands there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.sync.sessions.agents.hook_story import FIRST_LINES
from teleclaude.sync.sessions.agents.transcript import END, last_words, transcript_path

SESSION = "af5eb99d-4316-461e-bc44-062229e486e5"


def line(kind: str, content: Any, **more: Any) -> bytes:
    """One line."""
    return msgspec.json.encode({"type": kind, "message": {"content": content}, "isSidechain": False} | more) + b"\n"


PROMPT = line("user", "do BASH\nnow")
RESULT = line("user", [{"type": "tool_result", "content": "secret", "is_error": True}])
USE = line("assistant", [{"type": "tool_use", "name": "Bash", "input": {}}])
ANSWER = line("assistant", [{"type": "text", "text": "Stub answer:\ndone."}])


@pytest.mark.parametrize(
    ("lines", "prompt", "answer"),
    [
        ([PROMPT, USE, RESULT, ANSWER, b'{"type":"mode"}\n'], "do BASH now", "Stub answer: done."),
        ([ANSWER, PROMPT, USE], "do BASH now", ""),
        ([PROMPT, ANSWER, line("user", "below", isSidechain=True), line("user", "own", isMeta=True)], "do BASH now",
         "Stub answer: done."),
        ([PROMPT, ANSWER, PROMPT[:20]], "do BASH now", "Stub answer: done."),
        ([PROMPT, line("assistant", [{"type": "text", "text": "x" * END}])[:-9], b"\n", ANSWER], "",
         "Stub answer: done."),
        ([], "", ""),
    ],
)  # fmt: skip
def test_last_words(tmp_path: Path, lines: list[bytes], prompt: str, answer: str) -> None:
    """The prompt is the user's own, and the answer is to it; tools, subagents and what is cut are neither."""
    (tmp_path / "t").write_bytes(b"".join(lines))
    assert last_words(tmp_path / "t") == (prompt, answer)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([PROMPT, ANSWER, b"[1]\n", b'{"message":3}\n']), max_size=5))
def test_anything_is_read(lines: list[bytes]) -> None:
    """Whatever the file holds, it is read, and what is found is short."""
    path = Path(f"/tmp/tct-transcript-{os.getpid()}")
    path.write_bytes(b"".join(lines))
    try:
        assert max(map(len, last_words(path))) <= FIRST_LINES
    finally:
        path.unlink()


def test_where_it_is(tmp_path: Path) -> None:
    """By folder and session; a session that is none names no file, and a pipe in its place is not waited for."""
    path = transcript_path(tmp_path, "/tmp/tc7y_d/code/project", SESSION)
    assert path == tmp_path / "projects" / "-tmp-tc7y-d-code-project" / f"{SESSION}.jsonl"
    assert transcript_path(tmp_path, "/tmp", "../../../etc/passwd") is None
    assert transcript_path(tmp_path, "", SESSION) is None
    os.mkfifo(tmp_path / "pipe")
    assert last_words(tmp_path / "pipe") == last_words(tmp_path / "none") == ("", "")
