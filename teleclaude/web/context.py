"""What the routes work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from teleclaude.core.records import Computer
from teleclaude.core.settings import Settings
from teleclaude.web.api.commands import Commands
from teleclaude.web.api.health import Workers
from teleclaude.web.api.queries import Reads
from teleclaude.web.push.hub import Hub
from teleclaude.web.push.socket import Conversations


@dataclass
class Parts:
    """The parts of the web process; `settings` is replaced when they are read again."""

    settings: Settings
    reads: Reads
    hub: Hub
    commands: Commands
    workers: Workers
    conversations: Conversations
    metrics: Callable[[], bytes]

    def services(self) -> list[Any]:
        """What this computer depends on, and how that is, by its own record."""
        body = self.reads.computer(self.settings.computer.name)
        return list(msgspec.json.decode(body, type=Computer).services) if body else []
