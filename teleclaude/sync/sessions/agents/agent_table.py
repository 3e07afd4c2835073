"""The shape of what is known of one agent: how it tells what it does, as data. Pure.

One table per agent, in a file of its name, from what the agents were seen to do. Another version that shows other signs
is not understood: then nothing follows from them, which is never taken for *ready*, nor for *working*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from teleclaude.core.records import AskKind

# What a title says. *calm*: it does not work; whether it waits for an answer, the title does not say.
TitleSays: TypeAlias = Literal["working", "waiting", "idle", "calm", ""]

# What an event of a hook says:
# ready: a session begins, at its prompt · prompt: it was given a prompt · tool: it goes on working · asks: it waits for
# an answer · answered: what it asked was answered, or the tool it asked for ended · done: a turn ended · failed: a turn
# ended with an error · stopped: a turn was broken off · over: the agent ends · subagent, subagent_done: one runs behind
# · child, status, told: opencode's and Codex' own, see there · note: nothing of what it does.
HookSays: TypeAlias = Literal[
    "ready", "prompt", "tool", "asks", "answered", "done", "failed", "stopped", "over", "subagent", "subagent_done",
    "child", "status", "told", "note",
]  # fmt: skip

_SPINNERS = (range(0x2800, 0x2900), range(0x25D0, 0x25D4))  # braille, half circles
_STAR = "\N{EIGHT SPOKED ASTERISK}"


@dataclass(frozen=True, slots=True)
class ShownTitle:
    """A pane's title. `untitled`: what tmux shows while no program set one; `folder`: the agent's."""

    text: str
    untitled: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What an agent shows now, looked at for a text that is to go in.

    `file_status`: of its state file, empty without one, "starting" while it names none. `untitled`: tmux' own title.
    """

    title: str
    untitled: str
    folder: str
    screen: str
    file_status: str = ""
    waiting_for: str = ""


def spinner_title(title: ShownTitle) -> TitleSays:
    """Read a title that begins with a star at rest and with a frame of a spinner at work."""
    text = title.text
    if not text or text[1:2] not in {" ", ""}:
        return ""
    if text[0] == _STAR:
        return "calm"
    return "working" if any(ord(text[0]) in spinner for spinner in _SPINNERS) else ""


def without_spinner(title: str) -> str:
    """Give a title without such a mark, which moves many times a second and is told as the status."""
    return title[1:].lstrip() if spinner_title(ShownTitle(title)) else title


def never_ready(_shown: Shown) -> bool:
    """Tell of an agent of which no sign is known that it takes a prompt."""
    return False


@dataclass(frozen=True, slots=True)
class AgentTable:
    """What is known of one agent.

    `seen`: the versions that the table is from. `title`, `plain_title`: what its title says, and what of it is for
    people. `has_title`: it sets one once it is past the questions of its first run, and then its output tells nothing.
    `hooks`: by `Event{qualifier}`, or `Event`; the qualifier is the first of the body's `qualifiers` that is a text.
    `turn`: parts of the body that name a turn. `question_tools`, `plan_tools`: tools that ask by themselves.
    `resume`: how a session is gone on with, by its id. `pane_is_right`: its hooks have the TMUX_PANE that it runs in.

    For a text that goes in: `ready`: it takes a prompt; the screen must show no menu besides. `prompt`: the line of its
    screen, the last of its kind, in which stands what was typed and not sent yet. `pointer`: what stands before the
    chosen line of a menu. `error_line`: begins a line of its screen that says how a turn failed. `enter_pause`: seconds
    that Enter must come after a paste.
    """

    name: str
    seen: str = ""
    title: Callable[[ShownTitle], TitleSays] = spinner_title
    plain_title: Callable[[str], str] = without_spinner
    has_title: bool = False
    asks_before_ready: bool = False  # its title says *idle* in the questions of its first run too
    hooks: Mapping[str, HookSays] = field(default_factory=dict)
    qualifiers: tuple[str, ...] = ()
    turn: tuple[str, ...] = ()
    question_tools: frozenset[str] = frozenset()
    plan_tools: frozenset[str] = frozenset()
    subagent_tools: frozenset[str] = frozenset()
    answers_end_all: bool = False  # what ends a question does not say which: it ends all
    waiting_for: Mapping[str, AskKind] = field(default_factory=dict)
    resume: tuple[str, ...] = ()
    pane_is_right: bool = True
    ready: Callable[[Shown], bool] = never_ready
    prompt: re.Pattern[str] | None = None
    pointer: str = ""
    error_line: str = ""
    enter_pause: float = 0.06

    def hook_says(self, event: str, body: Mapping[str, object]) -> HookSays:
        """Give what an event says; what is not in the table says nothing."""
        found = next((value for name in self.qualifiers if isinstance(value := body.get(name), str)), "")
        return self.hooks.get(f"{event}{{{found}}}") or self.hooks.get(event, "note")

    def title_asks(self, shown: Shown) -> bool:
        """Tell whether its title says that it waits for an answer."""
        return self.title(ShownTitle(shown.title, shown.untitled, shown.folder)) == "waiting"
