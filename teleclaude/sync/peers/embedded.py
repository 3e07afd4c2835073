"""The fleet's own server, where nobody has a Redis: Valkey's server from a package, run and watched by this daemon."""

from __future__ import annotations

from teleclaude.core.paths import Places
from teleclaude.core.settings import Settings
from teleclaude.sync.peers.state import Board


class EmbeddedServer:
    """To do."""

    def __init__(self, place: Places, settings: Settings, board: Board) -> None:
        pass

    def start(self) -> None:
        """To do."""

    def stop(self) -> None:
        """To do."""
