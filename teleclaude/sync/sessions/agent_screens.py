"""Looks at the screens of agents, where nothing else tells what they do: one at a time, and never waiting for it."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from functools import partial

from teleclaude.core.errors import PeerError, TeleclaudeError
from teleclaude.sync.sessions.session_records import SessionBook
from teleclaude.sync.tmux.asking import Question
from teleclaude.sync.tmux.boot_clock import since_boot
from teleclaude.sync.tmux.client import TmuxClient
from teleclaude.sync.tmux.imsg import Answer


class AgentScreens:
    """`step` after each turn of `selector`'s loop. `seen` is called when `book` was told of a screen."""

    def __init__(self, selector: selectors.BaseSelector, book: SessionBook, seen: Callable[[], None]) -> None:
        self._selector, self._book, self._seen = selector, book, seen
        self._question: Question | None = None

    @property
    def _is_asking(self) -> bool:
        return self._question is not None and self._question.is_open

    def next_due(self) -> float | None:
        """When `step` has something to do (monotonic), or None."""
        at = self._book.next_screen()[1]
        return None if self._is_asking or at == float("inf") else time.monotonic() + max(0.0, at - since_boot())

    def step(self, tmux: TmuxClient, server: int) -> None:
        """Ask for the screen that is due."""
        pane, at = self._book.next_screen()
        if at > since_boot() or self._is_asking:
            return
        try:
            query = tmux.ask("capture-pane", "-p", "-t", pane, server=server)
        except (TeleclaudeError, OSError) as error:
            self._take(pane, OSError(str(error)))
        else:
            self._question = Question(self._selector, query, partial(self._take, pane))

    def close(self) -> None:
        """Ask no more."""
        if self._question:
            self._question.close()

    def _take(self, pane: str, answer: Answer | PeerError | OSError) -> None:
        is_seen = isinstance(answer, Answer) and answer.ok
        screen = answer.output.decode("utf-8", "replace") if isinstance(answer, Answer) and is_seen else None
        self._book.take_screen(pane, screen, since_boot())
        self._seen()
