"""The last words of a Claude Code session, from the end of its transcript: lines of JSON, as 2.1.197 writes them.

Its folder is the user's: only a thread that may hang reads it. Only plain files are read, and of them only the end.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any, Final

import msgspec

from teleclaude.sync.sessions.agents.hook_story import first_lines

END: Final = 64 * 1024  # bytes that are read
_SESSION: Final = re.compile(r"[A-Za-z0-9-]{8,64}")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def transcript_path(config: Path, folder: str, session: str) -> Path | None:
    """Give where the transcript of a session is. `folder`: the one it runs in; None for what is no session's id."""
    if not folder or not _SESSION.fullmatch(session):
        return None
    return config / "projects" / re.sub(r"[^A-Za-z0-9]", "-", folder) / f"{session}.jsonl"


def last_words(path: Path) -> tuple[str, str]:
    """Give the begin of the last prompt, and of the answer to it; empty where they are not in the end of the file."""
    prompt = answer = ""
    for line in _end_of(path).split(b"\n"):
        try:
            told = _decode(line)
        except ValueError:  # cut at its begin, or being written
            continue
        if told.get("isSidechain") is True or told.get("isMeta") is True:
            continue
        text = _text(told)
        if told.get("type") == "user" and text:
            prompt, answer = text, ""
        elif told.get("type") == "assistant" and text:
            answer = text
    return first_lines(prompt), first_lines(answer)


def _text(told: dict[str, Any]) -> str:
    message = told.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return texts[-1] if texts else ""


def _end_of(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            about = os.fstat(fd)
            return os.pread(fd, END, max(0, about.st_size - END)) if stat.S_ISREG(about.st_mode) else b""
        finally:
            os.close(fd)
    except OSError:
        return b""
