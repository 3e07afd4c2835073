"""`view(state) -> Frame`: the whole screen as lines of styled cells. Pure.

From top to bottom: header; a rule, or what is wrong; the tree; words (what was done, or what is selected); keys.
Each line has exactly the screen's width. A row that cannot be shown is a mark, and a traceback for the log.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from teleclaude.core.records import Computer, Session, utc_seconds
from teleclaude.tui import boxes, edit, row_lines, searched
from teleclaude.tui.ages import next_change
from teleclaude.tui.cells import Line, Span, clipped, clipped_left, cut, line_width, safe, spread, width
from teleclaude.tui.edit import Edit
from teleclaude.tui.state import LEAST, ClientState, ScreenPeek
from teleclaude.tui.style import SELECTED, SELECTED_GONE
from teleclaude.tui.tree import TreeRow, counts_of

_LONGEST = 3600.0  # seconds; a record may tell a time that is thousands of years away
_TABS = (("sessions", "1 Sessions"), ("preparation", "2 Preparation"))


class Frame(msgspec.Struct, frozen=True):
    """Lines, the place of the cursor if one is shown, and tracebacks of rows that could not be drawn."""

    lines: list[Line]
    cursor: tuple[int, int] | None = None
    problems: tuple[str, ...] = ()


def view(state: ClientState) -> Frame:
    """Draw the state."""
    lines_high, cells = state.rows
    if state.is_too_small:
        return Frame(_too_small(lines_high, cells))
    if isinstance(state.dialog, ScreenPeek):
        return Frame(_peek(state, state.dialog))
    problems: list[str] = []
    body = [_row(row, place, state, problems) for place, row in _visible(state)]
    if not state.tree and not state.query:
        body = _empty(state)
    body += [cut((), cells)] * (state.page - len(body))
    lines = [_header(state), _second(state), *body[: state.page], _words(state), _keys(state)]
    cursor = None if state.search is None else _search_cursor(state.search, state)
    if state.dialog is not None:
        lines, cursor = boxes.laid_over(lines, state)
    return Frame(lines, cursor, tuple(problems))


def _peek(state: ClientState, peek: ScreenPeek) -> list[Line]:
    from teleclaude.tui.peek_lines import lines_of  # what the first screen does not wait for

    machine = state.model.machines.get(peek.computer)
    note = peek.error or banner_of(state)
    if not note and (machine is None or not machine.is_online):
        note = f"{peek.computer} is offline"
    return lines_of(peek.title, peek.computer, peek.output, note, state.rows, left=peek.left, up=peek.up)


def next_tick(state: ClientState) -> float | None:
    """Seconds until something on the screen changes by the clock alone, an hour at the most; None for never."""
    waits = [next_change(state.wall - since) - (state.wall - since) for since in _shown_times(state)]
    if state.link.phase == "down":
        left = state.link.retry_at - state.mono
        waits.append(left - math.floor(left) if left > 0 else 1.0)
    if state.notice and state.notice.until:
        waits.append(state.notice.until - state.mono)
    return max(0.02, min(_LONGEST, *waits) + 0.005) if waits else None


def _too_small(lines_high: int, cells: int) -> list[Line]:
    words = ["too small", f"{LEAST[1]}x{LEAST[0]} at least", "q quits"]
    lines = [cut([(clipped(text, cells), "soft")], cells) for text in words[:lines_high]]
    return lines + [cut((), cells)] * (lines_high - len(lines))


def _visible(state: ClientState) -> Iterator[tuple[int, TreeRow]]:
    return enumerate(state.tree[state.top : state.top + state.page], state.top)


def _shown_times(state: ClientState) -> Iterator[float]:
    for _, row in _visible(state):
        machine = state.model.machines.get(row.computer)
        if machine is None:
            continue
        since = None
        if row.kind == "session" and row.ref in machine.sessions:
            since = row_lines.age_of(machine.sessions[row.ref])
        elif row.kind == "computer" and not machine.is_online and machine.computer:
            since = utc_seconds(machine.computer.last_seen)
        if since is not None:
            yield since


def _row(row: TreeRow, place: int, state: ClientState, problems: list[str]) -> Line:
    try:
        line = row_lines.line_of(row, state)
    except Exception:  # noqa: BLE001  (one bad row must not take the screen with it)
        import traceback  # 3 ms, and seldom needed

        problems.append(f"row {row.key}:\n{traceback.format_exc()}")
        line = cut([(" " * (1 + 2 * row.depth) + "⚠ this row cannot be shown: see tui.log", "error")], state.rows[1])
    machine = state.model.machines.get(row.computer)
    is_gone = state.link.phase == "down" or (machine is not None and not machine.is_online and row.kind != "computer")
    if place == state.cursor:
        suffix = SELECTED_GONE if is_gone else SELECTED
        return tuple((text, ("" if is_gone else style) + suffix) for text, style in line)
    return tuple((text, "gone") for text, _ in line) if is_gone else line


def _header(state: ClientState) -> Line:
    left: list[Span] = [(" teleclaude ", "brand")]
    for name, label in _TABS:
        left += [("  ", ""), (label, "tab-on" if name == state.view else "tab")]
    right: list[Span] = []
    waiting, working = (_total(state, status) for status in ("waiting", "working"))
    if waiting:
        right += [(f" ◆ {waiting} waiting ", "badge-waiting"), ("  ", "")]
    if working:
        right += [(f"● {working} working", "working"), ("  ", "")]
    cells = state.rows[1]
    room = cells - line_width(left) - line_width(right) - 3
    if room >= 4 and state.model.local:
        right.append((clipped(state.model.local, min(room, 40)), "soft"))
    return spread(left, [*right, (" ", "")], cells)


def _total(state: ClientState, status: str) -> int:
    online = [machine for machine in state.model.shown if machine.computer and machine.is_online]
    return sum(counts_of(machine, state.view, state.expansion).get(status, 0) for machine in online)


def _second(state: ClientState) -> Line:
    cells = state.rows[1]
    banner = banner_of(state)
    if banner:
        return cut([(" " + clipped(banner, cells - 2), "banner")], cells, "banner")
    if state.query and state.search is None:
        found = f"{state.query} · {_found(state)} · Esc shows all"
        return cut([("── ", "rule"), (clipped(found, cells - 4), "waiting"), (" " + "─" * cells, "rule")], cells)
    return (("─" * cells, "rule"),)


def _found(state: ClientState) -> str:
    number = searched.count(state)
    return searched.problem_of(state) or (f"{number} found" if number else "nothing found")


def banner_of(state: ClientState) -> str:
    """What is wrong with the connection or the daemon, in words; empty when all is well."""
    link = state.link
    if link.phase == "starting":
        return "starting the daemon…"
    if link.phase == "connecting" and not state.model.has_computers:
        return "connecting to the daemon…"
    if link.phase == "down":
        left = math.ceil(link.retry_at - state.mono)
        when = f"reconnecting in {left} s" if left > 0 else "reconnecting…"
        return f"daemon not reachable · {when} · {link.reason} · r tries now"
    if state.health.stale:
        return f"showing the last known state: {state.health.reason or 'the daemon is catching up'}"
    return ""


def _empty(state: ClientState) -> list[Line]:
    words = {
        "starting": "The daemon is starting. This takes a few seconds.",
        "connecting": "Connecting…",
        "down": "Nothing is known yet: the daemon does not answer. Press r to start it.",
        "up": "No computer is known yet.",
    }[state.link.phase]
    cells = state.rows[1]
    text = clipped(words, cells - 4)
    left = (cells - width(text)) // 2
    return [cut((), cells)] * (state.page // 2 - 1) + [cut([(" " * left, ""), (text, "hint")], cells)]


def _words(state: ClientState) -> Line:
    cells = state.rows[1]
    if state.search is not None:
        return _search_line(state.search, state)
    if state.notice:
        return cut([(" " + clipped(state.notice.text, cells - 2), state.notice.style)], cells)
    return cut([(" ", ""), (_about(state, cells - 2), "soft")], cells)


def _search_line(search: Edit, state: ClientState) -> Line:
    """The words that are typed; where they are longer than the line, what is before the cursor."""
    found: list[Span] = [(clipped(_found(state), state.rows[1] // 2), "soft"), (" ", "")]
    room = state.rows[1] - line_width(found) - 4
    text = edit.shown(search.text)
    shown = text if width(text) <= room else clipped_left(text[: search.cursor], room)
    return spread([(" /", "key"), (shown, "text")], found, state.rows[1])


def _search_cursor(search: Edit, state: ClientState) -> tuple[int, int]:
    before = edit.shown_width(search.text[: search.cursor])
    return state.rows[0] - 2, min(2 + before, state.rows[1] - 1)


def _about(state: ClientState, cells: int) -> str:
    """What is to say of the selected row, and is not in it."""
    row, machine = state.row, state.machine
    if row is None or machine is None:
        return ""
    computer = machine.computer or Computer(name=machine.name)
    session = state.session
    if session is not None:
        place = row_lines.short_path(session.cwd, state, machine)
        if session.asks:
            return clipped(f"{row_lines.status_words(session)}: {row_lines.detail_of(session, cells)}", cells)
        # An id is shown whole or not at all: a cut one would be copied.
        return _joined([place, f"tmux {session.tmux.name}", f"id {session.session_id}"], cells)
    if row.kind == "project" and row.ref in machine.projects:
        return _joined([row_lines.short_path(row.ref, state, machine), machine.projects[row.ref].description], cells)
    if row.kind == "todo" and row.ref in machine.todos:
        return _joined([machine.todos[row.ref].slug, machine.todos[row.ref].description], cells, may_cut=True)
    if row.kind == "computer":
        where = f"{computer.user}@{computer.host}" if computer.user and computer.host else computer.host
        problem = row_lines.problem_of(computer)
        return clipped(problem, cells) if problem else _joined([where, computer.platform, computer.role], cells)
    return ""


def _joined(parts: list[str], cells: int, *, may_cut: bool = False) -> str:
    """Join what fits; the first part is cut at its beginning if it must be, what comes after is whole or left out."""
    text = clipped_left(parts[0], cells)
    for part in parts[1:]:
        shown = safe(part)
        if not shown:
            continue
        if width(text) + 3 + width(shown) <= cells:
            text += f" · {shown}" if text else shown
        elif may_cut and width(text) + 12 < cells:
            return f"{text} · {clipped(shown, cells - width(text) - 3)}"
    return text


def _keys(state: ClientState) -> Line:
    cells = state.rows[1]
    place = f"{state.cursor + 1}/{len(state.tree)} " if len(state.tree) > state.page else ""
    spans: list[Span] = [(" ", "")]
    for key, words in _keys_now(state):
        item: list[Span] = [(key, "key"), (f" {words}   ", "hint")]
        if line_width(spans) + line_width(item) - 3 > cells - len(place) - 1:
            break
        spans += item
    return spread(spans, [(place, "soft")], cells)


def _keys_of(session: Session | None) -> list[tuple[str, str]]:
    """The keys that mean something for a session as it is."""
    if session is not None and session.status == "lost":
        return [("Enter", "bring back"), ("R", "all of them"), ("x", "forget"), ("n", "new")]
    if session is not None and session.asks and session.asks.id:
        yes = "answer" if session.asks.kind == "question" else "allow"
        return [("a", yes), ("d", "deny"), ("Enter", "attach"), ("v", "watch")]
    return [("Enter", "attach"), ("v", "watch"), ("m", "message"), ("x", "end"), ("n", "new")]


def _keys_now(state: ClientState) -> list[tuple[str, str]]:
    row = state.row
    if state.search is not None:
        return [
            ("Enter", "done"),
            ("Esc", "show all"),
            ("↑↓", "move"),
            ("", "words · @waiting · agent: on: in: branch: · -not"),
        ]
    always = [("?", "help"), ("q", "quit"), ("/", "find"), ("Tab", "view")]  # the help names what has no room
    if state.link.phase == "down":
        return [("r", "reconnect"), *always]
    if row is not None and row.kind == "session":
        return [*_keys_of(state.session), *always, ("r", "refresh")]
    if row is not None and row.is_open is not None:
        return [("→←", "open, close"), ("n", "new session"), *always, ("r", "refresh")]
    return [("↑↓", "move"), ("n", "new session"), *always, ("r", "refresh")]
