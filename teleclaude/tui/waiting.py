"""Going to who waits, on any computer. Pure.

A computer that is closed tells only how many wait there: it is opened, and gone on from as soon as its sessions come.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from teleclaude.client.model import Machine
from teleclaude.tui import tree
from teleclaude.tui.finder import clear
from teleclaude.tui.navigate import rebuilt, select
from teleclaude.tui.notices import noticed
from teleclaude.tui.state import ClientState, Effect, Seek
from teleclaude.tui.tree import TreeRow, computer_key

Step = tuple[ClientState, list[Effect]]
Place = tuple[int, int]  # of a computer among all, and of a session in it, from 1


def next_waiting(direction: int) -> Callable[[ClientState], Step]:
    """Make the command that goes to the next session that waits, on any computer; the last is followed by the first."""
    return lambda state: (_go_on(state, direction), [])


def _go_on(state: ClientState, direction: int) -> ClientState:
    stops = _stops(state)
    if not stops:
        return noticed(state, "No session waits for you.", "soft")
    state = replace(clear(state), view="sessions")
    ahead = [place for place in stops if place > _place(state)] if direction > 0 else []
    behind = [place for place in stops if place < _place(state)] if direction < 0 else []
    place = min(ahead, default=min(stops)) if direction > 0 else max(behind, default=max(stops))
    return _gone_to(rebuilt(state), stops[place], direction)


def _gone_to(state: ClientState, stop: TreeRow, direction: int) -> ClientState:
    if stop.kind == "session":
        return select(state, stop.key)
    opened = dict(state.expansion) | {("sessions", *stop.key): True}
    state = rebuilt(replace(state, expansion=opened, seek=Seek(stop.computer, direction)))
    return noticed(select(state, stop.key), f"Asking {stop.computer} who waits…", "soft")


def _stops(state: ClientState) -> dict[Place, TreeRow]:
    """Rows to stop at, by place: sessions that wait, and computers not looked at that say that some do."""
    machines = enumerate(tree.machines_in_order(state.model))
    return {
        (number, place): row
        for number, machine in machines
        if machine.is_online
        for place, row in _waiting_in(state, machine)
    }


def _waiting_in(state: ClientState, machine: Machine) -> list[tuple[int, TreeRow]]:
    if "sessions" in machine.loaded and tree.followed_kinds(machine, "sessions", state.expansion):
        rows = _sessions(state, machine)
        return [(place, row) for place, row in rows if machine.sessions[row.ref].status == "waiting"]
    if machine.computer and machine.computer.counts.get("waiting"):
        return [(0, TreeRow("computer", computer_key(machine.name), 0, machine.name))]
    return []


def _sessions(state: ClientState, machine: Machine) -> list[tuple[int, TreeRow]]:
    """All sessions of a machine in their order, numbered from 1, whatever is open."""
    groups = tree.outline_of(machine, "sessions", state.outlines).busy
    return list(enumerate((row for group in groups for row in group.rows if row.ref in machine.sessions), 1))


def _place(state: ClientState) -> Place:
    """Where the selection is among all sessions; that of a project's row is before its first."""
    row = state.row
    if row is None:
        return (-1, 0)
    for number, machine in enumerate(tree.machines_in_order(state.model)):
        if machine.name == row.computer:
            places = {each.ref: place for place, each in _sessions(state, machine)}
            if row.kind == "session":
                return (number, places.get(row.ref, 0))
            groups = tree.outline_of(machine, "sessions", state.outlines).busy
            first = next((group.rows[0].ref for group in groups if row.kind == "project" and group.path == row.ref), "")
            return (number, max(0, places[first] - 1) if first in places else 0)
    return (-1, 0)


def sought(state: ClientState) -> ClientState:
    """Go to the session that waits on the computer that was gone to, as soon as its sessions are there."""
    seek = state.seek
    machine = state.model.machines.get(seek.computer) if seek else None
    if seek is None or machine is None or "sessions" not in machine.loaded:
        return state if seek is None or machine is not None else replace(state, seek=None)
    state = replace(state, seek=None)
    rows = [row for _, row in _sessions(state, machine) if machine.sessions[row.ref].status == "waiting"]
    if not rows:
        return noticed(state, f"No session on {seek.computer} waits any more.", "soft")
    return select(replace(state, notice=None), rows[0 if seek.direction > 0 else -1].key)
