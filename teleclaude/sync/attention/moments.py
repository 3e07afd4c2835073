"""When a session has something to tell a person: it waits, it failed, it finished. Pure: records in, notices out.

Rules of this module:
- Once per event. What goes on is no new event, whatever else of the record changes; nor is what was left for a moment.
- An event that is over within `SETTLE` seconds (an approval that is answered at once) was none.
- The longer the same comes and goes, the longer it must have been gone until it is told again.
- What there is at the first look is known already, unless the daemon before had noted otherwise (`told`, `restore`).
Times are seconds of any one clock that does not jump.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from teleclaude.core.records import Session
from teleclaude.core.session_notice import NoticeState, SessionNotice

SETTLE = 1.2  # seconds
AWAY_FIRST, AWAY_MOST = 5.0, 300.0  # seconds that the same must have been gone, at first and at most, to be told again
CALM_AFTER = 600.0  # seconds after which coming and going is forgotten
KEPT = 300.0  # seconds that a session that has gone is remembered: its tmux may be looked at again in a moment
NO_AGENTS = frozenset({"shell", "other"})

Mood: TypeAlias = Literal["", "busy", "calm", "waiting", "error"]


class Moment(NamedTuple):
    """What is to be told. `subject`: what is asked, or why it failed; empty while that is not known."""

    state: NoticeState
    subject: str = ""


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """What the next daemon has to know of a session: what was told of it last, and whether it worked since.

    The subject is a sum of it: this goes into a file, and what an agent asks does not.
    """

    told: tuple[NoticeState, str] | None
    has_worked: bool


@dataclass(slots=True)
class _SessionMemory:
    record: Session
    current: Moment | None = None  # what it is in now
    has_worked: bool = False  # since it finished or failed last
    due: float | None = None  # when `current` is told
    told: Moment | None = None  # last
    told_at: float = 0.0
    times: int = 0  # that the same was told in a row
    left_at: float = 0.0  # when it was last in no event any more, or in another
    gone_at: float | None = None


class Moments:
    """All sessions of this computer."""

    def __init__(self, before: Mapping[str, Remembered] | None = None) -> None:
        self._before = dict(before or {})
        self._memory: dict[str, _SessionMemory] = {}
        self._has_looked = False

    def take(self, sessions: Mapping[str, Session | None], now: float) -> None:
        """Take what changed: sessions by id, None for one that has gone. The first call has all that there is."""
        for session_id, session in sessions.items():
            memory = self._memory.get(session_id)
            if session is None:
                if memory:
                    memory.gone_at, memory.due = now, None
                continue
            if memory is None:
                memory = self._memory[session_id] = self._first_sight(session)
            memory.record, memory.gone_at = session, None
            self._judge(memory, now)
        self._has_looked = True
        for session_id in [key for key, one in self._memory.items() if one.gone_at and now - one.gone_at > KEPT]:
            del self._memory[session_id]

    def _first_sight(self, session: Session) -> _SessionMemory:
        before = self._before.pop(session.session_id, None)
        memory = _SessionMemory(session)
        if before is not None:
            memory.current = memory.told = Moment(*before.told) if before.told else None
            memory.has_worked = before.has_worked
        elif not self._has_looked:
            memory.has_worked = mood_of(session)[0] in {"busy", "waiting"}
            memory.current = memory.told = event_of(session, has_worked=False)
        return memory

    def _judge(self, memory: _SessionMemory, now: float) -> None:
        session, before = memory.record, memory.current
        memory.has_worked = memory.has_worked or _is_at_work(session)
        if session.status == "unknown":
            return
        found = event_of(session, has_worked=memory.has_worked)
        if before and found and before.state == found.state and _is_same(before.subject, found.subject):
            memory.current = Moment(found.state, found.subject or before.subject)
            if memory.told == before:
                memory.told = memory.current
            return
        if before == found:
            return
        if before is not None and memory.due is None:
            memory.left_at = now
        memory.current = found
        memory.due = None if found is None or self._is_repeated(memory, found, now) else now + SETTLE

    def _is_repeated(self, memory: _SessionMemory, found: Moment, now: float) -> bool:
        """Tell whether it was told just now, and left for a moment only."""
        told = memory.told
        if told is None or told.state != found.state or not _is_same(told.subject, found.subject):
            return False
        enough = min(AWAY_FIRST * float(1 << min(16, max(0, memory.times - 1))), AWAY_MOST)
        return now - memory.left_at < enough

    def due(self, now: float) -> list[SessionNotice]:
        """Give what is to be told now."""
        found: list[SessionNotice] = []
        for memory in self._memory.values():
            event = memory.current
            if memory.due is None or memory.due > now or event is None:
                continue
            is_again = memory.told == event and now - memory.told_at < CALM_AFTER
            memory.times = memory.times + 1 if is_again else 1
            memory.told, memory.told_at, memory.due = event, now, None
            if event.state != "waiting":
                memory.has_worked = False
            found.append(notice_of(memory.record, event))
        return found

    def next_due(self) -> float | None:
        """When `due` will have something; None when nothing is awaited."""
        return min((memory.due for memory in self._memory.values() if memory.due is not None), default=None)

    def is_so(self, notice: SessionNotice) -> bool:
        """Tell whether what a notice says still is so."""
        memory = self._memory.get(notice.session_id)
        return memory is not None and memory.current is not None and memory.current.state == notice.state

    def told(self) -> dict[str, Remembered]:
        """What the next daemon has to know."""
        return {key: _remembered(memory) for key, memory in self._memory.items() if memory.gone_at is None}


def _remembered(memory: _SessionMemory) -> Remembered:
    is_told = memory.due is None and memory.current == memory.told
    told = (memory.told.state, _sum_of(memory.told.subject)) if is_told and memory.told else None
    return Remembered(told, memory.has_worked)


def mood_of(session: Session) -> tuple[Mood, str]:
    """How a session is to a person, and its subject."""
    match session.status:
        case "waiting":
            return "waiting", _asked(session)
        case "error":
            return "error", session.status_reason
        case "ended" if session.status_reason not in {"", "exit 0"} and session.agent not in NO_AGENTS:
            return "error", session.status_reason
        case "working" | "starting":
            return "busy", ""
        case "idle":
            return ("busy" if session.background else "calm"), ""
        case _:
            return "", ""


def event_of(session: Session, *, has_worked: bool) -> Moment | None:
    """What a session is in that a person should know of."""
    mood, subject = mood_of(session)
    match mood:
        case "waiting" | "error":
            return Moment(mood, subject)
        case "calm" if has_worked:
            return Moment("finished")
        case _:
            return None


def notice_of(session: Session, event: Moment) -> SessionNotice:
    """Tell an event of a session."""
    return SessionNotice(
        computer=session.computer,
        session_id=session.session_id,
        state=event.state,
        title=session.title,
        text=event.subject or (session.last_answer if event.state == "finished" else ""),
        agent=session.agent,
        project=session.project or session.cwd,
        pane=session.tmux.pane,
    )


def _is_at_work(session: Session) -> bool:
    return session.agent not in NO_AGENTS and session.status in {"working", "waiting"}


def _is_same(one: str, other: str) -> bool:
    """What is asked becomes known a moment after that something is asked: that is the same."""
    return not one or not other or _sum_of(one) == _sum_of(other)


def _sum_of(subject: str) -> str:
    """A subject in place of which nothing can be read; of such a one itself, and nothing for none."""
    return subject if not subject or subject[0] == "\0" else f"\0{zlib.crc32(subject.encode()):08x}"


def _asked(session: Session) -> str:
    asks = session.asks
    if asks is None:
        return ""
    return ": ".join(part for part in (asks.tool, asks.text) if part) or ("" if asks.kind == "unknown" else asks.kind)
