"""What another computer may do here: this computer's setting, by sender and verb."""

from __future__ import annotations

import logging

from teleclaude.core.settings import FleetSettings, Settings
from teleclaude.core.text import one_line
from teleclaude.core.verbs import Args, Output, Right, Start, rights_of, verb_name

audit = logging.getLogger("teleclaude.audit")


def rights_for(settings: Settings, args: Args) -> tuple[Right, ...]:
    """Name all rights that a command needs.

    Beyond those of the verbs' table: a login shell, that is what its profile's command is, does whatever it is told.
    """
    profile = settings.agents.get(args.agent) if isinstance(args, Start) else None
    is_shell = profile is not None and not profile.command.strip()
    return (*rights_of(args), *(("shell",) if is_shell else ()))


def lacking(settings: Settings, sender: str, args: Args) -> Right | None:
    """Name the first right that a command needs and its sender does not have here; None when it may run."""
    return next((right for right in rights_for(settings, args) if not may(settings.fleet, sender, right)), None)


def may(fleet: FleetSettings, sender: str, right: Right) -> bool:
    """Tell whether `sender` has a right here. An entry of its own replaces that of everybody."""
    return right in fleet.allow.get(sender, fleet.allow.get("*", ()))


def why_refused(settings: Settings, me: str, sender: str, args: Args) -> str:
    """Say why a command of `sender` does not run here; empty when it may."""
    right = lacking(settings, sender, args)
    if right is not None:
        return refusal(me, sender, right)
    return no_screens(me) if isinstance(args, Output) and hides_screens(settings) else ""


def hides_screens(settings: Settings) -> bool:
    """Tell whether no other computer gets a screen from here, whatever it may."""
    return settings.privacy.share == "state"


def no_screens(me: str) -> str:
    """Say that no screen is shown."""
    return f'{me} shows its screens to no other computer: its setting privacy.share is "state"'


def refusal(me: str, sender: str, right: Right) -> str:
    """Say that `sender` lacks a right here, and where it is given."""
    what = "start a login shell" if right == "shell" else right
    return f'{me} does not allow {sender} to {what}: "{right}" is not in its setting fleet.allow for {sender}'


def note(sender: str, request_id: str, args: Args, what: str) -> None:
    """Write the audit line of one use: who, what, on what, and what became of it; never the text that was sent."""
    target = getattr(args, "session_id", "") or getattr(args, "project", "")
    _write(sender, request_id, verb_name(args), target, what)


def note_watch(sender: str, request_id: str, session_id: str, what: str) -> None:
    """Write the audit line of a watch that begins, or is refused; those that only go on are not worth one each."""
    _write(sender, request_id, "watch", session_id, what)


def _write(sender: str, request_id: str, verb: str, target: str, what: str) -> None:
    audit.info(
        "%s %s %s on %s: %s",
        one_line(sender, 128),
        verb,
        one_line(request_id, 64),
        one_line(target, 200) or "-",
        one_line(what, 200),
    )
