"""What lies over the tree: help, new session, message, and the question before ending. Pure."""

from __future__ import annotations

import posixpath

from msgspec.structs import replace

from teleclaude.client.model import Machine
from teleclaude.core.records import Session, StartedSession
from teleclaude.core.session_title import title_of
from teleclaude.tui import answering, peek
from teleclaude.tui.edit import Edit
from teleclaude.tui.form import Button, Choice, Form, TextField
from teleclaude.tui.keys import Key, Paste
from teleclaude.tui.notices import noticed
from teleclaude.tui.state import (
    AnswerAsk,
    ClientState,
    Compose,
    ConfirmEnd,
    Done,
    Effect,
    EndSession,
    Help,
    LoadAgents,
    NewSession,
    ScreenPeek,
    SendMessage,
    StartSession,
)
from teleclaude.tui.tree import home_of

Step = tuple[ClientState, list[Effect]]

BOX_WIDTH = 76  # cells, frame included
LABEL_WIDTH = 9
BUILT_IN = ("claude", "codex", "gemini", "opencode", "shell")  # offered until the daemon has told its own


def box_width(state: ClientState) -> int:
    """Cells that a dialog is wide."""
    return max(24, min(BOX_WIDTH, state.rows[1] - 4))


def field_width(state: ClientState, *, is_wide: bool = False) -> int:
    """Cells in which a field's text is shown; a wide one has its label above it."""
    return box_width(state) - 4 - (0 if is_wide else LABEL_WIDTH + 1)


def press(state: ClientState, told: Key | Paste) -> Step:
    """Give the state after a key or a paste while a dialog is open."""
    match state.dialog:
        case Help():
            return _help(state, state.dialog, told), []
        case ConfirmEnd():
            return _confirm(state, state.dialog, told)
        case ScreenPeek():
            return peek.press(state, state.dialog, told), []
        case NewSession() | Compose():
            return _form(state, state.dialog, told)
        case AnswerAsk():
            return answering.press(state, state.dialog, told, field_width(state) - 1)
        case None:
            return state, []


def open_new(state: ClientState) -> Step:
    """Ask for what a new session needs; its computer is that of the selection."""
    machine = state.machine or next((m for m in state.model.machines.values() if m.is_local), None)
    if machine is None:
        return noticed(state, "No computer is known yet.", "warning"), []
    if not machine.is_online:
        return noticed(state, f"{machine.name} is offline: nothing can be started there now.", "warning"), []
    names = tuple(agent.name for agent in state.agents) or BUILT_IN
    form = Form(
        (
            Choice("project", "Project", _projects(state, machine)),
            Choice("agent", "Agent", tuple((name, name) for name in names)),
            TextField("title", "Title", hint="optional"),
            TextField("message", "Message", Edit(is_multiline=True), rows=4, hint="optional: the first message"),
            Button("submit", "Start"),
            Button("cancel", "Cancel"),
        ),
        focus=1,
    )
    return replace(state, dialog=NewSession(machine.name, form)), [LoadAgents()]


def open_compose(state: ClientState) -> ClientState:
    """Ask for a message to the selected session."""
    session = state.session
    return state if session is None else replace(state, dialog=_compose(state, session))


def open_unsent(state: ClientState, session: StartedSession, text: str) -> ClientState:
    """Offer a first message that was not sent, with the reason."""
    dialog = _compose(state, session)
    form = dialog.form.paste(text)
    return replace(state, dialog=replace(dialog, form=form, error=f"Started, but not sent: {session.message_error}"))


def _compose(state: ClientState, session: Session) -> Compose:
    rows = max(3, min(10, state.rows[0] - 12))
    form = Form(
        (
            TextField("text", "", Edit(is_multiline=True), rows=rows, hint="Enter is a new line"),
            Button("submit", "Send"),
            Button("cancel", "Cancel"),
        )
    )
    return Compose(session.session_id, session.computer, title_of(session), form)


def agents_known(state: ClientState, failed: str = "") -> ClientState:
    """Offer the agents that the daemon told, the choice kept."""
    dialog = state.dialog
    if not isinstance(dialog, NewSession) or failed or not state.agents:
        return state
    chosen = dialog.form.value("agent")
    names = [agent.name for agent in state.agents]
    choice = Choice("agent", "Agent", tuple((name, name) for name in names), _index(names, chosen))
    return replace(state, dialog=replace(dialog, form=dialog.form.with_field(choice)))


def refused(state: ClientState, done: Done) -> ClientState:
    """Show in the dialog why it was refused, with all that was typed kept; if it was closed, above the keys."""
    reason = done.reason
    if done.code == "waiting_for_approval":
        reason = (
            "This session waits for an approval, and text would answer that. Attach (Enter) and answer there first."
        )
    dialog = state.dialog
    fits = (isinstance(dialog, NewSession) and isinstance(done.call, StartSession)) or (
        isinstance(dialog, Compose)
        and isinstance(done.call, SendMessage)
        and (dialog.computer, dialog.session_id) == (done.call.computer, done.call.session_id)
    )
    if fits and isinstance(dialog, NewSession | Compose):
        return replace(state, dialog=replace(dialog, error=reason, is_busy=False))
    return noticed(state, reason, "error", seconds=20)


def _help(state: ClientState, dialog: Help, told: Key | Paste) -> ClientState:
    if isinstance(told, Key) and told.name in {"down", "j", "pgdn", " "}:
        return replace(state, dialog=Help(min(dialog.top + (1 if told.name in {"down", "j"} else 8), 40)))
    if isinstance(told, Key) and told.name in {"up", "k", "pgup"}:
        return replace(state, dialog=Help(max(0, dialog.top - (8 if told.name == "pgup" else 1))))
    return replace(state, dialog=None)


def _confirm(state: ClientState, dialog: ConfirmEnd, told: Key | Paste) -> Step:
    """Only y ends the session; whatever else is pressed means no. A paste is nobody's answer."""
    if isinstance(told, Paste):
        return state, []
    closed = replace(state, dialog=None)
    if told.name not in {"y", "Y"}:
        return noticed(closed, "Nothing was ended.", "soft"), []
    end = EndSession(dialog.session_id, dialog.title, dialog.computer)
    return noticed(closed, f"Ending {dialog.title}…", "soft", seconds=0), [end]


def _form(state: ClientState, dialog: NewSession | Compose, told: Key | Paste) -> Step:
    if isinstance(told, Paste):
        error = f"Only the first {len(told.text):,} characters of what was pasted were taken." if told.is_cut else ""
        return replace(state, dialog=replace(dialog, form=dialog.form.paste(told.text), error=error)), []
    columns = field_width(state, is_wide=isinstance(dialog, Compose)) - 1  # the last cell is for the cursor
    form, outcome = dialog.form.press(told.name, columns)
    if outcome == "cancel":
        return replace(state, dialog=None), []
    if outcome == "submit" and not dialog.is_busy:
        return _submitted(state, replace(dialog, form=form))
    return replace(state, dialog=replace(dialog, form=form)), []


def _submitted(state: ClientState, dialog: NewSession | Compose) -> Step:
    busy = replace(dialog, is_busy=True, error="")
    if isinstance(dialog, Compose):
        text = dialog.form.value("text")
        if not text.strip():
            return replace(state, dialog=replace(dialog, error="There is nothing to send yet.")), []
        return replace(state, dialog=busy), [SendMessage(dialog.session_id, text, dialog.computer)]
    form = dialog.form
    if not form.value("project"):
        return replace(state, dialog=replace(dialog, error="There is no project to start it in.")), []
    start = StartSession(
        dialog.computer, form.value("project"), form.value("agent"), form.value("title").strip(), form.value("message")
    )
    return replace(state, dialog=busy), [start]


def _projects(state: ClientState, machine: Machine) -> tuple[tuple[str, str], ...]:
    """Projects of a computer as (path, words), that of the selection first."""
    found = {path: project.name or posixpath.basename(path) for path, project in machine.projects.items()}
    selected = _selected_project(state, machine)
    if selected and selected not in found:
        found[selected] = posixpath.basename(selected) or selected
    if machine.is_local and state.home and state.home not in found:
        found[state.home] = "home folder"
    paths = sorted(found, key=lambda path: (path != selected, path == state.home, found[path].casefold(), path))
    return tuple((path, found[path]) for path in paths)


def _selected_project(state: ClientState, machine: Machine) -> str:
    row = state.row
    if row is None:
        return ""
    if row.kind == "project":
        return row.ref
    if row.kind == "todo" and row.ref in machine.todos:
        return machine.todos[row.ref].project
    session = state.session
    return home_of(session, machine.projects) if session else ""


def _index(names: list[str], name: str) -> int:
    return names.index(name) if name in names else 0
