"""The words of notifications, safe wherever they go: no escape, no markup, no field of a sequence in them. Pure."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from posixpath import basename
from typing import Any, NamedTuple

from teleclaude.core.session_notice import NOTICE_STATES, SessionNotice
from teleclaude.core.text import one_line
from teleclaude.sync.attention.gathering import SINGLES

TITLE, TEXT = 100, 300  # characters
NAMED = 5  # sessions that a summary names
_MARKS = {"waiting": "◆", "error": "✗", "finished": "✓"}
_DOES = {"waiting": "waits for an answer", "error": "failed", "finished": "finished"}
_DO = {"waiting": "wait", "error": "failed", "finished": "finished"}
_PLACE = re.compile(r"\{([a-z]+)\}")
# Terminals by what they call themselves, and by TERM: what shows a notification of theirs.
_TERMINALS = (
    ("kitty", "osc99"),
    ("xterm-kitty", "osc99"),
    ("iterm2", "osc9"),
    ("wezterm", "osc777"),
    ("ghostty", "osc777"),
    ("xterm-ghostty", "osc777"),
    ("foot", "osc777"),
    ("rxvt-unicode", "osc777"),
    ("mintty", "osc9"),
)


class Words(NamedTuple):
    """What is told at once: of one session, or of many. Both texts are one line each, and safe to show."""

    title: str
    text: str
    notices: tuple[SessionNotice, ...]

    @property
    def state(self) -> str:
        """The state that is most urgent."""
        return next(state for state in NOTICE_STATES if any(notice.state == state for notice in self.notices))


def words_for(notices: Sequence[SessionNotice]) -> list[Words]:
    """Say a few one by one, and many as one summary."""
    return [_of_one(notice) for notice in notices] if len(notices) <= SINGLES else [_summary(notices)]


def _of_one(notice: SessionNotice) -> Words:
    name = one_line(notice.title, TITLE // 2) or "a session"
    where = f"{one_line(notice.agent, 32) or 'session'} on {one_line(notice.computer, 64)}"
    project = one_line(basename(notice.project.rstrip("/")), 64)
    parts = (one_line(notice.text, TEXT // 2), f"{where}, {project}" if project else where)
    return Words(f"{_MARKS[notice.state]} {name} {_DOES[notice.state]}", " · ".join(filter(None, parts)), (notice,))


def _summary(notices: Sequence[SessionNotice]) -> Words:
    counts = Counter(notice.state for notice in notices)
    told = ", ".join(f"{counts[state]} {_DO[state]}" for state in NOTICE_STATES if counts[state])
    urgent = sorted(notices, key=lambda notice: NOTICE_STATES.index(notice.state))
    names = [f"{_MARKS[n.state]} {one_line(n.title, 40) or one_line(n.agent, 32)}" for n in urgent[:NAMED]]
    more = [f"and {len(notices) - NAMED} more"] if len(notices) > NAMED else []
    return Words(f"{len(notices)} sessions: {told}", one_line(", ".join([*names, *more]), TEXT), tuple(urgent))


# Terminals.


def sequence_of(term: str, term_type: str) -> str:
    """Name what makes a terminal show a notification; `bell` for one that is not known to have any."""
    for name in (term_type.lower(), term.lower()):
        for prefix, sequence in _TERMINALS:
            if name.startswith(prefix):
                return sequence
    return "bell"


def terminal_bytes(words: Words, sequence: str) -> bytes:
    """Give what a terminal is sent: one whole sequence each, so that a terminal that knows it not shows nothing."""
    match sequence:
        case "osc9":  # what begins with a digit would be a command of ConEmu's; our text begins with a mark or a blank
            return f"\x1b]9; {words.title}: {words.text}\x07".encode()
        case "osc777":
            return f"\x1b]777;notify;{words.title.replace(';', ',')};{words.text.replace(';', ',')}\x07".encode()
        case "osc99":
            several = len(words.notices) > 1
            name = "teleclaude-" + ("several" if several else re.sub(r"[^0-9a-z]", "", words.notices[0].session_id))
            parts = (f"i={name}:d=0;{words.title}", f"i={name}:p=body;{words.text}")
            return "".join(f"\x1b]99;{part}\x1b\\" for part in parts).encode()
        case _:
            return b"\x07"


# Others.


def without_markup(text: str) -> str:
    """Text for a desktop's notification, whose body may be read as markup."""
    return html.escape(text, quote=False)


def fields_of(words: Words) -> dict[str, str]:
    """What a command's environment and a webhook's texts may say. Those of one session are empty for several."""
    one = words.notices[0] if len(words.notices) == 1 else None
    return {
        "title": words.title,
        "text": words.text,
        "state": words.state,
        "session": one.session_id if one else "",
        "computer": one_line(one.computer, 128) if one else "",
        "agent": one_line(one.agent, 128) if one else "",
        "project": one_line(one.project, 4096) if one else "",
    }


def filled_in(value: Any, fields: Mapping[str, str]) -> Any:
    """Fill `{title}` and its kind into every text of a value, once: what is filled in is not looked at again."""
    if isinstance(value, str):
        return _PLACE.sub(lambda found: fields.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {key: filled_in(item, fields) for key, item in value.items()}
    return [filled_in(item, fields) for item in value] if isinstance(value, list) else value


def as_json(words: Words) -> str:
    """All that is told, for a command's standard input: `title`, `text`, and `notices`, one object each."""
    notices = [{name: getattr(n, name) for name in n.__struct_fields__} for n in words.notices]
    return json.dumps({"title": words.title, "text": words.text, "state": words.state, "notices": notices})
