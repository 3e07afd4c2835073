"""The one offer of hooks: made in words, once for each agent that is seen on this computer without them. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from teleclaude.tui.notices import noticed
from teleclaude.tui.state import CheckHooks, ClientState, Effect

AGENTS = ("claude", "codex", "gemini", "opencode")  # those of whose hooks we know
_SHOWN = 30.0  # seconds


def check_for(state: ClientState) -> tuple[ClientState, list[Effect]]:
    """Have it looked up whether agents that are newly seen here have hooks: each once, and none that was offered."""
    local = next((machine for machine in state.model.machines.values() if machine.is_local), None)
    if local is None:
        return state, []
    seen = {session.agent for session in local.sessions.values()}
    new = tuple(agent for agent in AGENTS if agent in seen and agent not in state.hooks_known)
    if not new:
        return state, []
    return replace(state, hooks_known=state.hooks_known | frozenset(new)), [CheckHooks(new)]


def offered(state: ClientState, without: tuple[str, ...]) -> ClientState:
    """Offer hooks for agents that have none; not over other words or a dialog: that is left to another run."""
    if not without or state.notice is not None or state.dialog is not None:
        return state
    tell, which = ("tells", f" {without[0]}") if len(without) == 1 else ("tell", "")
    text = f"{', '.join(without)} {tell} more with hooks: bin/teleclaude hooks install{which}"
    return replace(noticed(state, text, seconds=_SHOWN), hooks_offered=state.hooks_offered | frozenset(without))
