"""What this computer says of itself."""

from __future__ import annotations

import os
import platform
import pwd

from teleclaude import __version__
from teleclaude.core.paths import DEFAULT_TMUX_SOCKET
from teleclaude.core.records import Computer
from teleclaude.core.settings import Settings
from teleclaude.sync.own_records import OwnRecords


def describe(own: OwnRecords, settings: Settings, tmux_socket: str) -> Computer:
    """What stays the same of this computer's record until the settings change."""
    return Computer(
        name=own.computer,
        is_local=True,
        user=_user(),
        host=settings.computer.host,
        tmux_socket=tmux_socket or DEFAULT_TMUX_SOCKET,
        role=settings.computer.role,
        platform=f"{platform.system()} {platform.machine()}",
        version=__version__,
        epoch=own.epoch,
    )


def _user() -> str:
    """Name of the user whose tmux this is; the environment's may be another's (su, sudo)."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
