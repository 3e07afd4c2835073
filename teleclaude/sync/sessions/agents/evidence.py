"""What is known of a pane and of the agent in it: each piece with its time. Plain data.

Times are seconds since the computer's start; 0 when unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from teleclaude.core.records import Ask, SessionStatus
from teleclaude.sync.sessions.agents.agent_table import AgentTable, TitleSays
from teleclaude.sync.sessions.agents.agent_tables import UNKNOWN_AGENT
from teleclaude.sync.sessions.agents.hook_story import HookStory


@dataclass(frozen=True, slots=True)
class TitleSign:
    """What the title says; `since`: seen to say so. `worked`: from when until when it last said *working* before."""

    says: TitleSays = ""
    since: float = 0.0
    worked: tuple[float, float] = (0.0, 0.0)

    def then(self, says: TitleSays, now: float) -> TitleSign:
        """Give the sign after it says something else."""
        return TitleSign(says, now, (self.since, now) if self.says == "working" else self.worked)


@dataclass(frozen=True, slots=True)
class FileSign:
    """What the agent's own state file says, of a process that lives. `status`: its own word; `since`: by its own clock.

    `session`: the agent's own id of its session; `process`, `started`: its own.
    `prompt`, `answer`: the begin of its last ones, by its transcript.
    """

    status: str
    since: float
    waiting_for: str = ""
    session: str = ""
    process: int = 0
    started: int = 0
    prompt: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class ScreenSign:
    """What one look at the screen showed. `asks`: the marked line of a menu; `error`: a line that tells of an error."""

    at: float
    asks: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one pane.

    `agent`: name of a profile, "shell" or "other". `agent_since`: when it was first there; `output`: when the pane last
    wrote. `prompt_since`: since when its shell is at its own prompt, 0 while it is not.
    """

    agent: str
    table: AgentTable = UNKNOWN_AGENT
    command: str = ""
    is_dead: bool = False
    exit_status: int | None = None
    signal: int = 0
    prompt_since: float = 0.0
    agent_since: float = 0.0
    has_shown: bool = False  # a sign: it is not new any more
    output: float = 0.0
    title: TitleSign = field(default_factory=TitleSign)
    file: FileSign | None = None
    story: HookStory | None = None
    screen: ScreenSign | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a pane is doing. `rule`: the one that won (judge.py).

    `since`: when that began, 0 when the evidence does not say; `expires`: when it is to be judged again without new
    evidence, None for never.
    """

    status: SessionStatus
    rule: str
    reason: str = ""
    since: float = 0.0
    asks: Ask | None = None
    background: str = ""
    expires: float | None = None
