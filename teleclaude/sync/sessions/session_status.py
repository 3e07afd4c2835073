"""What state a session is in, from evidence. Pure: evidence in, state and reason out.

Authority, highest first:
1. the pane or its process is gone: *ended*;
2. the mark in the terminal's title, for agents that set one: `✳ ` idle, a braille or half-circle spinner working;
3. output: an agent that writes is working, one that was quiet for `QUIET_AFTER` seconds is idle;
4. a shell is idle while it is itself in the foreground, and working while something else is.
A hook's evidence, once hooks are there, belongs between 1 and 2. No evidence means *unknown*, never *error*.
"""

from __future__ import annotations

from dataclasses import dataclass

from teleclaude.core.records import SessionStatus

QUIET_AFTER = 5.0  # seconds without output until an agent without a mark counts as idle
STARTING_FOR = 3.0  # seconds from the start of an agent that shows no mark yet
_IDLE_MARK = "\N{EIGHT SPOKED ASTERISK}"
_SPINNERS = (range(0x2800, 0x2900), range(0x25D0, 0x25D4))  # braille, half circles


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a pane. Ages are seconds before now; `output_age` None: never seen to write."""

    agent: str
    title: str
    command: str
    is_dead: bool = False
    exit_status: int | None = None
    signal: int = 0
    at_prompt: bool = False
    age: float | None = None
    output_age: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """`expires`: seconds after which to judge again without new evidence, or None."""

    status: SessionStatus
    reason: str = ""
    expires: float | None = None


def judge(seen: Evidence) -> State:
    """Give the state that the evidence supports."""
    if seen.is_dead:
        told = "" if seen.exit_status is None else f"exit {seen.exit_status}"
        return State("ended", f"signal {seen.signal}" if seen.signal else told)
    if seen.agent in {"shell", "other"}:
        return State("idle") if seen.at_prompt else State("working", seen.command)
    marked = _marked(seen.title)
    if marked is not None:
        return State(marked, "title")
    if seen.age is not None and seen.age < STARTING_FOR:
        return State("starting", "", STARTING_FOR - seen.age)
    if seen.output_age is None:
        return State("unknown", "nothing seen yet")
    if seen.output_age < QUIET_AFTER:
        return State("working", "output", QUIET_AFTER - seen.output_age)
    return State("idle", "quiet")


def _marked(title: str) -> SessionStatus | None:
    if title[1:2] not in {" ", ""} or not title:
        return None
    if title[0] == _IDLE_MARK:
        return "idle"
    return "working" if any(ord(title[0]) in spinner for spinner in _SPINNERS) else None


def unmarked(title: str) -> str:
    """Give an agent's title without its mark, which moves many times a second and is told as the status."""
    return title[1:].lstrip() if _marked(title) is not None else title
