"""How tmux is asked whether a pane is the one that a session's record means.

Ids of tmux (`$0`, `%0`) are given anew by each server, so by themselves they mean nothing. An option holds one line of
JSON with the session's id: `PANE_OPTION` of the pane for an agent's, `SESSION_OPTION` of its tmux session for one
without an agent. What acts on a pane, or attaches to it, tests that first.
"""

from __future__ import annotations

import re

PANE_OPTION, SESSION_OPTION = "@teleclaude", "@teleclaude_session"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def shows_mark(session_id: str) -> str:
    """Give a tmux format that is true for a pane with this id, or in a session with it: for `if-shell -F -t TARGET`.

    The target is of `seen_from`: for a pane alone tmux would choose the session itself. Raises ValueError for what is
    no session's id: a format could act on it.
    """
    if not _ID.fullmatch(session_id):
        raise ValueError(f"{session_id!r} is no session's id")
    pane, session = (f'#{{m:*"id":"{session_id}"*,#{{{option}}}}}' for option in (PANE_OPTION, SESSION_OPTION))
    return f"#{{||:{pane},{session}}}"


def seen_from(session: str, pane: str) -> str:
    """Give the target of a pane as a session shows it; windows may be linked to several. By ids: `$3`, `%5`."""
    return f"{session}:.{pane}"
