"""What is said of a record in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from teleclaude.core.records import Computer, Session


def offline(computers: Iterable[Computer]) -> set[str]:
    """Names of the computers that are offline."""
    return {computer.name for computer in computers if computer.status == "offline"}


def status_of(session: Session, gone: set[str]) -> str:
    """How a session is. On a computer that is `gone` nobody knows: what it said last is not shown as if it were so."""
    return "offline" if session.computer in gone else session.status


def status_and_reason(session: Session, gone: set[str]) -> str:
    """How a session is, and why."""
    status = status_of(session, gone)
    return f"{status} ({session.status_reason})" if session.status_reason and status == session.status else status
