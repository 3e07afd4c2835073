"""Writes identities into tmux, many at a time, in the loop that never waits for it."""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from functools import partial

from teleclaude.core.errors import PeerError, TeleclaudeError
from teleclaude.sync.sessions.identities import Batch, Identities, write_commands
from teleclaude.sync.tmux.asking import Question
from teleclaude.sync.tmux.client import TmuxClient
from teleclaude.sync.tmux.imsg import Answer

log = logging.getLogger(__name__)


class IdentityWriter:
    """Writes what `identities` has and tmux does not show. `failed` is called when that fails in a new way: look."""

    def __init__(self, selector: selectors.BaseSelector, identities: Identities, failed: Callable[[], None]) -> None:
        self._selector, self._identities, self._failed = selector, identities, failed
        self._writes: list[Question] = []
        self._error = ""

    def write(self, tmux: TmuxClient, server: int) -> None:
        """Write what is not written, unless that is under way."""
        self._writes = [write for write in self._writes if write.is_open]
        if self._writes:
            return
        for command, batch in write_commands(self._identities.unwritten()):
            try:
                query = tmux.ask(*command, server=server)
            except (TeleclaudeError, OSError) as error:
                log.debug("identities are not written: %s", error)
                return
            self._writes.append(Question(self._selector, query, partial(self._on_written, batch)))

    def write_now(self, tmux: TmuxClient, server: int, timeout: float) -> None:
        """Write what is not written, and wait for it, at most `timeout` seconds in all."""
        deadline = time.monotonic() + timeout
        for command, _ in write_commands(self._identities.unwritten()):
            try:
                tmux.run(*command, timeout=max(0.0, deadline - time.monotonic()), server=server)
            except (TeleclaudeError, OSError) as error:
                log.info("what was last known is not kept: %s", error)
                return

    def close(self) -> None:
        """End what is under way."""
        for write in self._writes:
            write.close()

    def _on_written(self, batch: Batch, answer: Answer | PeerError | OSError) -> None:
        """Take what became of it. What goes on failing asks for nothing: the next look, when it comes, writes again."""
        error = answer.error if isinstance(answer, Answer) else str(answer)
        if isinstance(answer, Answer) and answer.ok:
            self._identities.written(batch)
        elif error != self._error:
            log.warning("tmux does not keep the ids of its sessions: %s", error)
            self._failed()
        self._error = error
