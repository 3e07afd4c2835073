"""What a session is called for people. Pure."""

from __future__ import annotations

import posixpath

from teleclaude.core.records import Session


def title_of(session: Session) -> str:
    """Give a session's title, and where it is in tmux (`main:1.0`) when its tmux session has several rows."""
    name, place = session.tmux.name, session.tmux.place
    title = session.title or name or posixpath.basename(session.cwd) or session.command
    if not place:
        return title
    return f"{name}:{place}" if title == name else f"{title} · {name}:{place}"
