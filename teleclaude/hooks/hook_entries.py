"""The entries that agents' settings get: an event, and the group that runs our script at it. Pure.

Claude Code, Codex and Gemini CLI share the shape: `{"hooks": {EVENT: [{"hooks": [{"type": "command", …}]}]}}`.
An entry is ours when its command runs our script, whatever else it says.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from teleclaude.core.errors import Refused

Group: TypeAlias = dict[str, Any]
Entries: TypeAlias = Mapping[str, Group]  # by event


def command(script: Path, *words: str) -> str:
    """Give the command line that runs our script. It never changes: Codex has its user look at each new one."""
    return shlex.join([str(script), *words])


def is_ours(handler: object, script: Path) -> bool:
    """Tell whether a handler runs our script."""
    if not isinstance(handler, dict) or not isinstance(line := handler.get("command"), str):
        return False
    try:
        return shlex.split(line)[:1] == [str(script)]
    except ValueError:
        return False


def is_all_ours(group: object, script: Path) -> bool:
    """Tell whether a group has handlers, and all of them are ours."""
    handlers = group.get("hooks") if isinstance(group, dict) else None
    return isinstance(handlers, list) and bool(handlers) and all(is_ours(handler, script) for handler in handlers)


def groups(data: Mapping[str, Any], state: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Give each event with its groups. `state`: a key beside the events. Raises Refused for what has another shape."""
    hooks = data.get("hooks", {})
    if not isinstance(hooks, dict):
        raise Refused("`hooks` is not a table of events")
    for event, found in hooks.items():
        if event == state:
            continue
        if not isinstance(found, list):
            raise Refused(f"`hooks.{event}` is not a list")
        yield event, found


def ours_in(data: Mapping[str, Any], script: Path, state: str = "") -> dict[str, list[Group]]:
    """Give the groups in which something is ours, by event."""
    found = {
        event: [group for group in of if isinstance(group, dict) and _has_ours(group, script)]
        for event, of in groups(data, state)
    }
    return {event: of for event, of in found.items() if of}


def _has_ours(group: Group, script: Path) -> bool:
    handlers = group.get("hooks")
    return isinstance(handlers, list) and any(is_ours(handler, script) for handler in handlers)


def is_as_wanted(data: Mapping[str, Any], entries: Entries, script: Path, state: str = "") -> bool:
    """Tell whether all entries are there as they should be, once, and no others of ours."""
    return ours_in(data, script, state) == {event: [group] for event, group in entries.items()}
