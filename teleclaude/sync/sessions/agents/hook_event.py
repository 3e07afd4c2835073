"""What an agent's hook reported: one file that `teleclaude-hook` left, read into one event. Pure.

A file holds a head, an empty line, and what the agent gave to the hook, JSON of less than `BODY_LIMIT` bytes (of what
is longer only the last part is there, and then its body is empty). The head is lines of `key=value`: `agent`, `event`,
`parent` (process that ran the hook), `pane` (TMUX_PANE), `tmux` (TMUX: socket, process of the server, number of the
session), `pipe` (where an answer is awaited, empty for none). Any of it may be wrong or hostile: who uses it checks it.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

BODY_LIMIT = 256 * 1024
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_PANE = re.compile(r"%\d{1,9}")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class HookEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One report. `at`: seconds since the computer's start. `parent`, `server`: processes, 0 when not told.

    `pipe`: name of the file on which the hook awaits an answer, empty when it awaits none.
    """

    agent: str
    event: str
    at: float
    parent: int = 0
    pane: str = ""
    server: int = 0
    pipe: str = ""
    body: dict[str, Any] = {}

    def text(self, *names: str) -> str:
        """Give the first of these parts of the body that is a text and not empty; empty when none is."""
        return next((value for name in names if isinstance(value := self.body.get(name), str) and value), "")


def read_hook_file(data: bytes, at: float) -> HookEvent | None:
    """Read a file; None for one that no hook of ours wrote. What cannot be read of its body is empty."""
    head, _, rest = data.partition(b"\n\n")
    found = dict(line.split("=", 1) for line in head.decode("utf-8", "replace").split("\n") if "=" in line)
    agent, event = found.get("agent", ""), found.get("event", "")
    if not (_WORD.fullmatch(agent) and _WORD.fullmatch(event)):
        return None
    pane = found.get("pane", "")
    tmux = found.get("tmux", "").rsplit(",", 2)
    return HookEvent(
        agent=agent,
        event=event,
        at=at,
        parent=_number(found.get("parent", "")),
        pane=pane if _PANE.fullmatch(pane) else "",
        server=_number(tmux[1]) if len(tmux) == 3 else 0,
        pipe=pipe if _WORD.fullmatch(pipe := found.get("pipe", "")) else "",
        body=_body(rest),
    )


def _body(data: bytes) -> dict[str, Any]:
    try:
        return _decode(data) if data.strip() and len(data) < BODY_LIMIT else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
