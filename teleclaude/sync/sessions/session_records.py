"""Session records from a look at tmux. It reads /proc for what runs in a pane; everything else comes as arguments.

Rules: one record per row (rows.py says which panes are), under the id of what the row is: an agent's pane, or a
session. Times of activity are coarse (`COARSE` seconds), so that a pane that writes all the time changes its record
once in that time and not with every line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from teleclaude.core.records import Session, SessionStatus, Tmux, utc_text
from teleclaude.core.settings import AgentProfile
from teleclaude.sync.sessions.identities import Holder, Identities, Identity
from teleclaude.sync.sessions.processes import NOTHING_KNOWN, Foreground, Foregrounds
from teleclaude.sync.sessions.rows import Row, at_home, rows_of
from teleclaude.sync.sessions.session_status import Evidence, State, judge, unmarked
from teleclaude.sync.tmux.panes import Look, Pane

COARSE = 5.0  # seconds
FORMING_FOR = 3.0  # seconds that a pane's process may take to become what it is to be
NO_AGENTS = frozenset({"shell", "other"})
_DELETED = " (deleted)"


@dataclass(slots=True)
class _PaneMemory:
    """What is known of a pane beyond tmux' words, from look to look. Times are seconds since 1970."""

    runs: Foreground = NOTHING_KNOWN
    agent: str = ""
    cwd: str = ""
    output: float = 0.0
    input: float = 0.0
    is_whole: bool = False


@dataclass(slots=True)
class _RowMemory:
    """What is remembered of a row from look to look."""

    status: SessionStatus = "unknown"
    since: float = 0.0
    basis: tuple[object, ...] = ()
    record: Session | None = None


class SessionBook:
    """The sessions of `computer`, look after look."""

    def __init__(self, computer: str, agents: Mapping[str, AgentProfile], identities: Identities) -> None:
        self._computer = computer
        self._identities = identities
        self._foregrounds = Foregrounds(agents)
        self._host = ""
        self._panes: dict[str, _PaneMemory] = {}
        self._memory: dict[str, _RowMemory] = {}  # by what the row is
        self._inputs: dict[str, float] = {}  # by pane: when a command last wrote to it
        self._rows: list[Row] = []
        self._of: dict[str, Identity] = {}

    def use_agents(self, agents: Mapping[str, AgentProfile]) -> None:
        """Take other profiles."""
        self._foregrounds = Foregrounds(agents)

    def note_input(self, pane: str, when: float) -> None:
        """Note that a command wrote to a pane at `when` (seconds since 1970)."""
        self._inputs[pane] = when

    def forget(self) -> None:
        """Forget all of it: no server runs, or another."""
        self._panes, self._memory, self._inputs, self._rows, self._of = {}, {}, {}, [], {}

    def take(self, look: Look, wrote_at: Callable[[str], float], now: float) -> bool:
        """Take a look. `wrote_at` gives the time of a terminal's last output seen; `now`: monotonic.

        False when a pane is left out that tmux is still making: look again soon.
        """
        self._host = look.server.host
        home = at_home(look.panes)
        alone = _alone_in_window(home.values())
        self._panes = {pane: self._panes.get(pane) or _PaneMemory() for pane in home}
        self._inputs = {pane: when for pane, when in self._inputs.items() if pane in home}
        for pane in home.values():
            self._look_at(pane, wrote_at(pane.tty), pane.window in alone, now)
        forming = {pane.id for pane in home.values() if self._is_forming(pane)}
        agents = {pane for pane, known in self._panes.items() if known.agent not in NO_AGENTS} - forming
        rows = rows_of(look.panes, home, agents, forming, {row.key: row.pane.id for row in self._rows})
        self._of = self._identities.see(_holders(look.panes, home, agents), [row.key for row in rows])
        self._identities.keep(_options(look.panes))
        self._rows = [row for row in rows if row.key in self._of]
        self._memory = {row.key: self._memory.get(row.key) or _RowMemory() for row in self._rows}
        self._foregrounds.forget_others(pane.pid for pane in home.values())
        return not forming

    def _is_forming(self, pane: Pane) -> bool:
        """Tell whether a pane's process is so new that it has not become its program, nor entered its folder."""
        known = self._panes[pane.id]
        if not (pane.is_dead or known.is_whole) and (pane.command in {"", "tmux"} or not pane.path):
            age = time.time() - known.runs.created if known.runs.created else FORMING_FOR
            if age < FORMING_FOR:
                return True
        known.is_whole = True
        return False

    def _look_at(self, pane: Pane, wrote: float, is_alone: bool, now: float) -> None:
        known = self._panes[pane.id]
        output = max(wrote, known.output, pane.window_activity if is_alone or not known.output else 0.0)
        is_fresh = output > known.output
        known.output = output
        if pane.path:
            known.cwd = pane.path.removesuffix(_DELETED)
        runs = NOTHING_KNOWN if pane.is_dead else self._foregrounds.look(pane.pid, pane.command, now, fresh=is_fresh)
        used = float(pane.session_activity) if pane.is_active and pane.is_current else 0.0
        typed = used if used > pane.created else 0.0
        known.runs = runs
        known.input = max(typed, self._inputs.get(pane.id, 0.0))
        known.agent = self._agent(pane, runs, known.agent)

    def _agent(self, pane: Pane, runs: Foreground, before: str) -> str:
        """Name what runs there: by process, by what it was started as, and for the dead by what it was."""
        started_as = self._identities.started_as(pane.id, pane.mark)
        if pane.is_dead:
            return before or started_as or "other"
        if runs.profile:
            return started_as if self._foregrounds.are_same(started_as, runs.profile) else runs.profile
        if runs.has_shell:
            return "shell"
        return started_as or "other"  # the pane's own process is no shell: it is what it was started as, or unknown

    def folders(self) -> set[str]:
        """Folders in which the sessions are."""
        return {cwd for row in self._rows if (cwd := self._panes[row.pane.id].cwd)}

    def records(self, project_of: Callable[[str], str], when: float) -> tuple[list[Session], float | None]:
        """Give the records as of `when` (seconds since 1970), and seconds until they change by themselves."""
        records: list[Session] = []
        expires: list[float] = []
        for row in self._rows:
            state = judge(self._evidence(row.pane, when))
            records.append(self._record(row, state, project_of, when))
            if state.expires is not None:
                expires.append(state.expires)
        return records, min(expires, default=None)

    def _evidence(self, pane: Pane, when: float) -> Evidence:
        known = self._panes[pane.id]
        return Evidence(
            agent=known.agent,
            title=pane.title,
            command=pane.command,
            is_dead=pane.is_dead,
            exit_status=pane.exit_status,
            signal=pane.signal,
            at_prompt=known.runs.at_prompt,
            age=when - known.runs.created if known.runs.created else None,
            output_age=when - known.output if known.output else None,
        )

    def _record(self, row: Row, state: State, project_of: Callable[[str], str], when: float) -> Session:
        """Build a record, or give the last one where nothing that goes into it has changed."""
        known, memory, identity = self._panes[row.pane.id], self._memory[row.key], self._of[row.key]
        if state.status != memory.status or not memory.since:
            is_old = not memory.since and state.status in {"idle", "ended"} and known.output
            memory.status, memory.since = state.status, known.output if is_old else when
        times = (_coarse(known.output), _coarse(known.input))
        project = project_of(known.cwd) if known.cwd else ""
        basis = (row, known.runs, known.agent, known.cwd, identity, state.status, state.reason, memory.since, project)
        if memory.record is None or (basis, times) != memory.basis:
            memory.basis = (basis, times)
            memory.record = self._build(row, state, project, times)
        return memory.record

    def _build(self, row: Row, state: State, project: str, times: tuple[float, float]) -> Session:
        pane, known, identity = row.pane, self._panes[row.pane.id], self._of[row.key]
        last_output, last_input = times
        return Session(
            session_id=identity.id,
            computer=self._computer,
            project=project,
            cwd=known.cwd,
            title=identity.title or self._title(pane, known.agent),
            agent=known.agent,
            thinking_mode=identity.mode,
            status=state.status,
            status_reason=state.reason,
            status_since=_text(self._memory[row.key].since),
            command=pane.command,
            created_at=_text(_created(row, known)),
            last_activity=_text(max(*times, _coarse(pane.created))),
            last_input=_text(last_input),
            last_output=_text(last_output),
            attached=pane.attached,
            parent=identity.parent,
            tmux=Tmux(name=pane.session_name, session=pane.session, window=pane.window, pane=pane.id, panes=row.panes),
        )

    def _title(self, pane: Pane, agent: str) -> str:
        title = pane.title
        if title == self._host or title == self._host.partition(".")[0]:
            return pane.session_name
        if agent not in NO_AGENTS:
            title = unmarked(title)
        return title.strip() or pane.session_name


def _created(row: Row, known: _PaneMemory) -> float:
    """When a row came to be. tmux tells whole seconds of a session; its number orders those of one second."""
    if row.key == row.pane.id and known.runs.created:
        return known.runs.created
    return row.pane.created + int(row.pane.session[1:] or 0) % 1000 / 1000


def _holders(panes: Iterable[Pane], home: Mapping[str, Pane], agents: Iterable[str]) -> list[Holder]:
    """What has an identity: all sessions, and panes with an agent."""
    sessions: dict[str, Holder] = {}
    for pane in panes:
        if pane.session not in sessions or (pane.is_active and pane.is_current):
            sessions[pane.session] = Holder(pane.session, pane.session_mark, pane.session, pane.mark)
    return [*sessions.values(), *(Holder(pane, home[pane].mark, home[pane].session) for pane in agents)]


def _options(panes: Iterable[Pane]) -> dict[str, str]:
    """The options of all sessions and panes, as they are in tmux."""
    found: dict[str, str] = {}
    for pane in panes:
        found[pane.session] = pane.session_mark
        found[pane.id] = pane.mark
    return found


def _alone_in_window(panes: Iterable[Pane]) -> set[str]:
    once: set[str] = set()
    more: set[str] = set()
    for pane in panes:
        (more if pane.window in once else once).add(pane.window)
    return once - more


def _coarse(seconds: float) -> float:
    return seconds - seconds % COARSE


def _text(seconds: float) -> str:
    return utc_text(seconds) if seconds else ""
