"""What a pane is doing, from evidence. Pure: evidence and the time in, a judgement out; it never raises.

The rules stand in `RULES`, strongest first; the first that has something to say wins:
- the pane is dead; it has no agent; its agent is stopped behind a shell;
- a hook that is newer than the agent's own state file, for a moment; the state file;
- a hook, for as long as neither the title nor a long silence says otherwise: Esc, denials and errors fire none;
- what was seen on the screen; the title; an agent that has just been started;
- output and silence, for agents that set no title.
No evidence means *unknown*: never *working*, and never *error*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from teleclaude.core.records import Ask, SessionStatus
from teleclaude.sync.sessions.agents.agent_table import TitleSays
from teleclaude.sync.sessions.agents.evidence import Evidence, FileSign, Judgement
from teleclaude.sync.sessions.agents.failure_words import failure_words
from teleclaude.sync.sessions.agents.hook_story import HookStory

NO_AGENTS: Final = frozenset({"shell", "other"})
QUIET_AFTER: Final = 1.5  # seconds without output until an agent counts as idle of which nothing else tells
STARTING_FOR: Final = 2.0  # seconds in which an agent may be without a sign
TITLED_WITHIN: Final = 10.0  # seconds for the first title of one that sets one, which on a busy computer takes long
SCREEN_AFTER: Final = 1.0  # seconds from which on the screen of one without a sign may tell
FRESH: Final = 1.0  # seconds in which a hook may be ahead of the state file
LATE: Final = 0.25  # seconds that a title may be seen late
CONFIRMED_WITHIN: Final = 1.5  # seconds after a hook in which the title must come to agree
SILENT_FOR: Final = 10.0  # seconds of silence after which nobody works whom only a hook says to
SAME_TURN: Final = 2.0  # seconds between what a hook and the state file tell of one event
_ERROR_LAG: Final = 1.5

Rule: TypeAlias = Callable[[Evidence, float], Judgement | None]
ScreenNeed: TypeAlias = Literal["", "once", "follow"]

_FILE: Final[Mapping[str, SessionStatus]] = {"busy": "working", "waiting": "waiting", "idle": "idle", "shell": "idle"}
_AGAINST: Final[Mapping[str, frozenset[TitleSays]]] = {
    "working": frozenset({"calm", "idle", "waiting"}),
    "waiting": frozenset({"working", "idle"}),
    "idle": frozenset({"working", "waiting"}),
    "error": frozenset({"working", "waiting"}),
}


def judge(seen: Evidence, now: float) -> Judgement:
    """Give what the evidence supports. `now`: seconds since the computer's start."""
    for rule in RULES:
        found = rule(seen, now)
        if found is not None:
            behind = found.background or (seen.story.background if seen.story and _has_agent(seen) else "")
            return replace(found, background=behind) if behind and found.status != "ended" else found
    return Judgement("unknown", "nothing", "nothing tells", since=seen.agent_since)


def _has_agent(seen: Evidence) -> bool:
    return seen.agent not in NO_AGENTS and not seen.is_dead


def _dead(seen: Evidence, _now: float) -> Judgement | None:
    if not seen.is_dead:
        return None
    told = "" if seen.exit_status is None else f"exit {seen.exit_status}"
    return Judgement("ended", "dead", f"signal {seen.signal}" if seen.signal else told)


def _no_agent(seen: Evidence, _now: float) -> Judgement | None:
    if seen.agent not in NO_AGENTS:
        return None
    if seen.prompt_since:
        return Judgement("idle", "shell", since=seen.prompt_since)
    return Judgement("running", "program", seen.command)


def _stopped(seen: Evidence, _now: float) -> Judgement | None:
    """An agent behind a shell's prompt is stopped, but for one of which a hook has told since: it runs there."""
    if not seen.prompt_since or (seen.story and seen.story.at > seen.prompt_since):
        return None
    return Judgement("idle", "stopped", "stopped (Ctrl-Z)", since=seen.prompt_since)


def _fresh_hook(seen: Evidence, now: float) -> Judgement | None:
    file, story = seen.file, _living(seen)
    if file is None or story is None:
        return None
    if story.state == "error" and _FILE.get(file.status) == "idle" and file.since <= story.at + _ERROR_LAG:
        return _by_hook(story, None)
    is_ahead = file.since < story.at and now < story.at + FRESH
    if is_ahead and file.status != "waiting" and _FILE.get(file.status) != story.state:
        return _by_hook(story, story.at + FRESH)
    return None


def _state_file(seen: Evidence, _now: float) -> Judgement | None:
    file = seen.file
    status = _FILE.get(file.status) if file else None
    if file is None or status is None:
        return None
    if status != "waiting":
        behind = "a shell" if file.status == "shell" and not (seen.story and seen.story.background) else ""
        return Judgement(status, "state file", since=file.since, background=behind)
    asks = _ask_of_file(file, _living(seen), seen)
    return Judgement("waiting", "state file", asks.kind, since=file.since, asks=asks)


def _ask_of_file(file: FileSign, story: HookStory | None, seen: Evidence) -> Ask:
    """What is asked, where a hook told it about when the file changed; an older question is another one."""
    if story and story.ask and story.since >= file.since - SAME_TURN:
        return story.ask
    return Ask(kind=seen.table.waiting_for.get(file.waiting_for, "unknown"))


def _hook(seen: Evidence, now: float) -> Judgement | None:
    story = _living(seen)
    if story is None:
        return None
    until = hook_holds_until(seen, story)
    return _by_hook(story, until) if until is None or now < until else None


def hook_holds_until(seen: Evidence, story: HookStory) -> float | None:
    """Give until when a hook's word stands against the other evidence: None for as long as that stays as it is."""
    if seen.title.says in _AGAINST.get(story.state, frozenset()):
        return 0.0 if seen.title.since > story.at + LATE else story.at + CONFIRMED_WITHIN
    if story.state == "waiting" and _has_worked_since(seen, story):
        return 0.0
    if story.state == "waiting" and seen.screen and not seen.screen.asks and seen.screen.at > story.at + FRESH:
        return 0.0
    if story.state == "working" and seen.title.says != "working":
        return max(story.at, seen.output) + SILENT_FOR
    return None


def _has_worked_since(seen: Evidence, story: HookStory) -> bool:
    """Tell whether the title said *working* after a question was asked: whatever it says now, that was answered."""
    began, ended = seen.title.worked
    return began > story.at + LATE or ended > story.at + CONFIRMED_WITHIN


def _living(seen: Evidence) -> HookStory | None:
    return seen.story if seen.story and seen.story.state and not seen.story.is_over else None


def _by_hook(story: HookStory, expires: float | None) -> Judgement:
    status: SessionStatus = story.state or "unknown"
    return Judgement(status, "hook", story.reason, since=story.since, asks=story.ask, expires=expires)


def _screen(seen: Evidence, _now: float) -> Judgement | None:
    screen = seen.screen
    if screen is None or screen.at < seen.title.since or not screen_need(seen, screen.at):
        return None
    if screen.asks:
        is_setup = seen.story is None and (seen.title.says == "" or seen.table.asks_before_ready)
        kind: Literal["setup", "unknown"] = "setup" if is_setup else "unknown"
        return Judgement("waiting", "screen", kind, since=screen.at, asks=Ask(kind=kind))
    if screen.error and seen.title.says == "idle":
        return Judgement("error", "screen", failure_words(screen.error), since=seen.title.since)
    return None


def screen_need(seen: Evidence, now: float) -> ScreenNeed:
    """Tell whether the screen would tell more: once, or again whenever it was written to since.

    Only where nothing else tells: no menu, and no error that fires no hook, is on the screen of one that works.
    """
    table, title = seen.table, seen.title.says
    if not table.pointer or not _has_agent(seen) or seen.prompt_since or (seen.file and seen.file.status in _FILE):
        return ""
    story = _living(seen)
    if title == "idle" and table.error_line and not (story and story.state == "idle" and story.at >= seen.title.since):
        return "once"
    if story is not None:
        return "follow" if story.state == "waiting" and title == "calm" and seen.output > story.at + FRESH else ""
    if title == "calm" or (title == "idle" and table.asks_before_ready):
        return "follow"
    return "follow" if title == "" and now >= seen.agent_since + SCREEN_AFTER else ""


def situation(seen: Evidence) -> object:
    """Give what is the same for as long as one look at the screen is enough."""
    story = _living(seen)
    return seen.agent, seen.agent_since, seen.title, story and (story.state, story.since)


def _title(seen: Evidence, _now: float) -> Judgement | None:
    match seen.title.says:
        case "":
            return None
        case "waiting":
            ask = seen.story.ask if seen.story else None
            found = ask or Ask(kind="unknown")
            return Judgement("waiting", "title", found.kind, since=seen.title.since, asks=found)
        case "working":
            return Judgement("working", "title", since=seen.title.since)
        case _:
            return Judgement("idle", "title", since=seen.title.since)


def _starting(seen: Evidence, now: float) -> Judgement | None:
    until = seen.agent_since + (TITLED_WITHIN if seen.table.has_title else STARTING_FOR)
    if not seen.agent_since or seen.has_shown or now >= until:
        return None
    screen = seen.agent_since + SCREEN_AFTER
    return Judgement("starting", "new", since=seen.agent_since, expires=screen if now < screen else until)


def _output(seen: Evidence, now: float) -> Judgement | None:
    if seen.table.has_title or not seen.output:
        return None
    until = seen.output + QUIET_AFTER
    if now < until:
        return Judgement("working", "output", expires=until)
    return Judgement("idle", "silence", "quiet", since=seen.output)


RULES: Final[tuple[Rule, ...]] = (
    _dead, _no_agent, _stopped, _fresh_hook, _state_file, _hook, _screen, _title, _starting, _output,
)  # fmt: skip
