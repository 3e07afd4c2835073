"""Looking for something in the tree: `/`, and the keys that show one state. Pure.

What is typed is read with each key (searched.py). While something is looked for, rows of all computers are followed.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from teleclaude.tui.edit import Edit
from teleclaude.tui.keys import Key, Paste
from teleclaude.tui.navigate import move, move_to, rebuilt, select
from teleclaude.tui.state import ClientState, Effect

Step = tuple[ClientState, list[Effect]]
_FOUND = {"session", "todo"}  # kinds of rows
_MOVES = {"up": -1, "down": 1, "ctrl+p": -1, "ctrl+n": 1}


# What is looked for


def begin(state: ClientState) -> Step:
    """Let words be typed, after those that are there."""
    return replace(state, search=Edit(state.query, len(state.query)), notice=None), []


def press(state: ClientState, told: Key | Paste) -> Step:
    """Take a key, or a paste, into the words."""
    search = state.search or Edit()
    if isinstance(told, Paste):
        return _typed(state, search.insert(told.text[:1000])), []
    match told.name:
        case "enter":
            return replace(state, search=None), []
        case "esc" | "ctrl+c":
            return clear(state), []
        case "backspace" if not search.text:
            return clear(state), []
        case name if name in _MOVES:
            return move(state, _MOVES[name]), []
        case name:
            edited = search.press(name)
            return (state if edited is None else _typed(state, edited)), []


def _typed(state: ClientState, search: Edit) -> ClientState:
    return _looking(replace(state, search=search), search.text)


def _looking(state: ClientState, query: str) -> ClientState:
    """Show what fits, with something of it selected."""
    state = rebuilt(replace(state, query=query))
    row = state.row
    first = next((place for place, each in enumerate(state.tree) if each.kind in _FOUND), None)
    return state if first is None or not query or (row and row.kind in _FOUND) else move_to(state, first)


def clear(state: ClientState) -> ClientState:
    """Show all again. The selection stays where it is, and what it is in is open."""
    if not state.query and state.search is None:
        return state
    row = state.row
    state = rebuilt(replace(state, search=None, query="", top=0))
    return select(state, row.key) if row is not None and row.kind == "session" else state


def show_status(status: str) -> Callable[[ClientState], Step]:
    """Make the command that shows sessions in one state; again: all."""
    words = f"@{status}"
    return lambda state: (
        clear(state) if state.query == words else _looking(replace(state, view="sessions", top=0), words),
        [],
    )
