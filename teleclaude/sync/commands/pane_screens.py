"""What stands in a session's pane: the screen as it is now, and pages of its history. One tmux command line each."""

from __future__ import annotations

import time
from typing import Any

from teleclaude.core.errors import PeerError
from teleclaude.core.live_screen import LiveScreen, screen_of
from teleclaude.core.screen_text import only_colours
from teleclaude.core.verbs import Output
from teleclaude.sync.commands.pane_now import Target
from teleclaude.sync.commands.session_panes import STEP_TIMEOUT, SessionPanes
from teleclaude.sync.commands.terminal_text import page_of

OUTPUT_LIMIT = 200_000  # characters
_HEAD = "#{pane_width} #{cursor_y} #{cursor_x} #{cursor_flag} #{alternate_on} #{history_size}"
_FIELDS = 6


class PaneScreens:
    """Usable from any thread. Methods raise what `SessionPanes` raises, NotFound for a session that has ended."""

    def __init__(self, panes: SessionPanes) -> None:
        self._panes = panes

    def now(self, session_id: str) -> tuple[str, LiveScreen]:
        """Give (pane, screen) of a session."""
        deadline = time.monotonic() + STEP_TIMEOUT
        self._panes.await_first_look(deadline)
        _, target = self._panes.find(session_id)
        head, text = self._captured(target, [], deadline)
        width, row, column, is_shown, is_alternate, _ = head
        cursor = (row, column) if is_shown else None
        return target.pane, screen_of(text, width, cursor, alternate=bool(is_alternate))

    def page(self, args: Output, deadline: float) -> dict[str, Any]:
        """Give the fields of a verb's answer.

        Lines that a terminal wrapped count as one: where there are too few of them, more of the history is taken.
        """
        _, target = self._panes.find(args.session_id)
        reach = wanted = args.lines + args.before
        while True:
            head, screen = self._captured(target, ["-J", "-S", f"-{reach}"], deadline)
            text, history = only_colours(screen), head[-1]
            is_all = reach >= history
            found = page_of(text, args.lines, args.before, OUTPUT_LIMIT)
            if is_all or len(page_of(text, wanted, 0, OUTPUT_LIMIT * 1000)) >= wanted:
                above = page_of(text, 1, args.before + len(found), OUTPUT_LIMIT)
                return {"text": "\n".join(found), "has_more": bool(above) or not is_all}
            reach *= 2

    def _captured(self, target: Target, more: list[str], deadline: float) -> tuple[list[int], str]:
        """Give the numbers of `_HEAD`, and what was captured with the options `more`."""
        ask = ["display-message", "-p", "-t", target.where, _HEAD]
        capture = ["capture-pane", "-p", "-e", *more, "-t", target.pane]
        answer = self._panes.act(target, ask, capture, deadline=deadline).decode("utf-8", "replace")
        first, _, screen = answer.partition("\n")
        numbers = [int(text) for text in first.split() if text.isdecimal()]
        if len(numbers) != _FIELDS:
            raise PeerError("tmux' answer about a screen is not whole")
        return numbers, screen
