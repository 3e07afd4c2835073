"""A judgement in words: each piece of evidence with its age, the rule that won, and what would change it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from teleclaude.core.explanation import EvidencePiece, SessionExplanation
from teleclaude.core.text import one_line
from teleclaude.sync.sessions.agents.evidence import Evidence, Judgement
from teleclaude.sync.sessions.agents.hook_match import HookMatch
from teleclaude.sync.sessions.agents.judge import NO_AGENTS, QUIET_AFTER, SILENT_FOR

# By rule (judge.py): in words, the source that won, and what would change it.
_RULES: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = MappingProxyType(
    {
        "dead": ("the pane is dead", "process", ("nothing: it has ended",)),
        "shell": ("no agent runs here, and its shell is at its prompt", "process", ("a program that it starts",)),
        "program": ("no agent runs here, but a program", "process", ("the program's end", "an agent's hook")),
        "stopped": ("its agent is stopped behind the shell's prompt", "process", ("`fg`", "a hook of it")),
        "state file": ("the agent's own state file goes before all else", "state file",
                       ("another status in the file", "the end of its process")),
        "hook": ("a hook's word, which nothing newer is against", "hook",
                 ("another hook", "a title or a state file that says otherwise")),
        "screen": ("its screen was looked at, since nothing else tells", "screen",
                   ("a title, a hook or a state file", "another look, after it wrote again")),
        "title": ("its title", "title", ("another title", "a hook, or a state file")),
        "new": ("it is new, and has shown no sign", "process", ("any sign of it",)),
        "output": (f"it wrote within {QUIET_AFTER:g} s, and shows no other sign", "output", ("silence",)),
        "silence": (f"it has written nothing for {QUIET_AFTER:g} s, and shows no other sign", "output", ("output",)),
        "nothing": ("nothing that it shows is known to mean anything", "", ()),
    }
)  # fmt: skip
_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "working": "working",
        "waiting": "waiting for an answer",
        "idle": "at its prompt",
        "calm": "not working: it may wait for an answer",
        "": "nothing that is known",
    }
)


def explanation(
    session_id: str, since: str, seen: Evidence, found: Judgement, now: float, match: HookMatch | None, title: str
) -> SessionExplanation:
    """Explain a judgement. `since`: the record's; `match`: how its last hook was matched; `title`: empty to hide it."""
    words, winner, changes = _RULES.get(found.rule, (found.rule, "", ()))
    pieces = [
        piece
        if piece.source != winner
        else EvidencePiece(source=piece.source, says=piece.says, age=piece.age, won=True)
        for piece in _pieces(seen, now, match, title, winner)
    ]
    expires = None if found.expires is None else max(0.0, found.expires - now)
    return SessionExplanation(
        session_id=session_id,
        status=found.status,
        reason=found.reason,
        since=since,
        rule=words,
        expires_in=expires,
        evidence=tuple(pieces),
        would_change=(*changes, *_more_changes(seen, found, expires)),
    )


def _more_changes(seen: Evidence, found: Judgement, expires: float | None) -> Iterator[str]:
    if expires is not None:
        yield f"time: in {expires:.1f} s, if nothing confirms it"
    if found.rule == "hook" and found.status == "working" and seen.title.says != "working":
        yield f"{SILENT_FOR:.0f} s of silence"
    if seen.agent not in NO_AGENTS and seen.story is None and seen.table.hooks:
        yield f"its hooks: `teleclaude hooks install {seen.table.name}`, where they are not"
    if found.rule == "nothing" and seen.table.name:
        yield f"a sign that is in the table of {seen.table.name} {seen.table.seen}: another version may show others"


def _pieces(seen: Evidence, now: float, match: HookMatch | None, title: str, winner: str) -> Iterator[EvidencePiece]:
    yield _process(seen, now)
    if seen.agent in NO_AGENTS or seen.is_dead:
        return
    if seen.table.waiting_for or seen.file:
        file = seen.file
        says = f"{file.status or 'no status'} {file.waiting_for}".strip() if file else "none was found"
        yield EvidencePiece(
            source="state file", says=says, age=_age(file.since, now) if file else None,
            why="" if file is None else "a hook is newer than it" if winner == "hook" else "its word is not known",
        )  # fmt: skip
    yield _hook(seen, now, match, winner)
    yield EvidencePiece(
        source="title", says=_TITLES[seen.title.says] + (f": {one_line(title, 60)!r}" if title else ""),
        age=_age(seen.title.since, now), why=_why_title(seen, winner),
    )  # fmt: skip
    if seen.screen:
        menu = "a menu: " + one_line(seen.screen.asks, 60) if seen.screen.asks else ""
        says = menu or one_line(seen.screen.error, 60) or "neither a menu nor an error"
        yield EvidencePiece(source="screen", says=says, age=_age(seen.screen.at, now), why="something else tells more")
    yield EvidencePiece(
        source="output", says="wrote" if seen.output else "never seen to write", age=_age(seen.output, now),
        why="an agent that sets a title may write without working" if seen.table.has_title else "other signs tell more",
    )  # fmt: skip


def _process(seen: Evidence, now: float) -> EvidencePiece:
    if seen.is_dead:
        how = f"signal {seen.signal}" if seen.signal else f"exit {seen.exit_status}"
        return EvidencePiece(source="process", says=f"ended ({how})")
    if seen.agent in NO_AGENTS:
        says = "a shell at its prompt" if seen.prompt_since else f"{seen.command or 'a program'} in the foreground"
        return EvidencePiece(source="process", says=says, age=_age(seen.prompt_since, now))
    behind = ", behind its shell's prompt" if seen.prompt_since else ""
    return EvidencePiece(source="process", says=f"{seen.agent} runs{behind}", age=_age(seen.agent_since, now))


def _hook(seen: Evidence, now: float, match: HookMatch | None, winner: str) -> EvidencePiece:
    story = seen.story
    if story is None:
        return EvidencePiece(source="hook", says="none was heard")
    says = f"{story.event or 'a report'}: {story.state or 'it ends'}" + (f" ({story.reason})" if story.reason else "")
    if match:
        says += f"; {match.how}"
        says += f"; it may be of {', '.join(match.rivals)} as well" if match.rivals else ""
    against = {"state file": "the state file is newer", "title": "the title says otherwise, and goes on doing so"}
    return EvidencePiece(
        source="hook", says=says, age=_age(story.at, now), why=against.get(winner, "nothing has confirmed it since")
    )


def _why_title(seen: Evidence, winner: str) -> str:
    if winner in {"state file", "hook"}:
        return f"the {winner} goes before it"
    return "it is not in the table of its agent" if not seen.title.says else "it does not tell enough"


def _age(at: float, now: float) -> float | None:
    return max(0.0, round(now - at, 1)) if at else None
