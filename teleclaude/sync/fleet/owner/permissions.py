"""What another computer may do here: this computer's setting, by sender and verb."""

from __future__ import annotations

import logging
from typing import Literal, TypeAlias

from teleclaude.core.requests import Args, verb_of
from teleclaude.core.requests import Verb as CommandVerb
from teleclaude.core.settings import FleetSettings
from teleclaude.core.text import one_line

audit = logging.getLogger("teleclaude.audit")

Right: TypeAlias = Literal["view", "message", "start", "end"]

RIGHTS: dict[CommandVerb, Right] = {
    "output": "view",
    "watch": "view",
    "refresh": "view",
    "message": "message",
    "keys": "message",
    "rename": "message",
    "start": "start",
    "end": "end",
}


def right_for(args: Args) -> Right:
    """Name the right that a command needs."""
    return RIGHTS[verb_of(args)]


def may(fleet: FleetSettings, sender: str, right: Right) -> bool:
    """Tell whether `sender` has a right here. An entry of its own replaces that of everybody."""
    return right in fleet.allow.get(sender, fleet.allow.get("*", ()))


def note(sender: str, request_id: str, args: Args, what: str) -> None:
    """Write the audit line of one use: who, what, on what, and what became of it; never the text that was sent."""
    target = getattr(args, "session_id", "") or getattr(args, "project", "")
    audit.info(
        "%s %s %s on %s: %s",
        one_line(sender, 128),
        verb_of(args),
        one_line(request_id, 64),
        one_line(target, 200) or "-",
        one_line(what, 200),
    )
