"""Records for tests."""

from __future__ import annotations

import hashlib
import time

from teleclaude.core.records import Computer, Project, Session, Tmux, Todo
from teleclaude.core.requests import Request, new_id
from teleclaude.core.verbs import Message, Output, Start


def session_id(word: str) -> str:
    """An id as sessions have it, the same for the same word."""
    return hashlib.sha256(word.encode()).hexdigest()[:16]


def session(
    key: str = "s1", computer: str = "here", *, title: str = "work", pane: str = "%1", status: str = "idle"
) -> Session:
    """A session; what is not said is of no matter."""
    return Session(
        session_id=key,
        computer=computer,
        title=title,
        status=status,  # type: ignore[arg-type]  # a plain str keeps the callers short
        tmux=Tmux(name="main", session="$1", window="@1", pane=pane),
    )


def computer(name: str = "raspi", *, last_seen: str = "", status: str = "online") -> Computer:
    """A computer."""
    return Computer(name=name, last_seen=last_seen, status=status)  # type: ignore[arg-type]  # as above


def project(path: str = "/code/a", owner: str = "here", *, name: str = "a") -> Project:
    """A project."""
    return Project(computer=owner, path=path, name=name)


def todo(slug: str = "t1", owner: str = "here", *, path: str = "/code/a", title: str = "mend it") -> Todo:
    """A todo."""
    return Todo(computer=owner, project=path, slug=slug, title=title)


def request(computer: str, args: Start | Message | Output, seconds: float = 15.0) -> Request:
    """A command for a computer, that may take so many seconds."""
    return Request(id=new_id(), computer=computer, args=args, deadline=time.monotonic() + seconds)
