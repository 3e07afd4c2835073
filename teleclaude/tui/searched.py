"""Which rows fit the words that are looked for. Pure.

The text of a record is made once, and kept for as long as the record stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING

from teleclaude.client.model import Machine
from teleclaude.core.errors import InvalidField
from teleclaude.core.records import SESSION_STATUSES, TODO_STATUSES, Session, Todo
from teleclaude.tui import tree
from teleclaude.tui.state import ClientState

if TYPE_CHECKING:
    from teleclaude.core.session_query import SearchText, SessionQuery


def problem_of(state: ClientState) -> str:
    """Why the words cannot be read; empty when they can."""
    try:
        _query(state)
    except InvalidField as error:
        return error.message
    return ""


def count(state: ClientState) -> int:
    """How many rows fit."""
    return sum(row.kind in {"session", "todo"} for row in state.tree)


def fitting(state: ClientState) -> Callable[[Machine], Container[str]]:
    """Give what says which rows of a machine fit the words."""
    try:
        query = _query(state)
    except InvalidField:
        return lambda _: ()
    return lambda machine: {ref for ref, text in _texts(state, machine).items() if query.fits(text)}


def _query(state: ClientState) -> SessionQuery:
    from teleclaude.core.session_query import read_query  # the first screen does not wait for it

    return read_query(state.query, TODO_STATUSES if state.view == "preparation" else SESSION_STATUSES)


def _texts(state: ClientState, machine: Machine) -> Mapping[str, SearchText]:
    """Give the texts of a machine's rows, kept for as long as its records are the same."""
    key = (state.view, machine.name)
    known = state.texts.get(key)
    if known is None or known[0] is not machine:
        records: Mapping[str, Session | Todo] = machine.todos if state.view == "preparation" else machine.sessions
        before = known[1] if known else {}
        texts = {ref: _text(record, machine, before.get(ref)) for ref, record in records.items()}
        known = state.texts[key] = (machine, texts)
    return known[1]


def _text(record: Session | Todo, machine: Machine, before: SearchText | None) -> SearchText:
    from teleclaude.core.session_query import search_text, todo_text  # as above

    home = tree.home_of(record, machine.projects) if isinstance(record, Session) else record.project
    project = machine.projects.get(home)
    if before is not None and before.record is record and before.project is project:
        return before
    return search_text(record, project) if isinstance(record, Session) else todo_text(record, project)
