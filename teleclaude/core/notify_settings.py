"""`[[notify]]`: who is told of what, and how. Shapes, defaults and checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from teleclaude.core.session_notice import NOTICE_STATES, NoticeState

NotifyBy: TypeAlias = Literal["auto", "terminal", "desktop", "command", "webhook"]
Sequence: TypeAlias = Literal["auto", "osc9", "osc99", "osc777", "bell"]
PLACEHOLDERS: Final = ("title", "text", "state", "session", "computer", "agent", "project")
_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")


class NotifyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to be told, and of what: `states`, `agents`, `projects` (paths, `*` for anything), `computers`.

    An empty list means all. `quiet`: times of the day at which it is silent, "22:00-07:00". `sequence`: what the
    terminal is sent. `command`: words, without a shell. `url` (or `@FILE`, a file that holds it), `headers` and `json`
    are a webhook's; in their texts `{title}`, `{text}` and the others of `PLACEHOLDERS` are filled in.
    """

    by: NotifyBy
    states: tuple[NoticeState, ...] = NOTICE_STATES
    agents: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    computers: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    sequence: Sequence = "auto"
    command: tuple[str, ...] = ()
    url: str = ""
    headers: dict[str, str] = {}
    json: dict[str, Any] = {}


# The terminal's own where the user is: it needs nothing, and goes where the keys come from, over ssh too.
DEFAULT_RULES: Final = (NotifyRule(by="auto"),)
CHOICES: Final = {
    "notify.by": get_args(NotifyBy),
    "notify.states": NOTICE_STATES,
    "notify.sequence": get_args(Sequence),
}


def quiet_minutes(text: str) -> tuple[int, int]:
    """Read "22:00-07:00" as minutes of the day, from and to. Raises ValueError."""
    found = _QUIET.fullmatch(text)
    if found is None:
        raise ValueError('must be times of the day, as "22:00-07:00"')
    first, first_minute, last, last_minute = map(int, found.groups())
    return first * 60 + first_minute, last * 60 + last_minute


def check_notify(rules: Iterable[NotifyRule], refuse: Callable[[str, str], None]) -> None:
    """Check what types cannot say; `refuse` takes a key and a reason."""
    for number, rule in enumerate(rules):
        where = f"notify[{number}]"
        for text in rule.quiet:
            try:
                quiet_minutes(text)
            except ValueError as error:
                refuse(f"{where}.quiet", f"{error}, not {text[:40]!r}")
        if rule.by == "command" and not rule.command:
            refuse(f"{where}.command", 'is missing: by = "command" needs its words, as ["say", "look"]')
        if any("\0" in word for word in rule.command):
            refuse(f"{where}.command", "must not hold NUL")
        if rule.by == "webhook":
            _check_webhook(rule, where, refuse)


def _check_webhook(rule: NotifyRule, where: str, refuse: Callable[[str, str], None]) -> None:
    """Check a webhook. The URL is a secret: no error shows any of it."""
    if not rule.url:
        refuse(f"{where}.url", 'is missing: by = "webhook" needs an URL, or @FILE')
    if not rule.url.startswith("@"):
        reason = url_trouble(rule.url)
        if reason:
            refuse(f"{where}.url", reason)
    for name, value in rule.headers.items():
        if not _HEADER.fullmatch(name) or not value.isprintable():
            refuse(f"{where}.headers", "must be header names and texts of one line each")


def url_trouble(url: str) -> str:
    """Why an URL cannot be one of a webhook; empty when it can. Shows nothing of it."""
    found = re.fullmatch(r"(https?)://([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[\x21-\x7e]*)?", url)
    return "" if found else "must be http://HOST/… or https://HOST/…, without user, blanks or other than ASCII"
