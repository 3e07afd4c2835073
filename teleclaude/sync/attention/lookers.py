"""Whether somebody looks at a session, and where the last key came. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from teleclaude.core.client_places import TerminalClient
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.tmux_clients import AttachedClient

LOOKS_FOR = 60.0  # seconds after the last key that somebody is taken to look at the screen


def is_on_screen(
    notice: SessionNotice,
    is_own: bool,
    clients: Iterable[AttachedClient],
    terminals: Iterable[TerminalClient],
    wall: float,
) -> bool:
    """Tell whether a session is on a screen at which somebody sits; in a terminal client it is when it is selected.

    `is_own`: it is of this computer, so that its pane may be in a tmux client; `wall`: seconds since 1970.
    """
    mark = f"{notice.computer}/{notice.session_id}"
    for client in clients:
        is_shown = client.shows == mark or (is_own and client.pane == notice.pane != "")
        if is_shown and wall - client.last_key <= LOOKS_FOR:
            return True
    return any(one.looks_at == mark and wall - one.last_key <= LOOKS_FOR for one in terminals)


def used_last(
    clients: Sequence[AttachedClient], terminals: Sequence[TerminalClient]
) -> AttachedClient | TerminalClient | None:
    """The client that the last key came from; None when there is none."""
    both: list[AttachedClient | TerminalClient] = [*clients, *terminals]
    return max(both, key=lambda one: one.last_key, default=None)
