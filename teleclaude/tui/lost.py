"""Sessions that were lost: offered once, brought back one by one or all of a computer. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from teleclaude.core.records import Session
from teleclaude.core.session_title import title_of
from teleclaude.tui.notices import noticed
from teleclaude.tui.state import ClientState, Effect, RestoreSession

Step = tuple[ClientState, list[Effect]]
_SHOWN = 30.0  # seconds


def restore(state: ClientState, session: Session) -> Step:
    """Bring one back."""
    call = RestoreSession(session.session_id, title_of(session), session.computer)
    return noticed(state, f"Bringing back {call.title}…", "soft", seconds=0), [call]


def restore_all(state: ClientState) -> Step:
    """Bring back all that were lost on the computer of the selected row."""
    machine = state.machine
    lost = [session for session in machine.sessions.values() if session.status == "lost"] if machine else []
    if machine is None or not lost or not machine.is_online:
        return noticed(state, "Nothing that was lost can be brought back here.", "soft"), []
    calls: list[Effect] = [RestoreSession(each.session_id, title_of(each), each.computer) for each in lost]
    return noticed(state, f"Bringing back {len(lost)} on {machine.name}…", "soft", seconds=0), calls


def offered(state: ClientState) -> ClientState:
    """Offer what is newly lost on this computer, once; not over a dialog: the rows tell it all the same."""
    local = next((machine for machine in state.model.machines.values() if machine.is_local), None)
    lost = {key for key, session in local.sessions.items() if session.status == "lost"} if local else set()
    if lost <= state.lost_offered or state.dialog is not None:
        return state
    what = "1 session was" if len(lost) == 1 else f"{len(lost)} sessions were"
    text = f"{what} lost. On its row: Enter brings one back, x forgets it; R brings back all."
    return replace(noticed(state, text, "warning", seconds=_SHOWN), lost_offered=state.lost_offered | lost)
