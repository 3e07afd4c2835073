"""What the hooks of one agent have told so far, folded into what it does. Pure: a story and an event in, a story out.

Rules:
- Events may come late, doubled, out of order, or not at all. One that is older than what is known of the state says
  nothing of it any more; nothing that is doubled counts twice; each state ends by other evidence too (judge.py).
- A story is of one session of the agent. Another one takes its place when it begins there; the events of the one
  before, which are late, are left out, and so are those of an agent that runs below it.
- Nothing of an event is believed but what can be: any part of its body may be missing, or of another kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from teleclaude.core.records import Ask, AskKind
from teleclaude.core.text import one_line
from teleclaude.sync.sessions.agents.agent_table import AgentTable, HookSays
from teleclaude.sync.sessions.agents.ask_text import ask_of, key_of_ask
from teleclaude.sync.sessions.agents.failure_words import failure_words, texts_of_error
from teleclaude.sync.sessions.agents.hook_event import HookEvent

StoryState: TypeAlias = Literal["working", "waiting", "idle", "error", ""]
FIRST_LINES: Final = 200  # characters of a prompt or an answer
_KINDS: Final[dict[str, AskKind]] = {"approval": "approval", "question": "question", "plan": "plan", "setup": "setup"}
_REMEMBERED: Final = 8  # sessions and turns that are over
_MOST_BEHIND: Final = 99


@dataclass(frozen=True, slots=True)
class OpenAsk:
    """A question that is open. `key`: tells it from others; empty for one that was only told to be there."""

    key: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class HookStory:
    """What was told. Times are seconds since the computer's start.

    `since`: when `state` began; `at`: when it was last confirmed, by `event`. `session`: the agent's own id of it.
    `process`: the agent's, 0 when unknown. `shells`, `tasks`: run behind it, as it last said; `subagents`: by id.
    """

    agent: str
    session: str = ""
    process: int = 0
    state: StoryState = ""
    reason: str = ""
    since: float = 0.0
    at: float = 0.0
    event: str = ""
    asks: tuple[OpenAsk, ...] = ()
    shells: int = 0
    tasks: int = 0
    subagents: frozenset[str] = frozenset()
    prompt: str = ""
    answer: str = ""
    transcript: str = ""
    folder: str = ""
    others: tuple[str, ...] = ()  # sessions that are over, or run below
    turns: tuple[str, ...] = ()  # that are over
    begun: tuple[str, ...] = ()  # turns, in the order of their prompts
    is_over: bool = False

    @property
    def ask(self) -> Ask | None:
        """What it waits for an answer to; of several the first."""
        return self.asks[0].ask if self.asks else None

    @property
    def background(self) -> str:
        """What runs behind it, in words; empty for nothing."""
        counted = ((self.shells, "shell"), (len(self.subagents), "subagent"), (self.tasks, "task"))
        return ", ".join(f"{count} {name}{'s' * (count > 1)}" for count, name in counted if count)


def restored_story(status: str, reason: str, since: float) -> HookStory:
    """Give what is left of a story that was told to a process before this one: that it waits, or failed."""
    state: StoryState = "waiting" if status == "waiting" else "error"
    kind = _KINDS.get(reason, "unknown")
    asks = (OpenAsk("", Ask(kind=kind)),) if state == "waiting" else ()
    return HookStory("", state=state, reason=reason, since=since, at=since, event="kept in tmux", asks=asks)


def tell(
    story: HookStory, event: HookEvent, table: AgentTable, process: int = 0, *, is_below: bool = False
) -> HookStory:
    """Take an event. `process`: the agent's that ran it, 0 when unknown; `is_below`: it runs below the story's."""
    session = event.text("session_id", "sessionID", "thread-id")
    says = table.hook_says(event.event, event.body)
    if says == "child":
        return _child(story, event, session)
    is_subagents = session in story.subagents and says in {"asks", "answered"}
    if session in story.others and not is_subagents:
        return _sibling(story, says, session)
    if says == "told" and session != story.session:
        return story  # of a hidden thread
    if session and story.session and session != story.session and not is_subagents:
        if is_below or event.at < story.at:
            return replace(story, others=_more(story.others, session))
        if says not in {"ready", "prompt"}:
            return story
        story = HookStory(story.agent, process=story.process, others=_more(story.others, story.session))
    told = replace(
        story,
        session=story.session if is_subagents else session or story.session,
        process=process or story.process,
        transcript=event.text("transcript_path") or story.transcript,
        folder=event.text("cwd", "directory") or story.folder,
    )
    return _Telling(told, event, table).told(says)


def _child(story: HookStory, event: HookEvent, session: str) -> HookStory:
    """A session is made: one with a parent is a subagent."""
    info = event.body.get("info")
    if not isinstance(info, dict) or not isinstance(info.get("parentID"), str):
        return story if story.session or not session else replace(story, session=session)
    return replace(story, subagents=_with(story.subagents, session), others=_more(story.others, session))


def _sibling(story: HookStory, says: HookSays, session: str) -> HookStory:
    """An event of another session: only that a subagent is done is of interest."""
    return replace(story, subagents=story.subagents - {session}) if says in {"done", "failed", "over"} else story


class _Telling:
    """One event that is the story's own."""

    def __init__(self, story: HookStory, event: HookEvent, table: AgentTable) -> None:
        self._story, self._event, self._table = story, event, table
        self._turn = event.text(*table.turn) if table.turn else ""

    def told(self, says: HookSays) -> HookStory:
        """Give the story after it."""
        story = self._with_texts(says)
        if says == "status":
            says = self._status()
        if says in {"subagent", "subagent_done"}:
            return self._subagent(story, says)
        if self._event.at < story.at or says == "note" or self._is_doubled(story, says):
            return story
        if story.is_over and says not in {"ready", "prompt"}:
            return story
        match says:
            case "ready":
                return self._state(replace(story, asks=(), subagents=frozenset(), shells=0, tasks=0), "idle")
            case "prompt":
                begun = _more(story.begun, self._turn) if self._turn else story.begun
                return self._state(replace(story, asks=(), begun=begun), "working")
            case "tool":
                return self._tool(story)
            case "asks":
                return self._asks(story)
            case "answered":
                return self._answered(story)
            case "over":
                return replace(story, is_over=True, state="", asks=(), at=self._event.at, event=self._name)
            case _:
                return self._ended(story, says)

    @property
    def _name(self) -> str:
        tool = self._event.text("tool_name", "notification_type", "permission")
        return f"{self._event.event}{{{one_line(tool, 40)}}}" if tool else self._event.event

    def _state(self, story: HookStory, state: StoryState, reason: str = "") -> HookStory:
        at = self._event.at
        since = story.since if (state, reason) == (story.state, story.reason) and not self._is_new_turn else at
        return replace(story, state=state, reason=reason, since=since, at=at, event=self._name, is_over=False)

    @property
    def _is_new_turn(self) -> bool:
        return self._table.hook_says(self._event.event, self._event.body) == "prompt"

    def _is_doubled(self, story: HookStory, says: HookSays) -> bool:
        """Tell whether a turn begins that has ended: the event came twice."""
        return says == "prompt" and bool(self._turn) and self._turn in story.turns

    def _tool(self, story: HookStory) -> HookStory:
        if self._event.text("tool_name") in self._table.question_tools and self._table.answers_end_all:
            return self._asks(story)
        if story.asks:  # another tool of the same turn goes on while it asks
            return replace(story, at=self._event.at)
        return self._state(story, "working")

    def _asks(self, story: HookStory) -> HookStory:
        key = key_of_ask(self._event)
        if story.asks and not key:
            return replace(story, at=self._event.at)  # what is asked is known already
        kept = tuple(known for known in story.asks if known.key not in {key, ""})
        asks = (*kept, OpenAsk(key, ask_of(self._event, self._table)))[-_REMEMBERED:]
        return self._state(replace(story, asks=asks), "waiting", asks[0].ask.kind)

    def _answered(self, story: HookStory) -> HookStory:
        answered = {key_of_ask(self._event), ""}
        asks = () if self._table.answers_end_all else tuple(ask for ask in story.asks if ask.key not in answered)
        if self._event.body.get("is_interrupt") is True:
            return self._state(replace(story, asks=()), "idle")
        if asks:
            return self._state(replace(story, asks=asks), "waiting", asks[0].ask.kind)
        return self._state(replace(story, asks=()), "working")

    def _ended(self, story: HookStory, says: HookSays) -> HookStory:
        turns = _more(story.turns, self._turn) if self._turn else story.turns
        if self._turn in story.begun[:-1]:  # told late: another turn has begun since
            return replace(story, turns=turns)
        story = replace(self._with_background(story), asks=(), turns=turns)
        if says != "failed":
            # What is only said again (a title turn, a reminder that it waits) ends no error.
            is_reminder = story.state == "error" and says == "done" and self._event.event == "Notification"
            return replace(story, at=self._event.at) if is_reminder else self._state(story, "idle")
        texts = texts_of_error(self._event.body)
        if texts and "abort" in texts[0].lower():
            return self._state(story, "idle")
        return self._state(story, "error", failure_words(*texts))

    def _status(self) -> HookSays:
        """Read opencode's own word."""
        status = self._event.body.get("status")
        kind = status.get("type") if isinstance(status, dict) else None
        return "tool" if kind in {"busy", "retry"} else "done" if kind == "idle" else "note"

    def _subagent(self, story: HookStory, says: HookSays) -> HookStory:
        name = self._event.text("agent_id")
        if says == "subagent":
            return replace(story, subagents=_with(story.subagents, name)) if name else story
        return self._with_background(replace(story, subagents=story.subagents - {name}))

    def _with_background(self, story: HookStory) -> HookStory:
        """Take what it says that runs behind it."""
        tasks = self._event.body.get("background_tasks")
        if not isinstance(tasks, list) or self._event.at < story.at:
            return story
        kinds = [_text(task.get("type")) for task in tasks[:_MOST_BEHIND] if isinstance(task, dict)]
        ids = frozenset(_text(task.get("id")) for task in tasks[:_MOST_BEHIND] if _is_subagent(task))
        shells = kinds.count("shell")
        return replace(story, shells=shells, subagents=ids, tasks=len(kinds) - shells - len(ids))

    def _with_texts(self, says: HookSays) -> HookStory:
        event, story = self._event, self._story
        if event.at < story.at and says != "prompt":
            return story
        if says == "prompt" and (prompt := event.text("prompt")):
            return replace(story, prompt=first_lines(prompt), answer="" if event.at >= story.at else story.answer)
        if says in {"done", "told", "failed"}:
            answer = event.text("last_assistant_message", "prompt_response", "last-assistant-message")
            return replace(story, answer=first_lines(answer) or story.answer)
        return story


def first_lines(text: str) -> str:
    """Give the begin of a prompt or an answer as one line that is safe to show."""
    lines = [line.strip() for line in text[: FIRST_LINES * 8].splitlines() if line.strip()]
    return one_line(" ".join(lines), FIRST_LINES)


def _is_subagent(task: Any) -> bool:
    return isinstance(task, dict) and task.get("type") == "subagent"


def _more(known: tuple[str, ...], new: str) -> tuple[str, ...]:
    return known if new in known else (*known, new)[-_REMEMBERED:]


def _with(known: frozenset[str], new: str) -> frozenset[str]:
    return known | {new} if new and len(known) < _MOST_BEHIND else known


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
