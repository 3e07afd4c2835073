"""What keys do in the tree. Pure. The same table makes the help and the line of keys."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from teleclaude.core.records import Computer
from teleclaude.core.session_title import title_of
from teleclaude.tui import dialogs, finder, lost, navigate, peek, waiting
from teleclaude.tui.answering import answer
from teleclaude.tui.notices import noticed
from teleclaude.tui.state import (
    ClientState,
    ConfirmEnd,
    Effect,
    Help,
    LookAgain,
    PrepareAttach,
    Quit,
    Redraw,
    Retry,
    StartDaemon,
    Suspend,
)
from teleclaude.tui.tree import VIEWS, View

Step = tuple[ClientState, list[Effect]]


def press(state: ClientState, key: str) -> Step:
    """Give the state after a key that no dialog takes, and what is to be done."""
    command = KEYS.get(key)
    return (state, []) if command is None else command(state)


def attach(state: ClientState) -> Step:
    """Enter on a session attaches; on another row it opens or closes it."""
    session, machine = state.session, state.machine
    if session is None or machine is None:
        return navigate.toggle(state), []
    if not machine.is_online:
        return noticed(state, f"{machine.name} is offline: nothing can be attached there now.", "warning"), []
    if session.status == "lost":
        return lost.restore(state, session)
    call = PrepareAttach(session, machine.computer or Computer(name=machine.name))
    return noticed(replace(state, attaching=call), f"Attaching to {title_of(session)}…", "soft"), [call]


def end(state: ClientState) -> Step:
    """Ask whether the selected session is to be ended."""
    session = state.session
    if session is None:
        return _no_session(state, "end"), []
    agent = "" if session.agent in {"shell", "other"} else session.agent
    asked = ConfirmEnd(session.session_id, session.computer, title_of(session), agent, session.tmux.panes)
    return replace(state, dialog=replace(asked, is_lost=session.status == "lost")), []


def new(state: ClientState) -> Step:
    """Ask for a new session's project, agent, title and message."""
    if state.link.phase in {"starting", "down"}:
        return noticed(state, "A session can be started when the daemon is connected.", "warning"), []
    return dialogs.open_new(state)


def message(state: ClientState) -> Step:
    """Ask for a message to the selected session."""
    if state.session is None:
        return _no_session(state, "send a message to"), []
    return dialogs.open_compose(state), []


def refresh(state: ClientState) -> Step:
    """Look again; without a connection: connect again, and start the daemon."""
    if state.link.phase == "up":
        row = state.row
        return noticed(state, "Looking again…", "soft"), [LookAgain(row.computer if row else "")]
    return replace(state, link=replace(state.link, phase="starting")), [Retry(), StartDaemon()]


def show(view: View) -> Callable[[ClientState], Step]:
    """Make the command that shows a view."""
    return lambda state: (replace(state, view=view, top=0), [])


def next_view(state: ClientState) -> Step:
    """Show the other view."""
    return show(VIEWS[(VIEWS.index(state.view) + 1) % len(VIEWS)])(state)


def _no_session(state: ClientState, what: str) -> ClientState:
    return noticed(state, f"Select the session to {what} first.", "soft")


def _plain(step: Callable[[ClientState], ClientState]) -> Callable[[ClientState], Step]:
    return lambda state: (step(state), [])


def _moved(rows: int) -> Callable[[ClientState], Step]:
    return _plain(lambda state: navigate.move(state, rows))


def _paged(direction: int) -> Callable[[ClientState], Step]:
    return _plain(lambda state: navigate.move(state, direction * max(1, state.page - 1)))


_first = _plain(lambda state: navigate.move_to(state, 0))
_last = _plain(lambda state: navigate.move_to(state, len(state.tree) - 1))

# What is done, the keys that do it, and the words for the help (none for a second way to do the same).
TABLE: tuple[tuple[str, tuple[str, ...], str, Callable[[ClientState], Step]], ...] = (
    ("↑ k", ("up", "k", "ctrl+p"), "up", _moved(-1)),
    ("↓ j", ("down", "j", "ctrl+n"), "down", _moved(1)),
    ("PgUp PgDn", ("pgup", "ctrl+b"), "a page up or down", _paged(-1)),
    ("", ("pgdn", "ctrl+f"), "", _paged(1)),
    ("Home g", ("home", "g"), "to the first row", _first),
    ("End G", ("end", "G"), "to the last row", _last),
    ("→ l", ("right", "l"), "open", _plain(navigate.expand)),
    ("← h", ("left", "h"), "close, or go to the parent", _plain(navigate.collapse)),
    ("Enter", ("enter",), "attach to the session; open or close a node", attach),
    ("Space", (" ",), "open or close a node", _plain(navigate.toggle)),
    ("n", ("n",), "new session", new),
    ("m", ("m",), "message to the session", message),
    ("v", ("v",), "the session's screen, live", _plain(peek.opened)),
    ("a d", ("a",), "allow what the agent asks, answer it; deny it", answer("allow")),
    ("", ("d",), "", answer("deny")),
    ("A", ("A",), "allow as the agent suggests for its session", answer("suggested")),
    ("x", ("x",), "end the session; it asks first", end),
    ("/", ("/",), "find: words, @waiting, agent:codex, on:raspi, in:shop", finder.begin),
    ("Esc", ("esc",), "show all again", _plain(finder.clear)),
    ("w W", ("w",), "to the next, the previous session that waits", waiting.next_waiting(1)),
    ("", ("W",), "", waiting.next_waiting(-1)),
    ("@ ! # &", ("@",), "only those that wait, work, are idle, failed; again: all", finder.show_status("waiting")),
    ("", ("!",), "", finder.show_status("working")),
    ("", ("#",), "", finder.show_status("idle")),
    ("", ("&",), "", finder.show_status("error")),
    ("", ("0",), "", _plain(finder.clear)),
    ("R", ("R",), "bring back all that were lost; Enter: one", lost.restore_all),
    ("r", ("r",), "look again now; connect again", refresh),
    ("1 2 Tab", ("tab", "shift+tab"), "sessions, preparation", next_view),
    ("", ("1",), "", show("sessions")),
    ("", ("2",), "", show("preparation")),
    ("?", ("?", "f1"), "this help", lambda state: (replace(state, dialog=Help()), [])),
    ("Ctrl-L", ("ctrl+l",), "paint the screen anew", lambda state: (state, [Redraw()])),
    ("Ctrl-Z", ("ctrl+z",), "to the shell; fg comes back", lambda state: (state, [Suspend()])),
    ("q", ("q", "ctrl+c"), "quit; sessions go on", lambda state: (replace(state, is_over=True), [Quit()])),
)
ALWAYS = {"q", "ctrl+c", "ctrl+z", "ctrl+l"}  # keys that act on no row: also where none can be seen
KEYS: dict[str, Callable[[ClientState], Step]] = {key: command for _, keys, _, command in TABLE for key in keys}
