"""What the routes of REST work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from teleclaude.core.records import Computer
from teleclaude.core.settings import Settings
from teleclaude.web.api.health import Workers
from teleclaude.web.api.pending_commands import PendingCommands
from teleclaude.web.api.queries import Queries


@dataclass
class ApiContext:
    """What the routes share; `settings` is replaced when they are read again."""

    settings: Settings
    queries: Queries
    commands: PendingCommands
    workers: Workers
    metrics: Callable[[], bytes]

    def services(self) -> list[Any]:
        """What this computer depends on, and how that is, by its own record."""
        body = self.queries.computer(self.settings.computer.name)
        return list(msgspec.json.decode(body, type=Computer).services) if body else []
