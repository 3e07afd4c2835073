"""Which notices a rule of the settings is for, and when. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fnmatch import fnmatchcase

from teleclaude.core.notify_settings import NotifyRule, quiet_minutes
from teleclaude.core.session_notice import SessionNotice


def matching(rule: NotifyRule, notices: Iterable[SessionNotice], minute: int, home: str) -> list[SessionNotice]:
    """Give those that a rule is for. `minute`: of the day, in local time; `home`: what `~` means."""
    return [] if is_quiet(rule.quiet, minute) else [notice for notice in notices if _is_for(rule, notice, home)]


def is_quiet(times: Iterable[str], minute: int) -> bool:
    """Tell whether a minute of the day is in one of these times; they may go over midnight."""
    for text in times:
        first, last = quiet_minutes(text)
        if (first <= minute < last) if first <= last else (minute >= first or minute < last):
            return True
    return False


def _is_for(rule: NotifyRule, notice: SessionNotice, home: str) -> bool:
    return (
        notice.state in rule.states
        and _is_one_of(rule.agents, notice.agent)
        and _is_one_of(rule.computers, notice.computer)
        and (not rule.projects or any(_is_in(notice.project, pattern, home) for pattern in rule.projects))
    )


def _is_one_of(patterns: Iterable[str], name: str) -> bool:
    found = list(patterns)
    return not found or any(fnmatchcase(name, pattern) for pattern in found)


def _is_in(path: str, pattern: str, home: str) -> bool:
    """A path is in a pattern's folder, or is it."""
    whole = home + pattern[1:] if pattern == "~" or pattern.startswith("~/") else pattern
    whole = whole.rstrip("/") or "/"
    return fnmatchcase(path, whole) or fnmatchcase(path, os.path.join(whole, "*"))
