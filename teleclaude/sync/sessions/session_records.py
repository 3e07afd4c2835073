"""Session records from looks and peeks at tmux.

Rules: one record per row (rows.py says which panes are), under the id of what the row is: an agent's pane, or a
session. Only rows of which something may have changed are judged anew. Times of activity are coarse (`COARSE` seconds),
so that a pane that writes all the time changes its record once in that time and not with every line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from teleclaude.core.explanation import SessionExplanation
from teleclaude.core.records import Session, SessionStatus, Tmux, utc_text
from teleclaude.core.settings import AgentProfile
from teleclaude.sync.sessions.agents.evidence import FileSign, Judgement
from teleclaude.sync.sessions.agents.explain_judgement import explanation
from teleclaude.sync.sessions.agents.hook_event import HookEvent
from teleclaude.sync.sessions.agents.hook_story import restored_story
from teleclaude.sync.sessions.agents.judge import judge, screen_need, situation
from teleclaude.sync.sessions.agents.pane_signs import AgentSigns
from teleclaude.sync.sessions.agents.screen_looks import ScreenLooks, read_screen
from teleclaude.sync.sessions.holders import holders_of, options_of
from teleclaude.sync.sessions.identities import Identities, Identity
from teleclaude.sync.sessions.known_panes import NO_AGENTS, AgentClaim, KnownPane, KnownPanes
from teleclaude.sync.sessions.rows import Row, at_home, rows_of
from teleclaude.sync.tmux.panes import Look, Pane, Peek

COARSE = 5.0  # seconds
KEPT_AFTER = 30.0  # seconds that a status lasts until it is kept in tmux: seldom, though it may change often
_STEPPED = 0.5  # seconds by which the wall clock was set, rather than slewed
_NEVER = float("inf")


@dataclass(slots=True)
class _RowMemory:
    """What is remembered of a row. Times are seconds since the computer's start. `until`: it is as it is till then."""

    status: SessionStatus = "unknown"
    reason: str = ""
    since: float = 0.0
    until: float = 0.0
    last_output: float = 0.0  # coarse, as in the record
    basis: tuple[object, ...] = ()  # what it was judged from
    record: Session | None = None


class SessionBook:
    """The sessions of `computer`. `now`: seconds since boot; `offset`: what makes wall-clock seconds of it."""

    def __init__(self, computer: str, agents: Mapping[str, AgentProfile], identities: Identities) -> None:
        self._computer = computer
        self._identities = identities
        self._known = KnownPanes(agents, identities)
        self._signs = AgentSigns(agents)
        self._looks = ScreenLooks()
        self._server = 0
        self._panes: list[Pane] = []  # as tmux lists them: a pane is there for each session that shows it
        self._rows: list[Row] = []
        self._of: dict[str, Identity] = {}
        self._memory: dict[str, _RowMemory] = {}  # by what the row is
        self._rows_by_pane: dict[str, list[str]] = {}
        self._agents: frozenset[str] = frozenset()
        self._forming: frozenset[str] = frozenset()
        self._host = ""
        self._offset = 0.0

    def use_agents(self, agents: Mapping[str, AgentProfile]) -> None:
        """Take other profiles, with the next look."""
        self._known.use_agents(agents)
        self._signs.use_agents(agents)

    def glance(self, pane_pid: int) -> object:
        """What a pane's process has in the foreground now, to be compared; that it is not what is known counts too."""
        return self._known.glance(pane_pid)

    def note_input(self, pane: str, now: float) -> None:
        """Note that a command wrote to a pane."""
        self._known.note_input(pane, now)

    def forget(self) -> None:
        """Forget all of it: no server runs, or another."""
        self._known.forget()
        self._signs.forget()
        self._panes, self._rows, self._of, self._memory, self._rows_by_pane = [], [], {}, {}, {}

    def take(self, look: Look, wrote_at: Callable[[str], float], now: float, offset: float) -> bool:
        """Take a look. `wrote_at` gives when a terminal was last heard to write.

        False when a pane is left out that tmux is still making: look again soon.
        """
        self._host = look.server.host
        if abs(offset - self._offset) > _STEPPED:
            self._offset = offset
        is_first = look.server.pid != self._server
        self._panes, self._server = look.panes, look.server.pid
        home = at_home(look.panes)
        self._known.take(home, wrote_at, now, offset)
        self._signs.keep(home)
        for pane in home.values():
            self._signs.note(pane, self._known[pane.id], self._host, now, is_first=is_first)
        if self._signs.has_early:
            self._match([], home, now, offset)
        self._choose()
        self._identities.keep(options_of(look.panes))
        for row in self._rows:
            memory = self._memory[row.key]
            if self._basis(row) != memory.basis:
                memory.until = 0.0
        return not self._forming

    def peek(self, peeks: list[Peek], now: float, offset: float) -> set[str]:
        """Take peeks; give the panes of which a row shows something new."""
        by_id = {peek.id: peek for peek in peeks}
        self._panes = [by_id[pane.id].applied_to(pane) if pane.id in by_id else pane for pane in self._panes]
        home = at_home(pane for pane in self._panes if pane.id in by_id)
        # What all was asked of has another foreground, though tmux may call it the same (a shell, and its script).
        asked = {peek.id for peek in peeks if peek.command is not None}
        new = {pane.id: pane for pane in home.values() if pane.id in asked or self._known.is_new(pane, now)}
        before = {pane: self._shown(known) for pane in new if (known := self._known[pane].pane)}
        for pane in new.values():
            self._look_at(pane, now, offset)
        if (self._known.with_agent, self._known.forming) != (self._agents, self._forming):
            self._choose()
        elif new:
            self._rows = [_with_pane(row, new[row.pane.id]) if row.pane.id in new else row for row in self._rows]
        for key in [key for pane in new for key in self._rows_by_pane.get(pane, ())]:
            self._memory[key].until = 0.0
        return {pane for pane in new if self._shown(new[pane]) != before.get(pane)}

    def _look_at(self, pane: Pane, now: float, offset: float) -> None:
        self._known.look_at(pane, now, offset)
        self._signs.note(pane, self._known[pane.id], self._host, now, is_first=False)

    def hooked(self, events: Iterable[HookEvent], now: float, offset: float) -> bool:
        """Take what hooks reported, in any order; True when a record may be another by that."""
        home = at_home(self._panes)
        return self._match(events, home, now, offset)

    def take_files(self, files: Mapping[int, FileSign]) -> bool:
        """Take what the agents' own state files say, by pane process; True when a record may be another by that."""
        changed = self._signs.take_files(files, at_home(self._panes))
        for key in [key for pane in changed for key in self._rows_by_pane.get(pane, ())]:
            self._memory[key].until = 0.0
        return bool(changed)

    def agent_session(self, pane: str) -> str:
        """Give the id that the agent in a pane gives its session itself; empty when it did not say."""
        signs = self._signs.of(pane)
        return (signs.file.session if signs.file else "") or (signs.story.session if signs.story else "")

    def processes_of(self, program: str) -> frozenset[int]:
        """Give the processes of the panes in which a program runs."""
        panes = [row.pane for row in self._rows if self._signs.program(self._known[row.pane.id].agent) == program]
        return frozenset(pane.pid for pane in panes if not pane.is_dead)

    def next_screen(self) -> tuple[str, float]:
        """Give the pane whose screen is to be looked at next, and when; infinity for never."""
        return self._looks.next(lambda pane: self._known[pane].output)

    def take_screen(self, pane: str, screen: str | None, now: float) -> None:
        """Take what stands on a screen; None: it could not be seen."""
        if pane not in self._rows_by_pane:
            return
        sign = None if screen is None else read_screen(self._signs.table(self._known[pane].agent), screen, now)
        self._looks.looked(pane, sign, now)
        if sign:
            self._signs.take_screen(pane, sign)
            for key in self._rows_by_pane[pane]:
                self._memory[key].until = 0.0

    def _match(self, events: Iterable[HookEvent], home: Mapping[str, Pane], now: float, offset: float) -> bool:
        told = self._signs.hooked(events, self._signs.facts(home, self._known.__getitem__), self._server, now)
        for pane, program in told.items():
            signs, known = self._signs.of(pane), self._known[pane]
            story, profile = signs.story, self._signs.profile_of(program, known.agent)
            runs = story is not None and not story.is_over
            claim = AgentClaim(profile, story.process, signs.started) if story and runs else None
            if self._known.claim(pane, claim):
                self._look_at(home[pane], now, offset)
            for key in self._rows_by_pane.get(pane, ()):
                self._memory[key].until = 0.0
        if self._known.with_agent != self._agents:
            self._choose()
        return bool(told)

    def _shown(self, pane: Pane) -> tuple[object, ...]:
        known = self._known[pane.id]
        state = judge(self._signs.evidence(pane, known), known.output)
        return self._title(pane, known.agent), state.status, pane.command, known.cwd, known.agent, pane.exit_status

    def heard(self, panes: Iterable[str], now: float) -> bool:
        """Note that panes wrote; whether that changes a record."""
        is_new = False
        for key, wrote in [(key, pane) for pane in panes for key in self._rows_by_pane.get(pane, ())]:
            memory = self._memory[key]
            is_open = memory.status in {"idle", "unknown"} or wrote in self._looks
            if is_open or self._coarse(now) != memory.last_output:
                memory.until = 0.0
                is_new = True
        for pane in panes:
            if pane in self._rows_by_pane:
                self._known[pane].output = max(now, self._known[pane].output)
        return is_new

    def _choose(self) -> None:
        """Choose the rows, and give what is new its identity."""
        self._agents, self._forming = self._known.with_agent, self._known.forming
        home = at_home(self._panes)
        before = {row.key: row.pane.id for row in self._rows}
        rows = rows_of(self._panes, home, self._agents, self._forming, before)
        holders = holders_of(self._panes, home, self._agents)
        self._of = dict(self._identities.see(holders, [row.key for row in rows]))
        self._rows = [row for row in rows if row.key in self._of]
        self._memory = {row.key: self._memory.get(row.key) or _RowMemory() for row in self._rows}
        self._rows_by_pane = {}
        for row in self._rows:
            self._rows_by_pane.setdefault(row.pane.id, []).append(row.key)
        self._looks.keep(self._rows_by_pane)

    def folders(self) -> set[str]:
        """Folders in which the sessions are."""
        return {cwd for row in self._rows if (cwd := self._known[row.pane.id].cwd)}

    def records(
        self, project_of: Callable[[str], str], now: float, *, is_all_new: bool
    ) -> tuple[list[Session], float | None]:
        """Give the records now, and when they change by themselves. `is_all_new`: `project_of` may say otherwise."""
        records: list[Session] = []
        expires = _NEVER
        for row in self._rows:
            memory = self._memory[row.key]
            if memory.record is None or memory.until <= now or is_all_new:
                memory.record = self._judged(row, memory, project_of, now)
            records.append(memory.record)
            expires = min(expires, memory.until)
        return records, None if expires == _NEVER else expires

    def explain(self, session_id: str, now: float, *, with_title: bool) -> SessionExplanation | None:
        """Say why a row is said to do what it does."""
        row = next((row for row in self._rows if self._of[row.key].id == session_id), None)
        if row is None:
            return None
        seen = self._signs.evidence(row.pane, self._known[row.pane.id])
        since = _text(self._memory[row.key].since + self._offset)
        match, title = self._signs.of(row.pane.id).match, row.pane.title if with_title else ""
        return explanation(session_id, since, seen, judge(seen, now), now, match, title)

    def _judged(self, row: Row, memory: _RowMemory, project_of: Callable[[str], str], now: float) -> Session:
        known = self._known[row.pane.id]
        if not memory.since:
            self._restore(row)
        seen = self._signs.evidence(row.pane, known)
        found = judge(seen, now)
        self._looks.need(row.pane.id, screen_need(seen, now), situation(seen), now)
        if (found.status, _kept_reason(found)) != (memory.status, memory.reason) or not memory.since:
            memory.since = self._since(row, found, known, now, after=memory.since)
            memory.status, memory.reason = found.status, _kept_reason(found)
        memory.until = _NEVER if found.expires is None else found.expires
        memory.last_output = self._coarse(known.output)
        memory.basis = self._basis(row)
        record = self._build(row, known, found, project_of(known.cwd) if known.cwd else "")
        return record if memory.record is None or memory.record != record else memory.record

    def _restore(self, row: Row) -> None:
        """Take from the mark what only a hook told, before this process: it holds until something says otherwise."""
        kept = self._of[row.key]
        if kept.since and kept.status in {"error", "waiting"} and self._known[row.pane.id].agent not in NO_AGENTS:
            self._signs.restore(row.pane.id, restored_story(kept.status, kept.reason, kept.since - self._offset))

    def _since(self, row: Row, found: Judgement, known: KnownPane, now: float, *, after: float) -> float:
        """From when on a row is what it just became; at first sight (`after` 0) it may have been so for long."""
        told = min(now, found.since) or now
        if after:
            return max(after, told)
        kept = self._of[row.key]
        if (kept.status, kept.reason) == (found.status, _kept_reason(found)) and kept.since:
            before = min(now, kept.since - self._offset)
            return told if found.rule in {"state file", "hook"} and told > before + 1.0 else before
        return known.output if found.status in {"idle", "ended"} and known.output and not found.since else told

    def keep_statuses(self, now: float) -> float | None:
        """Have identities keep what statuses have lasted for `KEPT_AFTER`; gives when the next will have."""
        next_due = _NEVER
        for row in self._rows:
            memory, kept = self._memory[row.key], self._of[row.key]
            since = round(memory.since + self._offset)
            is_kept = (kept.status, kept.reason) == (memory.status, memory.reason) and abs(kept.since - since) <= 1
            if memory.record is None or is_kept:
                continue
            if memory.since + KEPT_AFTER <= now:
                self._identities.keep_status(row.key, memory.status, memory.reason, since)
                self._of[row.key] = self._identities.get(row.key) or kept
            else:
                next_due = min(next_due, memory.since + KEPT_AFTER)
        return None if next_due == _NEVER else next_due

    def _basis(self, row: Row) -> tuple[object, ...]:
        known = self._known[row.pane.id]
        times = (self._coarse(known.output), self._coarse(known.input))
        version = self._signs.of(row.pane.id).version
        return row, known.runs, known.agent, known.cwd, self._of[row.key], times, self._offset, version

    def _build(self, row: Row, known: KnownPane, found: Judgement, project: str) -> Session:
        pane, identity = row.pane, self._of[row.key]
        last_output, last_input = self._coarse(known.output), self._coarse(known.input)
        prompt, answer = self._signs.last_words(pane.id)
        return Session(
            session_id=identity.id,
            computer=self._computer,
            project=project,
            cwd=known.cwd,
            title=identity.title or self._title(pane, known.agent),
            agent=known.agent,
            thinking_mode=identity.mode,
            status=found.status,
            status_reason=found.reason,
            status_since=_text(self._memory[row.key].since + self._offset),
            command=pane.command,
            created_at=_text(self._created(row, known)),
            last_activity=_text(max(last_output, last_input, pane.created - pane.created % COARSE)),
            last_input=_text(last_input),
            last_output=_text(last_output),
            attached=pane.attached,
            parent=identity.parent,
            asks=found.asks,
            background=found.background,
            last_prompt=prompt,
            last_answer=answer,
            tmux=Tmux(
                name=pane.session_name,
                session=pane.session,
                window=pane.window,
                pane=pane.id,
                panes=row.panes,
                place=row.place,
            ),
        )

    def _title(self, pane: Pane, agent: str) -> str:
        title = pane.title
        if title == self._host or title == self._host.partition(".")[0]:
            return pane.session_name
        if agent not in NO_AGENTS:
            title = self._signs.table(agent).plain_title(title)
        return title.strip() or pane.session_name

    def _created(self, row: Row, known: KnownPane) -> float:
        """When a row came to be. tmux tells whole seconds of a session; its number orders those of one second."""
        if row.key == row.pane.id and known.runs.created:
            return known.runs.created + self._offset
        return row.pane.created + int(row.pane.session[1:] or 0) % 1000 / 1000

    def _coarse(self, at: float) -> float:
        """Wall-clock seconds of a time, coarse; 0 for never."""
        return (at + self._offset) // COARSE * COARSE if at else 0.0


def _kept_reason(found: Judgement) -> str:
    """What of a reason makes another state of it."""
    return found.reason if found.status in {"waiting", "error"} else ""


def _with_pane(row: Row, home: Pane) -> Row:
    """A row whose pane is another by now; where it is shown, and by how many, stays as it is."""
    told = {name: getattr(home, name) for name in ("is_dead", "exit_status", "signal", "title", "command", "path")}
    return replace(row, pane=replace(row.pane, **told))


@lru_cache(maxsize=1024)
def _text(seconds: float) -> str:
    return utc_text(seconds) if seconds else ""
