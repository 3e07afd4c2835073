"""One question to tmux under way in a selector's loop."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from teleclaude.core.errors import PeerError
from teleclaude.sync.tmux.client import Query
from teleclaude.sync.tmux.imsg import Answer


class Question:
    """Waits for a query's answer without blocking. `on_end` is given it, or why none comes, once; not after `close`."""

    def __init__(
        self, selector: selectors.BaseSelector, query: Query, on_end: Callable[[Answer | PeerError | OSError], None]
    ) -> None:
        self._selector, self._query, self._on_end = selector, query, on_end
        self._is_open = True
        self._selector.register(query.fileno(), query.mask(), self.advance)

    @property
    def is_open(self) -> bool:
        """Whether it is still under way."""
        return self._is_open

    def advance(self) -> None:
        """Do what can be done now."""
        try:
            answer = self._query.advance()
        except (PeerError, OSError) as error:
            self.close()
            self._on_end(error)
            return
        if answer is None:
            self._selector.modify(self._query.fileno(), self._query.mask(), self.advance)
            return
        self.close()
        self._on_end(answer)

    def close(self) -> None:
        """End it, answered or not."""
        if self._is_open:
            self._is_open = False
            self._selector.unregister(self._query.fileno())
            self._query.close()
