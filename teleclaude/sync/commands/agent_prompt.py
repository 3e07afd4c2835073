"""May a text go into a session now: what runs there is looked at, and the tables of its agent are asked.

Rules:
- A message is refused while there is any sign of a question (agent_question.py), and again before Enter.
- A first message waits until the agent shows its own sign that it takes a prompt. What shows none that is known, in the
  tables or in the profile's `ready`, gets no first message: a screen that stands still may be a question.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

from teleclaude.core.errors import NotReady, WaitingForApproval
from teleclaude.core.settings import AgentProfile
from teleclaude.sync.commands.pane_input import ENTER_PAUSE
from teleclaude.sync.commands.pane_now import PaneNow, Target
from teleclaude.sync.sessions.agents.agent_question import AgentQuestion, choice, is_unsent, question
from teleclaude.sync.sessions.agents.agent_table import AgentTable, Shown
from teleclaude.sync.sessions.agents.agent_tables import TABLES
from teleclaude.sync.sessions.agents.claude_state import claude_state
from teleclaude.sync.sessions.processes import command_line, read_process
from teleclaude.sync.sessions.program_names import SHELLS, is_interactive, signature

READY_FOR = 0.3  # seconds that a sign must last
LOOK_EVERY = 0.1
SHOWN_WITHIN, SEEN_EVERY = 1.0, 0.03  # seconds for a text to come to the prompt

Look = Callable[[Target, float], PaneNow]  # (target, deadline)
Capture = Callable[[Target, float], str]
_INSTEAD = "text would answer it: use keys, or attach"


@dataclass(frozen=True, slots=True)
class Program:
    """What a profile runs. `name`: the program's own; `ready`: the profile's text for *ready*, or empty."""

    name: str
    table: AgentTable | None
    ready: str

    @property
    def is_shell(self) -> bool:
        """Tell whether it is a shell."""
        return not self.name or self.name in SHELLS

    @property
    def enter_pause(self) -> float:
        """Seconds that Enter must come after a paste."""
        return self.table.enter_pause if self.table else ENTER_PAUSE


def program_of(profile: AgentProfile | None, agent: str) -> Program:
    """Name what a profile runs; without one, what runs is the agent that was recognised."""
    name = signature(shlex.split(profile.command)) if profile else agent
    return Program(name, TABLES.get(name), profile.ready if profile else "")


class AgentPrompt:
    """Looks at sessions through `look` and `capture`, which raise what tmux' client raises."""

    def __init__(self, look: Look, capture: Capture) -> None:
        self._look, self._capture = look, capture

    def check(self, program: Program, target: Target, folder: str, deadline: float) -> PaneNow:
        """Give what the pane is now. Raises WaitingForApproval or NotReady when a text would be no prompt there."""
        now = self._look(target, deadline)
        if program.table:
            refuse(question(program.table, self._shown(program, target, now, folder, deadline)))
        return now

    def wait_ready(self, program: Program, target: Target, folder: str, until: float, deadline: float) -> PaneNow:
        """Wait until a prompt is taken, at most to `until`.

        Raises NotReady, or the error of the question that stands there at the end.
        """
        if not (program.table or program.ready or program.is_shell):
            raise NotReady(
                f"nothing is known by which {program.name} shows that it takes a prompt: `ready` in its profile "
                "names a text that its screen shows then"
            )
        asked: AgentQuestion | None = None
        before, since = "", time.monotonic()
        while time.monotonic() < until:
            now = self._look(target, deadline)
            shown = self._shown(program, target, now, folder, deadline)
            asked = question(program.table, shown) if program.table else None
            sign = "" if asked else _sign(program, shown, now)
            if not sign or sign != before:
                before, since = sign, time.monotonic()
            elif time.monotonic() - since >= READY_FOR:
                return now
            time.sleep(LOOK_EVERY)
        refuse(asked)
        raise NotReady(f"{program.name or 'the shell'} did not come to its prompt in time")

    def wait_shown(self, program: Program, target: Target, text: str, deadline: float) -> bool:
        """Wait a moment until a text that was pasted is seen at the prompt, so that Enter comes behind it."""
        until = min(deadline, time.monotonic() + SHOWN_WITHIN)
        while (stands := self.is_unsent(program, target, text, deadline)) is False and time.monotonic() < until:
            time.sleep(SEEN_EVERY)
        return bool(stands)

    def is_unsent(self, program: Program, target: Target, text: str, deadline: float) -> bool | None:
        """Tell whether a text stands at the prompt; None where that cannot be seen, or a question hides it."""
        if not (program.table and program.table.prompt):
            return None
        screen = self._capture(target, deadline)
        if is_unsent(program.table, screen, text):
            return True
        return None if choice(program.table.pointer, screen) else False

    def _shown(self, program: Program, target: Target, now: PaneNow, folder: str, deadline: float) -> Shown:
        state = claude_state(now.pid) if program.name == "claude" else None
        return Shown(
            title=now.title.strip(),
            untitled=now.host,
            folder=folder,
            screen=self._capture(target, deadline),
            file_status=(state.status or "starting") if state else "",
            waiting_for=state.waitingFor if state else "",
        )


def refuse(asked: AgentQuestion | None) -> None:
    """Raise the error of a question, if there is one."""
    if asked is None:
        return
    if asked.kind == "approval":
        raise WaitingForApproval(f"{asked.reason}, and {_INSTEAD}")
    raise NotReady(f"{asked.reason}; {_INSTEAD}")


def _sign(program: Program, shown: Shown, now: PaneNow) -> str:
    """Give what tells that a prompt is taken, and must stay as it is for a moment; empty while nothing does."""
    if program.ready:
        return program.ready if program.ready in shown.screen else ""
    if program.table:
        return program.name if program.table.ready(shown) else ""
    shell = read_process(now.pid)
    if shell is None or shell.foreground != shell.pid or not is_interactive(command_line(shell.pid)):
        return ""
    return shown.screen.strip()
