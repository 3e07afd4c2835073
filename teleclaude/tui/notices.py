"""Words for the line above the keys. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from teleclaude.core.session_title import title_of
from teleclaude.tui.state import ClientState, Done, EndSession, LookAgain, Notice, PrepareAttach, RestoreSession

SHOWN = 5.0  # seconds
_ADVICE = {
    "unavailable": "Try again when the daemon answers.",
    "unknown": "Look at the tree before you try again.",
    "refused": "",
    "not_found": "It has gone.",
}


def noticed(state: ClientState, text: str, style: str = "text", *, seconds: float = SHOWN) -> ClientState:
    """Give the state with words shown for `seconds`; 0: until others replace them."""
    return replace(state, notice=Notice(text, style, state.mono + seconds if seconds else 0.0))


def failure(done: Done) -> str:
    """Say what failed, why, and what to do."""
    match done.call:
        case EndSession():
            what = f"{done.call.title} was not ended: "
        case RestoreSession():
            what = f"{done.call.title} did not come back: "
        case PrepareAttach():
            what = f"Not attached to {title_of(done.call.session)}: "
        case LookAgain():
            what = "Not refreshed: "
        case _:
            what = ""
    reason = done.reason.rstrip(".")
    return f"{what}{reason}. {_ADVICE.get(done.code, '')}".strip()
