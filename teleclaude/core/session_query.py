"""What somebody looks for among sessions, or todos, in one line of words. Pure.

The same words serve the client's `/`, `teleclaude sessions -q` and `GET /sessions?q=`. All words must fit:
- `login`: a part of the title, project, branch, computer, folder, agent, command, what is asked, last prompt or
  answer, or id; capital letters in it count, small ones fit both (smart case). `"two words"` is one word.
- `@waiting`: the state; the beginning of its name is enough, several are parted by commas (`@wait,err`).
- `agent:codex`, `on:raspi`, `in:shop`, `branch:main`, `title:…`, `dir:…`: a part of that alone; several by commas.
- `-word`, `-@idle`, `-on:raspi`: what does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from teleclaude.core.errors import InvalidField
from teleclaude.core.records import SESSION_STATUSES, Project, Session, Todo

LIMIT: Final = 512  # characters
_WORD: Final = re.compile(r'(-?(?:@|[a-z]+:)?)(?:"([^"]*)"?|(\S*))')

_FIELDS: Final = frozenset({"agent", "on", "in", "branch", "title", "dir"})


class SearchText(msgspec.Struct, frozen=True, eq=False):
    """A session or a todo as it is searched: all of its words, as they are and folded; a line for each part."""

    record: Session | Todo
    project: Project | None
    whole: str
    folded: str

    def part(self, name: str) -> tuple[str, ...]:
        """Give the texts of one field."""
        record, project = self.record, self.project
        match name:
            case "on":
                return (record.computer,)
            case "in":
                return (record.project, project.name if project else "")
            case "branch":
                return (project.branch if project else "",)
            case "title":
                return (record.title, record.tmux.name if isinstance(record, Session) else record.slug)
            case "agent":
                return (record.agent,) if isinstance(record, Session) else ()
            case _:
                return (record.cwd if isinstance(record, Session) else record.project,)


def todo_text(todo: Todo, project: Project | None) -> SearchText:
    """Give what words are looked for in, of a todo."""
    name = project.name if project else ""
    whole = f"{todo.title}\n{todo.slug}\n{todo.description}\n{todo.project}\n{name}\n{todo.computer}"
    return SearchText(todo, project, whole, whole.casefold())


def search_text(session: Session, project: Project | None) -> SearchText:
    """Give what words are looked for in, of a session. `project`: that of the session, where it is known."""
    about = f"{project.name}\n{project.branch}" if project else ""
    asks = f"{session.asks.tool}\n{session.asks.text}" if session.asks else ""
    whole = (
        f"{session.title}\n{session.project}\n{about}\n{session.computer}\n{session.cwd}\n{session.agent}\n{asks}\n"
        f"{session.command}\n{session.last_prompt}\n{session.last_answer}\n{session.tmux.name}\n{session.session_id}"
    )
    return SearchText(session, project, whole, whole.casefold())


class _Word(msgspec.Struct, frozen=True):
    """One word. `field`: of `_FIELDS`, "@" for the state, empty for any; it fits when one of `values` does."""

    field: str
    values: tuple[str, ...]
    is_excluded: bool

    def fits(self, text: SearchText) -> bool:
        return any(self._has(text, value) for value in self.values) != self.is_excluded

    def _has(self, text: SearchText, value: str) -> bool:
        if self.field == "@":
            return text.record.status == value
        has_capitals = value != value.casefold()
        if not self.field:
            return value in (text.whole if has_capitals else text.folded)
        found = text.part(self.field)
        return any(value in (each if has_capitals else each.casefold()) for each in found)


class SessionQuery(msgspec.Struct, frozen=True):
    """What is looked for; one without words fits everything."""

    words: tuple[_Word, ...] = ()

    def fits(self, text: SearchText) -> bool:
        """Tell whether a session is what is looked for."""
        return all(word.fits(text) for word in self.words)


def read_query(text: str, statuses: Sequence[str] = SESSION_STATUSES) -> SessionQuery:
    """Read a line of words. `statuses`: the states there are, of sessions or of todos.

    Raises InvalidField for a state that there is none of, and for a line that is too long.
    A word that is just begun (`@`, `agent:`, `-`) says nothing yet.
    """
    if len(text) > LIMIT:
        raise InvalidField("q", f"must be at most {LIMIT} characters")
    words = (_word(statuses, *match.groups()) for match in _WORD.finditer(text) if match[0])
    return SessionQuery(tuple(word for word in words if word))


def _word(statuses: Sequence[str], lead: str, quoted: str | None, bare: str | None) -> _Word | None:
    is_excluded = lead.startswith("-")
    field = lead.removeprefix("-").rstrip(":")
    rest = quoted if quoted is not None else bare or ""
    if field not in _FIELDS and field != "@":  # `http://…` is no field, and neither is the time in `12:30`
        rest, field = lead.removeprefix("-") + rest, ""
    values = tuple(value for value in (rest.split(",") if field else [rest]) if value)
    if field == "@":
        values = tuple(status for value in values for status in _beginning(value, statuses))
    return _Word(field, values, is_excluded) if values else None


def _beginning(beginning: str, statuses: Sequence[str]) -> list[str]:
    found = [status for status in statuses if status.startswith(beginning.casefold())]
    if not found:
        raise InvalidField("q", f"has @{beginning[:32]}, and no state is called so: {', '.join(statuses)}")
    return found
