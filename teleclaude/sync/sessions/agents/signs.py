"""The signs by which an agent tells that it asks something, and that it takes a prompt. Pure: tables and judgement.

Rules:
- One table per agent, as data, from what the agents were seen to do (Claude Code 2.1, Codex 0.169, Gemini CLI 0.61,
  opencode 1.18). Another version that shows other signs is not understood, which is never taken for *ready*.
- A text that goes in while an agent asks is lost, and the Enter behind it answers. So any sign of a question counts.
- Authority, highest first: the agent's own state file, its title, its screen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final, Literal

_CLAUDE_POINTER: Final = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
_CODEX_POINTER: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
_BEGIN: Final = 12  # characters by which a text is known again


@dataclass(frozen=True, slots=True)
class Shown:
    """What an agent shows now.

    `file_status`: of its state file, empty without one, "starting" while it names none. `untitled`: tmux' own title.
    """

    title: str
    untitled: str
    folder: str
    screen: str
    file_status: str = ""
    waiting_for: str = ""


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of one agent.

    `prompt`: the line of its screen, the last of its kind, in which stands what was typed and not sent yet.
    `asks`: its title while it waits for an answer. `pointer`: what stands before the chosen line of a menu.
    `has_title`: it sets a title as soon as it is past the questions of its first run. `ready`: it takes a prompt; the
    screen must show no menu besides. `enter_pause`: seconds that Enter must come after a paste.
    """

    ready: Callable[[Shown], bool]
    prompt: re.Pattern[str] | None = None
    asks: re.Pattern[str] | None = None
    pointer: str = ""
    has_title: bool = False
    enter_pause: float = 0.06


def _claude_ready(shown: Shown) -> bool:
    return shown.file_status == "idle" if shown.file_status else shown.title.startswith("\N{EIGHT SPOKED ASTERISK} ")


def _codex_ready(shown: Shown) -> bool:
    # In the questions of its first run the title stays what it was: where that is the folder's name, nothing is known.
    return shown.title == PurePosixPath(shown.folder).name != shown.untitled


SIGNS: Final[Mapping[str, Signs]] = MappingProxyType(
    {
        "claude": Signs(
            ready=_claude_ready,
            prompt=re.compile(
                "^\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}\N{NO-BREAK SPACE}(.*)", re.MULTILINE
            ),
            pointer=_CLAUDE_POINTER,
            has_title=True,
        ),
        "codex": Signs(
            ready=_codex_ready,
            prompt=re.compile(f"^{_CODEX_POINTER} (.*)", re.MULTILINE),
            asks=re.compile(r"\[ [!.] \] Action Required"),
            pointer=_CODEX_POINTER,
            has_title=True,
        ),
        "gemini": Signs(
            ready=lambda shown: "Type your message" in shown.screen,
            prompt=re.compile("^ > +(.*)", re.MULTILINE),
            asks=re.compile("\N{RAISED HAND}"),
            pointer="\N{BLACK CIRCLE}",
            has_title=True,
            enter_pause=0.15,
        ),
        "opencode": Signs(ready=lambda shown: "Ask anything" in shown.screen),
    }
)


@dataclass(frozen=True, slots=True)
class AgentQuestion:
    """Why a text would not be a prompt. `kind`: an approval or another answer is awaited; or nothing is known yet."""

    kind: Literal["approval", "unready"]
    reason: str


def question(agent: str, signs: Signs, shown: Shown) -> AgentQuestion | None:
    """Give the question that stands between a text and the agent's prompt, or None when none is seen."""
    if shown.file_status == "waiting":
        return AgentQuestion(
            "approval", f"{agent} waits for an answer ({shown.waiting_for or 'it does not say to what'})"
        )
    if signs.asks and signs.asks.match(shown.title):
        return AgentQuestion("approval", f"{agent} waits for an answer (its title says so)")
    chosen = choice(signs.pointer, shown.screen)
    if chosen:
        return AgentQuestion("approval", f"{agent} waits for a choice ({chosen!r} is marked on its screen)")
    if signs.has_title and not shown.file_status and shown.title in {"", shown.untitled}:
        return AgentQuestion(
            "unready", f"{agent} has not come to its prompt: it starts, or asks what it asks at a first start"
        )
    return None


def is_unsent(signs: Signs, screen: str, text: str) -> bool:
    """Tell whether a text that was pasted stands at the agent's prompt; long ones are shown as `[Pasted …]`."""
    drafts = signs.prompt.findall(screen) if signs.prompt else []
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
