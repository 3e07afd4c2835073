"""A look at the screen of one session, live: over the whole terminal, for reading only. What keys do in it. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from teleclaude.client.events import LiveOutput, ServerError
from teleclaude.core.session_title import title_of
from teleclaude.tui.keys import Key, Paste
from teleclaude.tui.notices import noticed
from teleclaude.tui.state import ClientState, ScreenPeek

_SIDEWAYS = {"left": -1, "h": -1, "right": 1, "l": 1}
_UPWARDS = {"up": 1, "k": 1, "pgup": 10, "down": -1, "j": -1, "pgdn": -10}
STEP = 8  # columns
AROUND = 2  # lines of the terminal that show no row: the head, and the keys


def opened(state: ClientState) -> ClientState:
    """Show the screen of the selected session."""
    session, machine = state.session, state.machine
    if session is None or machine is None:
        return noticed(state, "Select the session to look at first.", "soft")
    if not machine.is_online:
        return noticed(state, f"{machine.name} is offline: its screens cannot be seen now.", "warning")
    return replace(state, dialog=ScreenPeek(session.session_id, session.computer, title_of(session)))


def press(state: ClientState, peek: ScreenPeek, told: Key | Paste) -> ClientState:
    """Give the state after a key: arrows move over a screen that is larger, all that close dialogs closes it."""
    if isinstance(told, Paste):
        return state
    columns, rows = (peek.output.columns, peek.output.rows) if peek.output else (0, 0)
    if told.name in _SIDEWAYS:
        left = _within(peek.left + STEP * _SIDEWAYS[told.name], columns - state.rows[1])
        return replace(state, dialog=replace(peek, left=left))
    if told.name in _UPWARDS:
        up = _within(peek.up + _UPWARDS[told.name], rows - state.rows[0] + AROUND)
        return replace(state, dialog=replace(peek, up=up))
    return replace(state, dialog=None) if told.name in {"esc", "v", "q", "ctrl+c"} else state


def _within(number: int, most: int) -> int:
    return max(0, min(most, number))


def shown(state: ClientState, output: LiveOutput) -> ClientState:
    """Take a screen; one that is not looked at any more changes nothing."""
    peek = state.dialog
    if not isinstance(peek, ScreenPeek) or (peek.computer, peek.session_id) != (output.computer, output.session_id):
        return state
    return replace(state, dialog=replace(peek, output=output, error=""))


def refused(state: ClientState, error: ServerError) -> ClientState | None:
    """Take why there is no screen; None when the error is about something else."""
    peek = state.dialog
    if error.field not in {"watch", "session_id"} or not isinstance(peek, ScreenPeek):
        return None
    if error.session_id not in {"", peek.session_id}:
        return state
    return replace(state, dialog=replace(peek, error=error.message))


def watched(state: ClientState) -> tuple[str, str] | None:
    """The (computer, session id) whose screen is looked at."""
    peek = state.dialog
    return (peek.computer, peek.session_id) if isinstance(peek, ScreenPeek) else None
