"""What somebody looks for among sessions, in one line of words. Pure.

The same words serve the client's `/`, `teleclaude sessions -q` and `GET /sessions?q=`. All words must fit:
- `login`: a part of the title, project, branch, computer, folder, agent, what is asked, last prompt or answer, or id;
  capital letters in it count, small ones fit both (smart case). `"two words"` is one word.
- `@waiting`: the state; the beginning of its name is enough, several are parted by commas (`@wait,err`).
- `agent:codex`, `on:raspi`, `in:shop`, `branch:main`, `title:…`, `dir:…`: a part of that alone; several by commas.
- `-word`, `-@idle`, `-on:raspi`: what does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from teleclaude.core.errors import InvalidField
from teleclaude.core.records import SESSION_STATUSES, Project, Session

LIMIT: Final = 512  # characters
_WORD: Final = re.compile(r'(-?(?:@|[a-z]+:)?)(?:"([^"]*)"?|(\S*))')

_FIELDS: Final[Mapping[str, Callable[[Session, Project | None], Iterable[str]]]] = MappingProxyType(
    {
        "agent": lambda session, _: (session.agent,),
        "on": lambda session, _: (session.computer,),
        "in": lambda session, project: (session.project, project.name if project else ""),
        "branch": lambda _, project: (project.branch if project else "",),
        "title": lambda session, _: (session.title, session.tmux.name),
        "dir": lambda session, _: (session.cwd,),
    }
)


@dataclass(frozen=True, slots=True)
class SearchText:
    """A session as it is searched: all of its words, as they are and folded; a line for each part."""

    session: Session
    project: Project | None
    whole: str
    folded: str


def search_text(session: Session, project: Project | None) -> SearchText:
    """Give what words are looked for in. `project`: that of the session, where it is known."""
    about = f"{project.name}\n{project.branch}" if project else ""
    asks = f"{session.asks.tool}\n{session.asks.text}" if session.asks else ""
    whole = (
        f"{session.title}\n{session.project}\n{about}\n{session.computer}\n{session.cwd}\n{session.agent}\n{asks}\n"
        f"{session.last_prompt}\n{session.last_answer}\n{session.tmux.name}\n{session.session_id}"
    )
    return SearchText(session, project, whole, whole.casefold())


@dataclass(frozen=True, slots=True)
class _Word:
    """One word. `field`: of `_FIELDS`, "@" for the state, empty for any; it fits when one of `values` does."""

    field: str
    values: tuple[str, ...]
    is_excluded: bool

    def fits(self, text: SearchText) -> bool:
        return any(self._has(text, value) for value in self.values) != self.is_excluded

    def _has(self, text: SearchText, value: str) -> bool:
        if self.field == "@":
            return text.session.status == value
        has_capitals = value != value.casefold()
        if not self.field:
            return value in (text.whole if has_capitals else text.folded)
        found = _FIELDS[self.field](text.session, text.project)
        return any(value in (each if has_capitals else each.casefold()) for each in found)


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """What is looked for; one without words fits everything."""

    words: tuple[_Word, ...] = ()

    def fits(self, text: SearchText) -> bool:
        """Tell whether a session is what is looked for."""
        return all(word.fits(text) for word in self.words)


def read_query(text: str) -> SessionQuery:
    """Read a line of words. Raises InvalidField for a state that there is none of, and for a line that is too long.

    A word that is just begun (`@`, `agent:`, `-`) says nothing yet.
    """
    if len(text) > LIMIT:
        raise InvalidField("q", f"must be at most {LIMIT} characters")
    words = (_word(*match.groups()) for match in _WORD.finditer(text) if match[0])
    return SessionQuery(tuple(word for word in words if word))


def _word(lead: str, quoted: str | None, bare: str | None) -> _Word | None:
    is_excluded = lead.startswith("-")
    field = lead.removeprefix("-").rstrip(":")
    rest = quoted if quoted is not None else bare or ""
    if field not in _FIELDS and field != "@":  # `http://…` is no field, and neither is the time in `12:30`
        rest, field = lead.removeprefix("-") + rest, ""
    values = tuple(value for value in (rest.split(",") if field else [rest]) if value)
    if field == "@":
        values = tuple(status for value in values for status in _statuses(value))
    return _Word(field, values, is_excluded) if values else None


def _statuses(beginning: str) -> list[str]:
    found = [status for status in SESSION_STATUSES if status.startswith(beginning.casefold())]
    if not found:
        raise InvalidField("q", f"has @{beginning[:32]}, and no state is called so: {', '.join(SESSION_STATUSES)}")
    return found
