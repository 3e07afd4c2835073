"""How tmux is asked whether a pane is the one that a session's record means.

Ids of tmux (`$0`, `%0`) are given anew by each server, so by themselves they mean nothing: the pane's option
`OPTION` holds one line of JSON with the session's id, and what acts on a pane, or attaches to it, tests it first.
"""

from __future__ import annotations

import re

OPTION = "@teleclaude"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def shows_mark(session_id: str) -> str:
    """Give a tmux format that is true for a pane with this session's mark, for `if-shell -F -t PANE`.

    Raises ValueError for what is no session's id: a format could act on it.
    """
    if not _ID.fullmatch(session_id):
        raise ValueError(f"{session_id!r} is no session's id")
    return f'#{{m:*"id":"{session_id}"*,#{{{OPTION}}}}}'
