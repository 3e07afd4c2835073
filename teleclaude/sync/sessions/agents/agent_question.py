"""The signs by which an agent tells that it asks something, and that it takes a prompt. Pure.

Rules:
- A text that goes in while an agent asks is lost, and the Enter behind it answers. So any sign of a question counts.
- Authority, highest first: the agent's own state file, its title, its screen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from teleclaude.sync.sessions.agents.agent_table import AgentTable, Shown

_BEGIN: Final = 12  # characters by which a text is known again


@dataclass(frozen=True, slots=True)
class AgentQuestion:
    """Why a text would not be a prompt. `kind`: an approval or another answer is awaited; or nothing is known yet."""

    kind: Literal["approval", "unready"]
    reason: str


def question(table: AgentTable, shown: Shown) -> AgentQuestion | None:
    """Give the question that stands between a text and the agent's prompt, or None when none is seen."""
    agent = table.name
    if shown.file_status == "waiting":
        return AgentQuestion(
            "approval", f"{agent} waits for an answer ({shown.waiting_for or 'it does not say to what'})"
        )
    if table.title_asks(shown):
        return AgentQuestion("approval", f"{agent} waits for an answer (its title says so)")
    chosen = choice(table.pointer, shown.screen)
    if chosen:
        return AgentQuestion("approval", f"{agent} waits for a choice ({chosen!r} is marked on its screen)")
    if table.has_title and not shown.file_status and shown.title in {"", shown.untitled}:
        return AgentQuestion(
            "unready", f"{agent} has not come to its prompt: it starts, or asks what it asks at a first start"
        )
    return None


def is_unsent(table: AgentTable, screen: str, text: str) -> bool:
    """Tell whether a text that was pasted stands at the agent's prompt; long ones are shown as `[Pasted …]`."""
    drafts = table.prompt.findall(screen) if table.prompt else []
    begin = next((line.strip()[:_BEGIN] for line in text.split("\n") if line.strip()), "")
    return bool(drafts and begin) and (begin in drafts[-1] or "[Pasted" in drafts[-1])


def choice(pointer: str, screen: str) -> str:
    """Give the line of a numbered menu that is marked, when what was marked last on the screen is such a line.

    The prompt's own line bears the same mark, and stands below all that was said before; Claude's has a no-break
    space behind it, so that what is typed there is no menu.
    """
    if not pointer:
        return ""
    marked = [line.strip(" \u2502") for line in screen.split("\n") if line.strip(" \u2502").startswith(pointer)]
    found = re.match(rf"{re.escape(pointer)} +(\d+\. .*)", marked[-1]) if marked else None
    return found[1].strip()[:60] if found else ""
