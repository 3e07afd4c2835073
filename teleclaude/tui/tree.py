"""The tree: computer > project > session, and computer > project > todo. Pure.

Rules of this module: which rows there are and in which order depends only on what a machine's `shape` stands for,
on what is open, and on whether a computer answers; never on a status or a title. So rows do not jump, an update of a
record costs no new tree, and a row is known by its key for as long as the thing lives, wherever it moves. While
somebody looks for something, rows are there that fit, in the same order, and all that they are in is open.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

from teleclaude.client.model import OWNED, Machine, Model
from teleclaude.core.records import Kind, Project, Session, Todo

View: TypeAlias = Literal["sessions", "preparation"]
VIEWS: tuple[View, ...] = ("sessions", "preparation")
Key: TypeAlias = tuple[str, ...]
_PATH_LIMIT = 4096  # PATH_MAX: what is longer is no folder
NEEDS: dict[View, tuple[Kind, ...]] = {"sessions": ("sessions", "projects"), "preparation": ("projects", "todos")}


class TreeRow(msgspec.Struct, frozen=True, gc=False):
    """A row of the tree. `ref` is a project's path, a session's id or a todo's key; `is_open` is None for a leaf.

    Kinds: computer, project, session, todo, quiet (the projects in which nothing is), note (words, not to select).
    """

    kind: str
    key: Key
    depth: int
    computer: str
    ref: str = ""
    is_open: bool | None = None
    text: str = ""
    count: int = 0


class Group(msgspec.Struct, frozen=True):
    """A project with the rows below it."""

    path: str
    rows: tuple[TreeRow, ...]


class Outline(msgspec.Struct, frozen=True):
    """The groups of one machine in one view, as of its `shape`: those with rows, and those without."""

    shape: int
    busy: tuple[Group, ...]
    quiet: tuple[Group, ...]


Expansion: TypeAlias = Mapping[Key, bool]  # (view, *key of the row) → whether it was opened or closed by hand
Outlines: TypeAlias = dict[tuple[View, str], Outline]


def machines_in_order(model: Model) -> list[Machine]:
    """This computer first, then the others by name."""
    return sorted(model.shown, key=lambda m: (not m.is_local, m.name.casefold(), m.name))


def is_open(view: View, row_key: Key, expansion: Expansion, *, by_default: bool) -> bool:
    """Tell whether a row is open."""
    return expansion.get((view, *row_key), by_default)


def computer_key(name: str) -> Key:
    """Key of a computer's row."""
    return ("computer", name)


def project_key(computer: str, path: str) -> Key:
    """Key of a project's row."""
    return ("project", computer, path)


def session_key(computer: str, session_id: str) -> Key:
    """Key of a session's row: it does not name the project, for a session may move."""
    return ("session", computer, session_id)


def found_rows(
    model: Model, view: View, outlines: Outlines, fitting: Callable[[Machine], Container[str]]
) -> list[TreeRow]:
    """Give the rows of a view that fit, with those that they are in. `fitting`: the rows' `ref`s, of a machine."""
    rows: list[TreeRow] = []
    for machine in machines_in_order(model):
        fits = fitting(machine)
        inside: list[TreeRow] = []
        for group in outline_of(machine, view, outlines).busy:
            found = [row for row in group.rows if row.ref in fits]
            if found:
                key = project_key(machine.name, group.path)
                head = TreeRow("project", key, 1, machine.name, group.path, is_open=True, count=len(found))
                inside += [head, *found]
        if inside:
            rows += [TreeRow("computer", computer_key(machine.name), 0, machine.name, is_open=True), *inside]
    return rows


def build(model: Model, view: View, expansion: Expansion, outlines: Outlines) -> list[TreeRow]:
    """Give the rows of a view. `outlines` keeps what can be used again."""
    rows: list[TreeRow] = []
    for machine in machines_in_order(model):
        key = computer_key(machine.name)
        opened = is_open(view, key, expansion, by_default=machine.is_local)
        rows.append(TreeRow("computer", key, 0, machine.name, is_open=opened))
        if opened:
            _append_machine(rows, machine, view, expansion, outline_of(machine, view, outlines))
    for name in {name for _, name in outlines} - model.machines.keys():
        for each in VIEWS:
            outlines.pop((each, name), None)
    return rows


def signature(model: Model, view: View, expansion: Expansion) -> tuple[object, ...]:
    """Two states with equal signatures have equal trees."""
    machines = [
        (m.name, m.shape, m.loaded, m.computer and (m.computer.status, m.computer.awaited, m.computer.is_local))
        for m in model.machines.values()
    ]
    return (view, expansion, tuple(machines))


def wanted_scopes(
    model: Model, view: View, expansion: Expansion, *, is_searched: bool = False
) -> frozenset[tuple[str, Kind]]:
    """What must be followed: all of this computer, and of each other one what an open node shows, or is searched."""
    return frozenset(
        (machine.name, kind)
        for machine in model.machines.values()
        for kind in (*followed_kinds(machine, view, expansion), *(NEEDS[view] if is_searched else ()))
    )


def followed_kinds(machine: Machine, view: View, expansion: Expansion) -> tuple[Kind, ...]:
    """Of what kinds a computer's records are followed: this one's of all, another one's of those that its row shows."""
    if machine.is_local:
        return OWNED
    return NEEDS[view] if is_open(view, computer_key(machine.name), expansion, by_default=False) else ()


def counts_of(machine: Machine, view: View, expansion: Expansion) -> Mapping[str, int]:
    """Numbers of a computer's sessions by status: of the rows where they are followed, else as it says."""
    if "sessions" in machine.loaded and "sessions" in followed_kinds(machine, view, expansion):
        return machine.row_counts
    return machine.computer.counts if machine.computer else {}


def home_of(session: Session, projects: Mapping[str, Project]) -> str:
    """Path of the project that a session belongs to: its own, or the longest project path that holds its folder."""
    if session.project in projects:
        return session.project
    path = posixpath.normpath(session.cwd) if 0 < len(session.cwd) <= _PATH_LIMIT else ""
    while path and path not in projects:
        above = posixpath.dirname(path)
        path = "" if above == path else above
    return path or session.project or session.cwd


def _append_machine(rows: list[TreeRow], machine: Machine, view: View, expansion: Expansion, outline: Outline) -> None:
    for group in outline.busy:
        key = project_key(machine.name, group.path)
        opened = is_open(view, key, expansion, by_default=True)
        rows.append(TreeRow("project", key, 1, machine.name, group.path, is_open=opened, count=len(group.rows)))
        if opened:
            rows.extend(group.rows)
    note = _note(machine, view, outline)
    if note:
        rows.append(TreeRow("note", ("note", machine.name), 1, machine.name, text=note))
    if outline.quiet:
        key = ("quiet", machine.name)
        opened = is_open(view, key, expansion, by_default=False)
        rows.append(TreeRow("quiet", key, 1, machine.name, is_open=opened, count=len(outline.quiet)))
        if opened:
            rows.extend(
                TreeRow("project", project_key(machine.name, group.path), 2, machine.name, group.path)
                for group in outline.quiet
            )


def _note(machine: Machine, view: View, outline: Outline) -> str:
    missing = [kind for kind in NEEDS[view] if kind not in machine.loaded]
    awaited = machine.computer.awaited if machine.computer else ()
    if not machine.is_online:
        return "nothing is known of it yet" if missing and not outline.busy else ""
    if missing or any(kind in awaited for kind in NEEDS[view]):
        return "loading…"
    if outline.busy:
        return ""
    if view == "preparation":
        return "No todos. Write them into todos/roadmap.md or TODO.md of a project."
    return "No sessions. Press n to start one" + (", or run tmux." if machine.is_local else ".")


def outline_of(machine: Machine, view: View, outlines: Outlines) -> Outline:
    """Give the groups of a machine, and keep them in `outlines` while its shape stays."""
    found = outlines.get((view, machine.name))
    if found is None or found.shape != machine.shape:
        found = outlines[view, machine.name] = _outlined(machine, view)
    return found


def _outlined(machine: Machine, view: View) -> Outline:
    leaves = _todo_rows(machine) if view == "preparation" else _session_rows(machine)
    names = {path: project.name for path, project in machine.projects.items()}
    paths = sorted({*leaves, *machine.projects}, key=lambda p: ((names.get(p) or posixpath.basename(p)).casefold(), p))
    groups = [Group(path, tuple(leaves.get(path, ()))) for path in paths]
    quiet = [g for g in groups if not g.rows and machine.projects[g.path].configured]
    return Outline(machine.shape, tuple(g for g in groups if g.rows), tuple(quiet))


def _session_rows(machine: Machine) -> dict[str, list[TreeRow]]:
    groups: defaultdict[str, list[Session]] = defaultdict(list)
    homes: dict[tuple[str, str], str] = {}  # many sessions are in few folders
    for session in machine.sessions.values():
        place = (session.project, session.cwd)
        home = homes.get(place)
        if home is None:
            home = homes[place] = home_of(session, machine.projects)
        groups[home].append(session)
    return {path: list(_family_rows(machine.name, sessions)) for path, sessions in groups.items()}


def _family_rows(computer: str, sessions: list[Session]) -> Iterable[TreeRow]:
    """Rows in order of creation, each followed by the sessions that its agent started."""
    sessions.sort(key=_age)
    if not any(session.parent for session in sessions):
        return [TreeRow("session", ("session", computer, s.session_id), 2, computer, s.session_id) for s in sessions]
    return _nested_rows(computer, sessions)


def _age(session: Session) -> tuple[str, int, str, str]:
    """Sorts by creation; what was created in the same moment by tmux' number of it, which counts up."""
    number = session.tmux.session
    return (session.created_at, len(number), number, session.session_id)


def _nested_rows(computer: str, sessions: list[Session]) -> Iterable[TreeRow]:
    here = {s.session_id for s in sessions}
    children: defaultdict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        is_child = session.parent in here and session.parent != session.session_id
        children[session.parent if is_child else ""].append(session)
    waiting = [(session, 2) for session in reversed(children.pop("", []))]
    while waiting:
        session, depth = waiting.pop()
        yield TreeRow("session", session_key(computer, session.session_id), depth, computer, session.session_id)
        waiting += [(child, min(depth + 1, 6)) for child in reversed(children.pop(session.session_id, []))]
    for lost in children.values():  # parents in a ring: shown all the same
        for session in lost:
            yield TreeRow("session", session_key(computer, session.session_id), 2, computer, session.session_id)


def _todo_rows(machine: Machine) -> dict[str, list[TreeRow]]:
    groups: defaultdict[str, list[tuple[Todo, str]]] = defaultdict(list)
    for key, todo in machine.todos.items():
        groups[todo.project].append((todo, key))
    return {
        path: [
            TreeRow("todo", ("todo", machine.name, path, todo.slug), 2, machine.name, key)
            for todo, key in sorted(todos, key=lambda pair: (pair[0].order, pair[0].slug))
        ]
        for path, todos in groups.items()
    }
