"""An agent in a pane, for stories: what it was seen to emit goes in, what is shown comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from teleclaude.sync.sessions.agents.agent_table import ShownTitle
from teleclaude.sync.sessions.agents.agent_tables import TABLES
from teleclaude.sync.sessions.agents.evidence import Evidence, FileSign, Judgement, ScreenSign
from teleclaude.sync.sessions.agents.hook_event import HookEvent
from teleclaude.sync.sessions.agents.hook_story import HookStory, tell
from teleclaude.sync.sessions.agents.judge import judge

SAMPLES = Path(__file__).parent / "samples"
SESSION = {"claude": "session_id", "codex": "session_id", "gemini": "session_id", "opencode": "sessionID"}
FOLDER = "proj"


def sample(agent: str, name: str, **more: Any) -> HookEvent:
    """One report as the agent gave it, `more` in its body besides; `at` is the story's to set."""
    body = msgspec.json.decode((SAMPLES / f"{agent}-{name}.json").read_bytes())
    if body.get("_raw") == "":
        body = {}
    return HookEvent(
        agent=agent, event=name if name in TABLES[agent].hooks else name.partition("-")[0], at=0.0, body=body | more
    )


class Scene:
    """One agent. Each step takes `after` seconds; all samples are of one session and turn unless they say otherwise."""

    def __init__(self, agent: str) -> None:
        self.agent, self.table, self.now = agent, TABLES[agent], 1000.0
        self.seen = Evidence(agent, self.table, agent_since=990.0, output=999.0)
        self.story = HookStory(agent)
        self.session = "one"
        self.pid = 0

    def hook(self, name: str, after: float = 0.05, /, **more: Any) -> Scene:
        """A hook reports."""
        self.now += after
        event = sample(self.agent, name, **more)
        body = dict(event.body)
        for part in (SESSION[self.agent], "thread-id"):
            if part in body and part not in more:
                body[part] = self.session
        for part in self.table.turn:
            if part in body and part not in more:
                body[part] = "turn"
        return self.take(msgspec.structs.replace(event, at=self.now, body=body))

    def take(self, event: HookEvent, *, is_below: bool = False) -> Scene:
        """An event comes in, whatever its time."""
        self.story = tell(self.story, event, self.table, is_below=is_below)
        self.seen = replace(self.seen, story=self.story, output=self.now)
        return self

    def title(self, text: str, after: float = 0.05) -> Scene:
        """The title is seen."""
        self.now += after
        says = self.table.title(ShownTitle(text, "host", f"/work/{FOLDER}"))
        if says != self.seen.title.says:
            self.seen = replace(self.seen, title=self.seen.title.then(says, self.now), output=self.now)
        return self

    def file(self, status: str, waiting_for: str = "", after: float = 0.05) -> Scene:
        """The state file changes."""
        self.now += after
        self.seen = replace(self.seen, file=FileSign(status, self.now, waiting_for), output=self.now)
        return self

    def screen(self, asks: str = "", error: str = "") -> Scene:
        """The screen is looked at."""
        self.seen = replace(self.seen, screen=ScreenSign(self.now, asks, error))
        return self

    def later(self, seconds: float) -> Scene:
        """Time passes, and nothing is heard."""
        self.now += seconds
        return self

    @property
    def shown(self) -> Judgement:
        """What is shown now."""
        return judge(self.seen, self.now)

    @property
    def says(self) -> str:
        """Status, and the reason where there is one."""
        found = self.shown
        return f"{found.status} ({found.reason})" if found.reason else found.status
