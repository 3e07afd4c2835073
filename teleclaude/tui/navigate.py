"""Moving in the tree. Pure.

Rules of this module: the selection is a key, and stays on the row with that key wherever it moves. When that row has
gone, the row that took its place below the same parent is selected, else the one above; when the parent has gone with
it (the last session of a project ended), the next row of the same computer.
"""

from __future__ import annotations

import itertools

from msgspec.structs import replace

from teleclaude.tui import searched, tree
from teleclaude.tui.state import ClientState
from teleclaude.tui.tree import Key, TreeRow


def rebuilt(state: ClientState) -> ClientState:
    """Give the state with the tree that its model and expansion make, the selection on its row."""
    signature = tree.signature(state.model, state.view, state.expansion)
    if state.query:  # what fits may change with each record; machines are compared by identity
        signature = (state.view, state.query, *state.model.machines.values())
    if signature != state.signature:
        if state.query:
            rows = tree.found_rows(state.model, state.view, state.outlines, searched.fitting(state))
        else:
            rows = tree.build(state.model, state.view, state.expansion, state.outlines)
        state = _reselected(state, rows, signature)
    return _scrolled(state)


def move(state: ClientState, step: int) -> ClientState:
    """Move the selection by `step` rows, over those that cannot be selected."""
    place, last = state.cursor, len(state.tree) - 1
    target = max(0, min(last, place + step))
    direction = 1 if step > 0 else -1
    while 0 <= target <= last and state.tree[target].kind == "note":
        target += direction
    if not 0 <= target <= last:  # nothing but words in that direction: as far as there is
        target = place
    return _at(state, target)


def move_to(state: ClientState, place: int) -> ClientState:
    """Select the row at `place`, or the nearest before it that can be selected."""
    place = max(0, min(len(state.tree) - 1, place))
    while place > 0 and state.tree[place].kind == "note":
        place -= 1
    return _at(state, place)


def select(state: ClientState, key: Key) -> ClientState:
    """Select the row with `key`, opening what it is in; nothing happens when there is none."""
    place = _place(state.tree, key)
    if place is None:
        state = _unfolded(state, key)
        place = _place(state.tree, key)
    return state if place is None else _scrolled(_at(state, place))


def expand(state: ClientState) -> ClientState:
    """Open the selected row; on an open one, go to its first child."""
    row = state.row
    if row is None or row.is_open is None:
        return state
    if not row.is_open:
        return _with_open(state, row, True)
    below = state.tree[state.cursor + 1 : state.cursor + 2]
    has_child = bool(below) and below[0].depth > row.depth and below[0].kind != "note"
    return move(state, 1) if has_child else state


def collapse(state: ClientState) -> ClientState:
    """Close the selected row; on a closed one or a leaf, go to its parent."""
    row = state.row
    if row is None:
        return state
    if row.is_open:
        return _with_open(state, row, False)
    place = state.cursor
    while place > 0 and state.tree[place].depth >= row.depth:
        place -= 1
    return _at(state, place)


def toggle(state: ClientState) -> ClientState:
    """Open a closed row, close an open one."""
    row = state.row
    return state if row is None or row.is_open is None else _with_open(state, row, not row.is_open)


def _with_open(state: ClientState, row: TreeRow, opened: bool) -> ClientState:
    key = (state.view, *row.key)
    expansion = {other: value for other, value in state.expansion.items() if other != key}
    return replace(state, expansion=expansion | {key: opened})


def _unfolded(state: ClientState, key: Key) -> ClientState:
    """Open the computer and the project in which a session's row is."""
    computer, session_id = key[1], key[2]
    machine = state.model.machines.get(computer)
    session = machine.sessions.get(session_id) if machine else None
    if machine is None or session is None:
        return state
    above = (tree.computer_key(computer), tree.project_key(computer, tree.home_of(session, machine.projects)))
    opened = {(state.view, *each): True for each in above}
    return rebuilt(replace(state, expansion=dict(state.expansion) | opened))


def _reselected(state: ClientState, rows: list[TreeRow], signature: tuple[object, ...]) -> ClientState:
    wanted = state.selected.get(state.view)
    here = state.cursor
    found = replace(state, tree=rows, signature=signature)
    if wanted is None:
        return _at(found, _first(rows))
    if here < len(rows) and rows[here].key == wanted:
        return found
    place = _place(rows, wanted)
    if place is not None:
        return _at(found, place)
    if here < len(state.tree) and state.tree[here].key == wanted:
        return _at(found, _neighbour(state.tree, rows, here))
    return replace(found, cursor=_first(rows))  # it may still come: what was selected is not forgotten


def _neighbour(old: list[TreeRow], rows: list[TreeRow], here: int) -> int:
    """Where the selection goes when its row has gone; a row that is at another depth now counts as gone."""
    places = {(row.key, row.depth): place for place, row in enumerate(rows) if row.kind != "note"}
    depth = old[here].depth
    parent = next((place for place in range(here - 1, -1, -1) if old[place].depth < depth), 0)
    below = list(itertools.takewhile(lambda row: row.depth >= depth, old[here + 1 :]))
    siblings = [row for row in below if row.depth == depth]
    above = old[parent:here][::-1]
    next_ones = itertools.takewhile(lambda row: row.depth > 0 and row.kind != "quiet", old[here + 1 :])
    nearest = itertools.chain(siblings, above, next_ones, old[:parent][::-1])
    return next((places[row.key, row.depth] for row in nearest if (row.key, row.depth) in places), 0)


def _place(rows: list[TreeRow], key: Key) -> int | None:
    return next((place for place, row in enumerate(rows) if row.key == key), None)


def _first(rows: list[TreeRow]) -> int:
    """The first session or todo, else the first row."""
    return next((place for place, row in enumerate(rows) if row.kind in {"session", "todo"}), 0)


def _at(state: ClientState, place: int) -> ClientState:
    if not 0 <= place < len(state.tree):
        return state
    return replace(state, cursor=place, selected={**state.selected, state.view: state.tree[place].key})


def _scrolled(state: ClientState) -> ClientState:
    """Keep the selection on the screen, with a row above and below it where there are any."""
    page, count = state.page, len(state.tree)
    margin = min(2, (page - 1) // 2)
    top = min(state.top, max(0, count - page))
    top = min(top, max(0, state.cursor - margin))
    top = max(top, min(state.cursor + margin, count - 1) - page + 1)
    return state if top == state.top else replace(state, top=max(0, top))
