"""The sessions that wait, as a ring that a key goes through. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from teleclaude.core.records import Computer, Session


def ring(sessions: Iterable[Session], computers: Iterable[Computer]) -> list[Session]:
    """Those that wait, of computers that are there: this one's first, then the longest waiting."""
    there = {computer.name: not computer.is_local for computer in computers if computer.status == "online"}
    waiting = [session for session in sessions if session.status == "waiting" and session.computer in there]
    return sorted(waiting, key=lambda s: (there[s.computer], s.status_since, s.computer, s.session_id))


def next_in(waiting: Sequence[Session], pane: tuple[str, str, str], shows: str) -> tuple[Session | None, bool]:
    """Give the next in the ring, and whether it went around: there is none behind what is looked at.

    `pane`: (computer, session, pane) that is looked at in tmux; `shows`: COMPUTER/SESSION, where that is a window
    through which another one is seen. None when nothing else waits.
    """
    at = next((place for place, one in enumerate(waiting) if _is_shown(one, pane, shows)), None)
    if at is None:
        return (waiting[0], False) if waiting else (None, True)
    behind = [*waiting[at + 1 :], *waiting[:at]]
    return (behind[0] if behind else None), at + 1 == len(waiting)


def has_more(waiting: Iterable[Session], computers: Iterable[Computer]) -> list[str]:
    """Names of the other computers on which more sessions wait than are known here."""
    known: dict[str, int] = {}
    for session in waiting:
        known[session.computer] = known.get(session.computer, 0) + 1
    return [
        computer.name
        for computer in computers
        if computer.status == "online"
        and not computer.is_local
        and computer.counts.get("waiting", 0) > known.get(computer.name, 0)
    ]


def _is_shown(session: Session, pane: tuple[str, str, str], shows: str) -> bool:
    if f"{session.computer}/{session.session_id}" == shows:
        return True
    return not shows and (session.computer, session.tmux.session, session.tmux.pane) == pane
