"""The signs of the agents in all panes, as they come in: titles, hooks, state files, screens. No file, no clock.

Rules: signs are of one agent in one pane. When another runs there, or the process that a hook told of is gone, they
are forgotten. A report of a pane that no look has shown yet waits a moment for one.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from teleclaude.core.settings import AgentProfile
from teleclaude.sync.sessions.agents.agent_table import AgentTable, ShownTitle
from teleclaude.sync.sessions.agents.agent_tables import table_of
from teleclaude.sync.sessions.agents.evidence import Evidence, FileSign, ScreenSign, TitleSign
from teleclaude.sync.sessions.agents.hook_event import HookEvent
from teleclaude.sync.sessions.agents.hook_match import HookMatch, PaneFacts, match_hook
from teleclaude.sync.sessions.agents.hook_story import HookStory, tell
from teleclaude.sync.sessions.known_panes import KnownPane
from teleclaude.sync.sessions.lineage import Ancestor, is_alive, lineage
from teleclaude.sync.sessions.processes import command_line
from teleclaude.sync.sessions.program_names import signature
from teleclaude.sync.tmux.panes import Pane

WAITS_FOR = 5.0  # seconds that a report waits for a look that shows its pane
WAITING_MOST = 256


@dataclass(slots=True)
class PaneSigns:
    """The signs of one pane. `version`: grows with each that is new. `started`: of the story's process."""

    agent: str = ""
    agent_since: float = 0.0
    has_shown: bool = False
    prompt_since: float = 0.0
    title: TitleSign = field(default_factory=TitleSign)
    file: FileSign | None = None
    story: HookStory | None = None
    started: int = 0
    match: HookMatch | None = None
    screen: ScreenSign | None = None
    version: int = 0


class AgentSigns:
    """The signs of all panes. `ancestors` gives a process and whose child it is."""

    def __init__(
        self, agents: Mapping[str, AgentProfile], ancestors: Callable[[int], list[Ancestor]] = lineage
    ) -> None:
        self._ancestors = ancestors
        self._panes: dict[str, PaneSigns] = {}
        self._early: list[HookEvent] = []  # reports of panes that no look has shown
        self._files: Mapping[int, FileSign] = {}
        self.use_agents(agents)

    def use_agents(self, agents: Mapping[str, AgentProfile]) -> None:
        """Take other profiles."""
        self._programs = {name: signature(shlex.split(profile.command)) for name, profile in agents.items()}

    def table(self, agent: str) -> AgentTable:
        """Give the table of a profile; `agent` may also be a program that no profile runs."""
        return table_of(self.program(agent))

    def program(self, agent: str) -> str:
        """Name the program of a profile; a name that is no profile's is the program's own."""
        return self._programs.get(agent, agent)

    def profile_of(self, program: str, known_as: str) -> str:
        """Name the profile of a program: the one that is known there, else the first that runs it, else itself."""
        if self._programs.get(known_as) == program:
            return known_as
        return next((name for name, runs in self._programs.items() if runs == program), program)

    def of(self, pane: str) -> PaneSigns:
        """Give the signs of a pane."""
        found = self._panes.get(pane)
        if found is None:  # not `setdefault`: three times for each pane at each look, it would make one to throw away
            found = self._panes[pane] = PaneSigns()
        return found

    def keep(self, panes: Iterable[str]) -> None:
        """Forget other panes."""
        self._panes = {pane: self.of(pane) for pane in panes}

    def forget(self) -> None:
        """Forget all."""
        self._panes = {}

    def note(self, pane: Pane, known: KnownPane, untitled: str, now: float, *, is_first: bool) -> None:
        """Take what a look or a peek showed of a pane. `is_first`: nothing is known of when it began to be so."""
        signs = self.of(pane.id)
        if known.agent != signs.agent:
            created = known.runs.created
            self._begin(signs, known.agent, created if not signs.agent and (is_first or now - created < 60) else now)
        table = self.table(known.agent)
        says = table.title(ShownTitle(pane.title, untitled, known.cwd))
        signs.has_shown = signs.has_shown or says != "" or signs.file is not None
        if says != signs.title.says:
            signs.title = signs.title.then(says, 0.0 if is_first else now)
            signs.version += 1
        if known.runs.at_prompt != bool(signs.prompt_since):
            signs.prompt_since = (known.runs.created if is_first else now) if known.runs.at_prompt else 0.0
            signs.version += 1
        if signs.story and signs.story.process and not is_alive(signs.story.process, signs.started):
            self._begin(signs, known.agent, signs.agent_since)
            signs.story = None
        file = self._files.get(pane.pid)
        self._note_file(signs, file if file and is_alive(file.process, file.started) else None)

    def _begin(self, signs: PaneSigns, agent: str, since: float) -> None:
        signs.agent, signs.agent_since, signs.screen, signs.has_shown = agent, since, None, False
        if signs.story and self.program(agent) != signs.story.agent:
            signs.story = signs.match = None  # else it was the story that told of this agent first
        signs.version += 1

    def evidence(self, pane: Pane, known: KnownPane) -> Evidence:
        """Give all that is known of a pane."""
        signs = self.of(pane.id)
        return Evidence(
            agent=known.agent,
            table=self.table(known.agent),
            command=pane.command,
            is_dead=pane.is_dead,
            exit_status=pane.exit_status,
            signal=pane.signal,
            prompt_since=signs.prompt_since,
            agent_since=signs.agent_since,
            has_shown=signs.has_shown,
            output=known.output,
            title=signs.title,
            file=signs.file,
            story=signs.story,
            screen=signs.screen,
        )

    # Hooks.

    def hooked(
        self, events: Iterable[HookEvent], facts: Mapping[str, PaneFacts], server: int, now: float
    ) -> dict[str, str]:
        """Take reports; give the panes of which something new is known, each with the program that reported."""
        waiting, self._early = self._early, []
        found: dict[str, str] = {}
        for event in [*waiting, *(_sane(event, now) for event in events)]:
            pane = self._told(event, facts, server)
            if pane:
                found[pane] = event.agent
            elif now - event.at < WAITS_FOR:
                self._early = [*self._early, event][-WAITING_MOST:]
        return found

    @property
    def has_early(self) -> bool:
        """Whether a report waits for its pane."""
        return bool(self._early)

    def _told(self, event: HookEvent, facts: Mapping[str, PaneFacts], server: int) -> str:
        table = self.table(event.agent)
        ancestors = self._ancestors(event.parent) if event.parent else []
        match = match_hook(event, table, facts.values(), server, [each.pid for each in ancestors])
        if match is None:
            return ""
        signs = self.of(match.pane)
        story = signs.story if signs.story and signs.story.agent == event.agent else HookStory(event.agent)
        agent = _agent_among(ancestors, facts[match.pane].process, event.agent)
        is_below = bool(
            agent
            and story.process not in {0, agent.pid}
            and any((each.pid, each.started) == (story.process, signs.started) for each in ancestors)
        )
        told = tell(story, event, table, agent.pid if agent and not is_below else 0, is_below=is_below)
        if told is not story or signs.story is None:
            signs.story, signs.version, signs.match = told, signs.version + 1, match
            if agent and told.process == agent.pid:
                signs.started = agent.started
        return match.pane

    def facts(self, panes: Mapping[str, Pane], known: Callable[[str], KnownPane]) -> dict[str, PaneFacts]:
        """Give what a report is matched with. `panes`: by id, each as its home shows it."""
        return {pane.id: self._facts(pane, known(pane.id)) for pane in panes.values()}

    def _facts(self, pane: Pane, known: KnownPane) -> PaneFacts:
        signs = self.of(pane.id)
        return PaneFacts(
            pane=pane.id,
            process=pane.pid,
            program=self.program(known.agent) if known.agent not in {"shell", "other"} else "",
            folder=known.cwd,
            session=signs.story.session if signs.story else "",
            title=signs.title.says,
            input=known.input,
        )

    def last_words(self, pane: str) -> tuple[str, str]:
        """Give the last prompt and answer: what hooks told, else what the agent wrote down itself."""
        signs = self.of(pane)
        told = (signs.story.prompt, signs.story.answer) if signs.story else ("", "")
        return told if told[0] or signs.file is None else (signs.file.prompt, signs.file.answer or told[1])

    # Files and screens.

    def take_files(self, files: Mapping[int, FileSign], panes: Mapping[str, Pane]) -> list[str]:
        """Take what state files say, by pane process; give the panes of which that is new."""
        self._files = files
        return [pane.id for pane in panes.values() if self._note_file(self.of(pane.id), files.get(pane.pid))]

    def _note_file(self, signs: PaneSigns, file: FileSign | None) -> bool:
        if file == signs.file:
            return False
        signs.file = file
        signs.version += 1
        return True

    def restore(self, pane: str, story: HookStory) -> None:
        """Take what was known before this process, where nothing newer is."""
        signs = self.of(pane)
        if signs.story is None:
            signs.story = story
            signs.version += 1

    def take_screen(self, pane: str, screen: ScreenSign) -> None:
        """Take what a screen showed."""
        signs = self.of(pane)
        signs.screen = screen
        signs.version += 1


def _sane(event: HookEvent, now: float) -> HookEvent:
    """A report is of now, or before: its time is a file's, which anybody can set."""
    at = event.at if math.isfinite(event.at) and 0.0 < event.at <= now else now
    return event if at == event.at else msgspec.structs.replace(event, at=at)


def _agent_among(ancestors: list[Ancestor], pane: int, program: str) -> Ancestor | None:
    """The agent's own process: the nearest to the hook that bears its name, within the pane."""
    for each in ancestors:
        if program in {each.name, signature(command_line(each.pid))}:
            return each
        if each.pid == pane:
            break
    return None
