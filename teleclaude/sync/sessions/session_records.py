"""Session records from a look at tmux. It reads /proc for what runs in a pane; everything else comes as arguments.

Rules: one record per pane worth showing, whatever number of sessions show that pane; every pane in which an agent
runs, and for a tmux session without one its active pane. Times of activity are coarse (`COARSE` seconds), so that a
pane that writes all the time changes its record once in that time and not with every line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from teleclaude.core.records import Session, SessionStatus, Tmux, utc_text
from teleclaude.core.settings import AgentProfile
from teleclaude.sync.sessions.pane_identity import Mark, Marks
from teleclaude.sync.sessions.processes import Foreground, Foregrounds
from teleclaude.sync.sessions.session_status import Evidence, State, judge, unmarked
from teleclaude.sync.tmux.panes import Look, Pane

COARSE = 5.0  # seconds
FORMING_FOR = 3.0  # seconds that a pane's process may take to become what it is to be
_DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class _Seen:
    """One pane with what is known of it beyond tmux' words."""

    pane: Pane
    runs: Foreground
    agent: str
    output: float  # seconds since 1970
    input: float


@dataclass(slots=True)
class _Memory:
    """What is remembered of a session from look to look."""

    status: SessionStatus = "unknown"
    since: float = 0.0
    agent: str = ""
    cwd: str = ""
    output: float = 0.0
    basis: tuple[object, ...] = ()
    record: Session | None = None


class SessionBook:
    """The sessions of `computer`, look after look."""

    def __init__(self, computer: str, agents: Mapping[str, AgentProfile], marks: Marks) -> None:
        self._computer = computer
        self._marks = marks
        self._foregrounds = Foregrounds(agents)
        self._seen: list[_Seen] = []
        self._of: dict[str, Mark] = {}
        self._memory: dict[str, _Memory] = {}  # by pane
        self._inputs: dict[str, float] = {}  # by pane: when a command last wrote to it
        self._host = ""

    def use_agents(self, agents: Mapping[str, AgentProfile]) -> None:
        """Take other profiles."""
        self._foregrounds = Foregrounds(agents)

    def note_input(self, pane: str, when: float) -> None:
        """Note that a command wrote to a pane at `when` (seconds since 1970)."""
        self._inputs[pane] = when

    def forget(self) -> None:
        """Forget all panes: no server runs, or another."""
        self._seen, self._of, self._memory, self._inputs = [], {}, {}, {}

    def take(self, look: Look, wrote_at: Callable[[str], float], now: float) -> bool:
        """Take a look. `wrote_at` gives the time of a terminal's last output seen; `now`: monotonic.

        False when a pane is left out that tmux is still making: look again soon.
        """
        self._host = look.server.host
        panes = _once_each(look.panes)
        alone = _alone_in_window(panes)
        everything = [self._look_at(pane, wrote_at(pane.tty), pane.window in alone, now) for pane in panes]
        whole = [seen for seen in everything if not self._is_forming(seen)]
        shown = worth_showing(whole, look.panes)
        self._of = self._marks.see(seen.pane for seen in shown)
        self._seen = [seen for seen in shown if seen.pane.id in self._of]
        self._marks.keep(panes)
        self._foregrounds.forget_others(pane.pid for pane in panes)
        ids = {pane.id for pane in panes}
        self._memory = {pane: known for pane, known in self._memory.items() if pane in ids}
        self._inputs = {pane: when for pane, when in self._inputs.items() if pane in ids}
        return len(whole) == len(everything)

    def _is_forming(self, seen: _Seen) -> bool:
        """Tell whether a pane's process is so new that it has not become its program, nor entered its folder."""
        pane = seen.pane
        if pane.is_dead or self._memory[pane.id].record:
            return False
        age = time.time() - seen.runs.created if seen.runs.created else FORMING_FOR
        return (pane.command in {"", "tmux"} or not pane.path) and age < FORMING_FOR

    def _look_at(self, pane: Pane, wrote: float, is_alone: bool, now: float) -> _Seen:
        memory = self._memory.setdefault(pane.id, _Memory())
        output = max(wrote, memory.output, pane.window_activity if is_alone or not memory.output else 0.0)
        is_fresh = output > memory.output
        memory.output = output
        if pane.path:
            memory.cwd = pane.path.removesuffix(_DELETED)
        runs = Foreground() if pane.is_dead else self._foregrounds.look(pane.pid, pane.command, now, fresh=is_fresh)
        used = float(pane.session_activity) if pane.is_active and pane.is_current else 0.0
        typed = used if used > pane.created else 0.0
        agent = self._agent(pane, runs, memory)
        return _Seen(pane, runs, agent, output, max(typed, self._inputs.get(pane.id, 0.0)))

    def _agent(self, pane: Pane, runs: Foreground, memory: _Memory) -> str:
        """Name what runs there: by process, by what it was started as, and for the dead by what it was."""
        mark = self._marks.get(pane.id)
        started_as = mark.agent if mark else ""
        if pane.is_dead:
            return memory.agent or started_as or "other"
        if runs.profile:
            memory.agent = started_as if self._foregrounds.are_same(started_as, runs.profile) else runs.profile
        elif runs.has_shell:
            memory.agent = "shell"
        else:  # the pane's own process is no shell: it is what it was started as, whatever it calls itself
            memory.agent = started_as or "other"
        return memory.agent

    def folders(self) -> set[str]:
        """Folders in which the sessions are."""
        return {cwd for seen in self._seen if (cwd := self._memory[seen.pane.id].cwd)}

    def records(self, project_of: Callable[[str], str], when: float) -> tuple[list[Session], float | None]:
        """Give the records as of `when` (seconds since 1970), and seconds until they change by themselves."""
        records: list[Session] = []
        expires: list[float] = []
        for seen in self._seen:
            state = judge(self._evidence(seen, when))
            records.append(self._record(seen, state, project_of, when))
            if state.expires is not None:
                expires.append(state.expires)
        return records, min(expires, default=None)

    def _evidence(self, seen: _Seen, when: float) -> Evidence:
        pane = seen.pane
        return Evidence(
            agent=seen.agent,
            title=pane.title,
            command=pane.command,
            is_dead=pane.is_dead,
            exit_status=pane.exit_status,
            signal=pane.signal,
            at_prompt=seen.runs.at_prompt,
            age=when - seen.runs.created if seen.runs.created else None,
            output_age=when - seen.output if seen.output else None,
        )

    def _record(self, seen: _Seen, state: State, project_of: Callable[[str], str], when: float) -> Session:
        """Build a record, or give the last one where nothing that goes into it has changed."""
        memory, mark = self._memory[seen.pane.id], self._of[seen.pane.id]
        if state.status != memory.status or not memory.since:
            is_old = not memory.since and state.status in {"idle", "ended"} and seen.output
            memory.status, memory.since = state.status, seen.output if is_old else when
        times = (_coarse(seen.output), _coarse(seen.input))
        project = project_of(memory.cwd) if memory.cwd else ""
        basis = (seen.pane, seen.runs, seen.agent, mark, state.status, state.reason, memory.since, project, times)
        if memory.record is None or basis != memory.basis:
            memory.basis = basis
            memory.record = self._build(seen, state, project, times)
        return memory.record

    def _build(self, seen: _Seen, state: State, project: str, times: tuple[float, float]) -> Session:
        pane, mark, memory = seen.pane, self._of[seen.pane.id], self._memory[seen.pane.id]
        last_output, last_input = times
        return Session(
            session_id=mark.id,
            computer=self._computer,
            project=project,
            cwd=memory.cwd,
            title=mark.title or self._title(seen),
            agent=seen.agent,
            thinking_mode=mark.mode,
            status=state.status,
            status_reason=state.reason,
            status_since=_text(memory.since),
            command=pane.command,
            created_at=_text(seen.runs.created or pane.created),
            last_activity=_text(max(*times, _coarse(pane.created))),
            last_input=_text(last_input),
            last_output=_text(last_output),
            attached=pane.attached,
            parent=mark.parent,
            tmux=Tmux(name=pane.session_name, session=pane.session, window=pane.window, pane=pane.id),
        )

    def _title(self, seen: _Seen) -> str:
        title = seen.pane.title
        if title == self._host or title == self._host.partition(".")[0]:
            return seen.pane.session_name
        if seen.agent not in {"shell", "other"}:
            title = unmarked(title)
        return title.strip() or seen.pane.session_name


def worth_showing(everything: list[_Seen], rows: list[Pane]) -> list[_Seen]:
    """Choose panes: those with an agent; and for each session that has none, its active pane."""
    by_id = {seen.pane.id: seen for seen in everything}
    with_agent = {seen.pane.id for seen in everything if seen.agent not in {"shell", "other"}}
    served = {row.session for row in rows if row.id in with_agent}
    active = {row.id for row in rows if row.session not in served and row.is_active and row.is_current}
    return [seen for pane, seen in by_id.items() if pane in with_agent or pane in active]


def _once_each(rows: list[Pane]) -> list[Pane]:
    """One row per pane, that of the oldest session that shows it; `attached` counts the clients of all."""
    found: dict[str, Pane] = {}
    for row in sorted(rows, key=lambda row: _number(row.session)):
        first = found.get(row.id)
        if first is None:
            found[row.id] = row
        elif first.session != row.session and row.attached:
            found[row.id] = replace(first, attached=first.attached + row.attached)
    return list(found.values())


def _alone_in_window(panes: list[Pane]) -> set[str]:
    once: set[str] = set()
    more: set[str] = set()
    for pane in panes:
        (more if pane.window in once else once).add(pane.window)
    return once - more


def _number(name: str) -> int:
    return int(name[1:]) if name[1:].isdigit() else 0


def _coarse(seconds: float) -> float:
    return seconds - seconds % COARSE


def _text(seconds: float) -> str:
    return utc_text(seconds) if seconds else ""
