"""What is known of each pane beyond tmux' words: what runs in it, where, when it wrote and was written to.

Times are seconds since the computer's start; tmux tells wall-clock seconds, which are turned into these as they come,
so that setting the wall clock makes nothing older or younger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from teleclaude.core.settings import AgentProfile
from teleclaude.sync.sessions.foregrounds import NOTHING_KNOWN, Foreground, Foregrounds
from teleclaude.sync.sessions.identities import Identities
from teleclaude.sync.sessions.lineage import is_alive
from teleclaude.sync.tmux.panes import Pane

FORMING_FOR = 3.0  # seconds that a pane's process may take to become what it is to be
NO_AGENTS = frozenset({"shell", "other"})
LOOK_EVERY = 4.0  # seconds, at most, between two looks at what runs in a pane of which tmux tells nothing new
_DELETED = " (deleted)"


@dataclass(slots=True)
class KnownPane:
    """One pane. `output`, `input`: when it last wrote, and was last written to; 0 for never."""

    runs: Foreground = NOTHING_KNOWN
    agent: str = ""
    cwd: str = ""
    output: float = 0.0
    input: float = 0.0
    is_whole: bool = False
    pane: Pane | None = None  # as tmux last told it
    started_as: str = ""
    looked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class AgentClaim:
    """That an agent runs in a pane, as it said itself. `process`, `started`: its own, 0 when unknown."""

    agent: str
    process: int = 0
    started: int = 0


class KnownPanes:
    """All panes of a look. `wrote_at` gives the time of a terminal's last output heard."""

    def __init__(self, agents: Mapping[str, AgentProfile], identities: Identities) -> None:
        self._identities = identities
        self._foregrounds = Foregrounds(agents)
        self._known: dict[str, KnownPane] = {}
        self._inputs: dict[str, float] = {}  # by pane: when a command last wrote to it
        self._forming: set[str] = set()
        self._claims: dict[str, AgentClaim] = {}

    def __getitem__(self, pane: str) -> KnownPane:
        return self._known[pane]

    def use_agents(self, agents: Mapping[str, AgentProfile]) -> None:
        """Take other profiles."""
        self._foregrounds = Foregrounds(agents)
        for known in self._known.values():
            known.looked_at = 0.0

    def glance(self, pane_pid: int) -> object:
        """What a pane's process has in the foreground now, to be compared; that it is not what is known counts too."""
        return self._foregrounds.glance(pane_pid)

    def note_input(self, pane: str, when: float) -> None:
        """Note that a command wrote to a pane."""
        self._inputs[pane] = when

    def forget(self) -> None:
        """Forget all of it: no server runs, or another."""
        self._known, self._inputs, self._forming, self._claims = {}, {}, set(), {}

    def claim(self, pane: str, claim: AgentClaim | None) -> bool:
        """Believe that an agent runs in a pane, for as long as it does; None: it ended. True: look at the pane."""
        if self._claims.get(pane) == claim:
            return False
        if claim is None:
            del self._claims[pane]
            return True
        self._claims[pane] = claim
        return self._known[pane].agent in NO_AGENTS

    def _claimed(self, pane: str, runs: Foreground) -> str:
        claim = self._claims.get(pane)
        if claim is None:
            return ""
        if is_alive(claim.process, claim.started) if claim.process else not runs.at_prompt:
            return claim.agent
        del self._claims[pane]
        return ""

    def take(self, panes: Mapping[str, Pane], wrote_at: Callable[[str], float], now: float, offset: float) -> None:
        """Take all panes of a look, by id. `offset`: what makes wall-clock seconds of `now`."""
        alone = _alone_in_window(panes.values())
        self._known = {pane: self._known.get(pane) or KnownPane() for pane in panes}
        self._inputs = {pane: when for pane, when in self._inputs.items() if pane in panes}
        self._claims = {pane: claim for pane, claim in self._claims.items() if pane in panes}
        self._forming &= panes.keys()
        self._foregrounds.forget_others(pane.pid for pane in panes.values())
        for pane in panes.values():
            known = self._known[pane.id]
            known.output = max(known.output, wrote_at(pane.tty))
            if pane.window_activity and (pane.window in alone or not known.output):
                known.output = max(known.output, min(now, pane.window_activity - offset))
            if self.is_new(pane, now):
                self.look_at(pane, now, offset)

    def is_new(self, pane: Pane, now: float) -> bool:
        """Tell whether to look at a pane: tmux tells something new of it, or it was not looked at for a while."""
        known = self._known[pane.id]
        if pane is not known.pane or now - known.looked_at > LOOK_EVERY or pane.id in self._forming:
            return True
        return known.started_as != self._identities.started_as(pane.id, pane.mark)

    def look_at(self, pane: Pane, now: float, offset: float) -> None:
        """Take what tmux says of one pane now."""
        known = self._known[pane.id]
        known.pane, known.looked_at = pane, now
        if pane.path:
            known.cwd = pane.path.removesuffix(_DELETED)
        known.runs = NOTHING_KNOWN if pane.is_dead else self._looked(pane, known, now)
        is_typed = pane.is_active and pane.is_current and pane.session_activity > pane.created
        typed = min(now, pane.session_activity - offset) if is_typed else 0.0
        known.input = max(known.input, typed, self._inputs.get(pane.id, 0.0))
        known.started_as = self._identities.started_as(pane.id, pane.mark)
        known.agent = self._agent(pane, known)
        (self._forming.add if self._is_forming(pane, known, now) else self._forming.discard)(pane.id)

    def _looked(self, pane: Pane, known: KnownPane, now: float) -> Foreground:
        return self._foregrounds.look(pane.pid, pane.command, now, known.output)

    def _is_forming(self, pane: Pane, known: KnownPane, now: float) -> bool:
        """Tell whether a pane's process is so new that it has not become its program, nor entered its folder."""
        if not (pane.is_dead or known.is_whole) and (pane.command in {"", "tmux"} or not pane.path):
            age = now - known.runs.created if known.runs.created else FORMING_FOR
            if age < FORMING_FOR:
                return True
        known.is_whole = True
        return False

    def _agent(self, pane: Pane, known: KnownPane) -> str:
        """Name what runs there: by process, by what it was started as, and for the dead by what it was."""
        started_as, runs = known.started_as, known.runs
        if pane.is_dead:
            return known.agent or started_as or "other"
        if runs.profile:
            return started_as if self._foregrounds.are_same(started_as, runs.profile) else runs.profile
        claimed = self._claimed(pane.id, runs)
        if claimed:
            return claimed
        if runs.has_shell:
            return "shell"
        return started_as or "other"  # the pane's own process is no shell: it is what it was started as, or unknown

    @property
    def forming(self) -> frozenset[str]:
        """Panes that are still to become what they are."""
        return frozenset(self._forming)

    @property
    def with_agent(self) -> frozenset[str]:
        """Panes in which an agent runs."""
        return frozenset(pane for pane, known in self._known.items() if known.agent not in NO_AGENTS) - self._forming


def _alone_in_window(panes: Iterable[Pane]) -> set[str]:
    once: set[str] = set()
    more: set[str] = set()
    for pane in panes:
        (more if pane.window in once else once).add(pane.window)
    return once - more
