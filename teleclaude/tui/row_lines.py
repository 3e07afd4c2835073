"""How each row of the tree looks. Pure: a row and the state give a line of exactly the screen's width."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from teleclaude.client.model import Machine
from teleclaude.core.records import Computer, Session, Todo, utc_seconds
from teleclaude.core.session_title import title_of
from teleclaude.tui.ages import age_text
from teleclaude.tui.cells import Line, Span, clipped, clipped_left, cut, fit, line_width, spread, width
from teleclaude.tui.state import ClientState
from teleclaude.tui.style import agent_style
from teleclaude.tui.tree import TreeRow, counts_of

MARKS = {
    "running": "▸",
    "working": "●",
    "waiting": "◆",
    "idle": "○",
    "starting": "◌",
    "error": "✗",
    "ended": "·",
    "lost": "↯",
    "unknown": "?",
}
TODO_MARKS = {"pending": ("○", "idle"), "ready": ("◆", "ready"), "in_progress": ("●", "working"), "done": ("✓", "done")}
COUNTED = ("waiting", "working", "error")  # what a closed node tells of what is in it
_REASONS = {
    "approval": "needs approval",
    "input": "needs input",
    "question": "asks a question",
    "plan": "plan to approve",
    "setup": "first-run setup",
}
_COLOURS = {"claude": "orange", "codex": "cyan", "gemini": "blue", "opencode": "magenta", "shell": "green"}
_SHELLS = {"shell", "other"}


class Columns(msgspec.Struct, frozen=True):
    """Widths of the columns at the right of a session's row, in cells; 0 leaves a column out.

    `detail`: what it waits for or does, in a line.
    """

    agent: int
    status: int
    detail: int
    attached: int
    age: int

    @classmethod
    def of(cls, cells: int) -> Columns:
        """Columns that suit a screen of so many cells."""
        if cells >= 100:
            return cls(9, 18, (cells - 64) // 2, 3, 7)
        if cells >= 70:
            return cls(8, 15, 0, 3, 7)
        return cls(0, 0 if cells < 50 else 14, 0, 0, 7 if cells >= 36 else 0)


def line_of(row: TreeRow, state: ClientState) -> Line:
    """The line of a row. Raises whatever a record that lies makes it raise: the caller shows a mark instead."""
    machine = state.model.machines[row.computer]
    cells = state.rows[1]
    match row.kind:
        case "computer":
            return _computer(row, machine, state, cells)
        case "project":
            return _project(row, machine, state, cells)
        case "session":
            return _session(row, machine.sessions[row.ref], state, cells)
        case "todo":
            return _todo(row, machine.todos[row.ref], cells)
        case "quiet":
            what = "sessions" if state.view == "sessions" else "todos"
            words = f"{row.count} {_plural('project', row.count)} without {what}"
            return cut([*_indent(row), (clipped(words, cells), "soft")], cells)
        case _:
            return cut([*_indent(row), (clipped(row.text, max(0, cells - 6)), "hint")], cells)


def age_of(session: Session) -> float | None:
    """Time since which a session is as it is."""
    return _seconds(session.status_since or session.last_activity or session.created_at)


# A key paints each row and asks when its age changes: of one time, the text is read once.
_seconds = lru_cache(maxsize=1024)(utc_seconds)


def problem_of(computer: Computer) -> str:
    """What is wrong at a computer, in words; empty when all is well."""
    troubles = [service for service in computer.services if service.state in {"absent", "down", "hung"}]
    if computer.status == "offline":  # what it said of itself is old; what is wrong with its messages was noted here
        troubles = [service for service in troubles if service.name == "messages"]
    told = [s.reason or f"{s.name} {'does not answer' if s.state == 'hung' else f'is {s.state}'}" for s in troubles]
    return "; ".join(told)


def short_path(path: str, state: ClientState, machine: Machine) -> str:
    """Give a path with this user's home as ~."""
    home = state.home
    if machine.is_local and home and (path == home or path.startswith(home + "/")):
        return "~" + path[len(home) :]
    return path


def _indent(row: TreeRow) -> list[Span]:
    sign = {True: "▾ ", False: "▸ ", None: ""}[row.is_open]
    return [(" " * (1 + 2 * row.depth) + sign, "soft")]


def _computer(row: TreeRow, machine: Machine, state: ClientState, cells: int) -> Line:
    computer = machine.computer or Computer(name=machine.name)
    left: list[Span] = [*_indent(row), (clipped(computer.name, cells // 2), "computer")]
    about = "this computer" if computer.is_local else computer.role
    if about:
        left.append(("  " + clipped(about, 24), "soft"))
    right = (
        _offline(computer, state)
        if computer.status == "offline"
        else _counts(counts_of(machine, state.view, state.expansion))
    )
    problem = problem_of(computer)
    if problem:
        room = cells - line_width(left) - line_width(right) - 6
        if room >= 12:
            left += [("  ⚠ ", "warning"), (clipped(problem, room), "warning")]
        else:
            left.append(("  ⚠", "warning"))
    return spread(left, [*right, (" ", "")], cells)


def _offline(computer: Computer, state: ClientState) -> list[Span]:
    seen = utc_seconds(computer.last_seen)
    age = age_text(state.wall - seen) if seen is not None else ""
    return [(f"offline {age}".rstrip(), "warning")]


def _counts(counts: Mapping[str, int]) -> list[Span]:
    shown = [(name, counts[name]) for name in COUNTED if counts.get(name)]
    total = sum(counts.values())
    spans: list[Span] = []
    for name, number in shown:
        spans.append((f"{MARKS[name]} {number} {name}  ", name))
    spans.append((f"{total} {_plural('session', total)}" if total else "", "soft"))
    return spans


def _project(row: TreeRow, machine: Machine, state: ClientState, cells: int) -> Line:
    project = machine.projects.get(row.ref)
    name = project.name if project and project.name else posixpath.basename(row.ref) or row.ref or "elsewhere"
    right: list[Span] = []
    if row.is_open is False:
        right = _inside(row, machine, state)
    right.append((" ", ""))
    left: list[Span] = [*_indent(row), (clipped(name, cells // 2), "project")]
    branch = clipped(project.branch, 24) if project and project.branch else ""
    room = cells - line_width(left) - line_width(right) - width(branch) - 6
    if room >= 8:
        left.append(("  " + clipped_left(short_path(row.ref, state, machine), room), "soft"))
    if branch:
        left.append(("  " + branch, "soft"))
    return spread(left, right, cells)


def _inside(row: TreeRow, machine: Machine, state: ClientState) -> list[Span]:
    outline = state.outlines.get((state.view, machine.name))
    group = next((g for g in outline.busy if g.path == row.ref), None) if outline else None
    if state.view == "preparation" or group is None:
        return [(f"{row.count} {_plural('todo', row.count)}", "soft")]
    counts: dict[str, int] = {}
    for each in group.rows:
        session = machine.sessions.get(each.ref)
        if session:
            counts[session.status] = counts.get(session.status, 0) + 1
    return _counts(counts)


def _session(row: TreeRow, session: Session, state: ClientState, cells: int) -> Line:
    since = age_of(session)
    age = "" if since is None else age_text(state.wall - since)
    colours = {agent.name: agent.colour for agent in state.agents}
    colour = colours.get(session.agent) or _COLOURS.get(session.agent, "white")
    return _session_line(session, row.depth, agent_style(colour), age, cells)


@lru_cache(maxsize=512)
def _session_line(session: Session, depth: int, style: str, age: str, cells: int) -> Line:
    columns = Columns.of(cells)
    right: list[Span] = []
    if columns.agent:
        right.append((fit("" if session.agent == "other" else session.agent, columns.agent), style))
    if columns.status:
        right.append((fit(_status_words(session, columns), columns.status), _status_style(session, columns)))
    if columns.detail:
        detail = detail_of(session, columns.detail)
        right.append((fit(detail, columns.detail), session.status if session.asks else "soft"))
    if columns.attached:
        right.append((fit("◉" if session.attached else "", columns.attached), "attached"))
    if columns.age:
        right.append((fit(age, columns.age, right=True), "soft"))
    mark = MARKS.get(session.status, "?")
    lead = [(" " * (1 + 2 * depth) + ("↳ " if depth > 2 else ""), "soft"), (mark + " ", session.status)]
    room = max(0, cells - line_width(lead) - line_width(right) - 2)
    title_style = "title-on" if session.status in {"waiting", "error"} else "title"
    return cut([*lead, (fit(title_of(session), room), title_style), (" ", ""), *right, (" ", "")], cells)


def detail_of(session: Session, cells: int) -> str:
    """What a session waits for or does, in a line that is little longer than `cells`; empty when nothing is known.

    What is asked; else what runs behind, and what was said last: to it while it works, by it when it is done.
    """
    if session.asks:
        asks = session.asks
        told = f"{asks.tool}: {asks.text}" if asks.tool and asks.text else asks.tool or asks.text
        return _folded(f"{asks.answered} · {told}" if asks.answered else told, cells)
    if session.agent in _SHELLS:
        return session.command
    is_done = session.status in {"idle", "error", "ended", "lost"}
    said = session.last_answer or session.last_prompt if is_done else session.last_prompt
    parts = [part for part in (session.background, said) if part]
    return _folded(" · ".join(parts), cells) or ("" if session.command == session.agent else session.command)


def _folded(text: str, cells: int) -> str:
    return " ".join(text[: cells * 4].split())


def status_words(session: Session) -> str:
    """How a session is, in a word or two."""
    if session.status == "waiting" or (session.status == "error" and session.status_reason):
        return _REASONS.get(session.status_reason, session.status_reason or session.status)
    return session.status


def _status_words(session: Session, columns: Columns) -> str:
    if session.status not in {"waiting", "error"} and not columns.detail and session.agent in _SHELLS:
        return session.command or session.status  # the mark tells the rest
    return status_words(session)


def _status_style(session: Session, columns: Columns) -> str:
    is_command = not columns.detail and session.agent in _SHELLS and session.status not in {"waiting", "error"}
    return "soft" if is_command else session.status


def _todo(row: TreeRow, todo: Todo, cells: int) -> Line:
    mark, style = TODO_MARKS.get(todo.status, ("?", "unknown"))
    right: list[Span] = []
    if cells >= 70:
        has = [word for word, there in (("requirements", todo.has_requirements), ("plan", todo.has_plan)) if there]
        right.append((fit(" · ".join(has), 22), "soft"))
    if cells >= 100:
        states = [
            f"{name} {value}" for name, value in (("build", todo.build_status), ("review", todo.review_status)) if value
        ]
        right.append((fit(" · ".join(states), 30), "soft"))
    if cells >= 50:
        right.append((fit(todo.status.replace("_", " "), 12), style))
    lead = [(" " * (1 + 2 * row.depth), ""), (mark + " ", style)]
    room = max(0, cells - line_width(lead) - line_width(right) - 1)
    title_style = "soft" if todo.status == "done" else "title"
    return cut([*lead, (fit(todo.title or todo.slug, room), title_style), (" ", ""), *right], cells)


def _plural(word: str, number: int) -> str:
    return word if number == 1 else word + "s"
