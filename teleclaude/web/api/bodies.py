"""The bodies of requests: what may be in them, and nothing else."""

from __future__ import annotations

import msgspec


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a request."""


class StartBody(_Body, frozen=True, kw_only=True):
    """POST /sessions: `project` is a path on that computer."""

    computer: str
    project: str
    agent: str
    title: str = ""
    message: str = ""
    thinking_mode: str = ""


class MessageBody(_Body, frozen=True, kw_only=True):
    """POST /sessions/{id}/message."""

    text: str


class KeysBody(_Body, frozen=True, kw_only=True):
    """POST /sessions/{id}/keys: tmux' names of keys."""

    keys: list[str]


class TitleBody(_Body, frozen=True, kw_only=True):
    """PATCH /sessions/{id}."""

    title: str


class RefreshBody(_Body, frozen=True, kw_only=True):
    """POST /refresh: one computer, or this one and all that are looked at."""

    computer: str | None = None
