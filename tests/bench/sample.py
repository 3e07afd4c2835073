"""Records for the benchmarks, as they are on a busy computer."""

from __future__ import annotations

from teleclaude.core.records import Session, Tmux

OWNER = "bench"
TIME = "2026-11-23T18:00:00.000Z"


def session(number: int, title: str | None = None, owner: str = OWNER) -> Session:
    """A session of about 500 bytes of JSON; one in ten shares a project."""
    return Session(
        session_id=f"{number:016x}",
        computer=owner,
        project=f"/home/dev/code/project-{number % 10}",
        cwd=f"/home/dev/code/project-{number % 10}/src",
        title=f"work on part {number}" if title is None else title,
        agent=("claude", "codex", "gemini", "shell")[number % 4],
        status="working" if number % 3 else "idle",
        status_since=TIME,
        command="node",
        created_at=TIME,
        last_activity=TIME,
        last_output=TIME,
        tmux=Tmux(name=f"s{number}", session=f"${number}", window=f"@{number}", pane=f"%{number}"),
    )


def sessions(count: int) -> list[Session]:
    """Some sessions of a computer that is not there."""
    return [session(number) for number in range(count)]
