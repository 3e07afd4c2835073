"""When somebody last pressed a key in tmux: by sessions that somebody is attached to, and never backwards."""

from __future__ import annotations

from dataclasses import replace

from teleclaude.sync.tmux.imsg import Answer
from teleclaude.sync.tmux.last_key import LastKey
from teleclaude.sync.tmux.panes import Look, PaneReader, Peek
from tests.sync.tmux.test_panes import HEAD, row


def look(*panes: tuple[str, int, int]) -> Look:
    """A look at panes: (id, clients, when its session was used)."""
    one = PaneReader("n").read(Answer(True, HEAD + row(), ""))
    made = [replace(one.panes[0], id=pane, attached=clients, session_activity=used) for pane, clients, used in panes]
    return Look(one.server, made)


def peek(pane: str, used: int) -> Peek:
    """A peek at a pane."""
    return Peek(pane, "$1", False, None, 0, used, "")


def test_the_last_key_is_that_of_an_attached_session() -> None:
    """What a command of ours wrote to a session at which nobody sits is no key."""
    last = LastKey()
    assert last.at == 0
    last.looked(look(("%1", 1, 100), ("%2", 0, 900)))
    assert last.at == 100
    last.peeked([peek("%2", 950), peek("%1", 120)])
    assert last.at == 120
    last.looked(look(("%2", 1, 90)))
    assert last.at == 120
    last.peeked([peek("%1", 990)])
    assert last.at == 120
