"""When something is told of a session: once per event, and never for what was there already or is over at once."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from teleclaude.core.records import Ask, Session
from teleclaude.core.session_notice import SessionNotice
from teleclaude.sync.attention.moments import AWAY_FIRST, KEPT, SETTLE, Moments
from tests.make import session

BASH = Ask(kind="approval", tool="Bash", text="rm -rf build")
EDIT = Ask(kind="approval", tool="Edit", text="a.py")


def agent(status: str, key: str = "s1", **more: Any) -> Session:
    """A session in which an agent is so."""
    return replace(session(key, status=status), agent="claude", **more)


class Story:
    """What happens to one computer's sessions, and what is told of it, as `state subject`."""

    def __init__(self, *sessions: Session, before: Moments | None = None) -> None:
        self.now = 1000.0
        self.moments = Moments(before.told() if before else None)
        self.moments.take({one.session_id: one for one in sessions}, self.now)

    def then(self, *sessions: Session, after: float = 1.0) -> list[str]:
        """Some seconds go by, then sessions are so; gives what was told in that time."""
        told = self.wait(after)
        self.moments.take({one.session_id: one for one in sessions}, self.now)
        return told

    def wait(self, seconds: float = SETTLE) -> list[str]:
        """Some seconds go by, as a loop sees them that wakes when it asked to be woken."""
        end, told = self.now + seconds, list[SessionNotice]()
        while (due := self.moments.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            told += self.moments.due(self.now)
        self.now = end
        return [f"{notice.state} {notice.text}".strip() for notice in told]


def test_a_session_that_begins_to_wait_is_told_once() -> None:
    """With what is asked; what goes on is no new event, whatever else of it changes."""
    story = Story(agent("working"))
    story.then(agent("waiting", asks=BASH))
    assert story.wait() == ["waiting Bash: rm -rf build"]
    story.then(agent("waiting", asks=BASH, last_output="2026-11-25T10:00:05.000Z", title="other"))
    assert story.wait(3600) == []


def test_what_is_answered_at_once_is_not_told() -> None:
    """An approval that its user gives within a second is nobody else's concern."""
    story = Story(agent("working"))
    story.then(agent("waiting", asks=BASH))
    assert story.then(agent("working"), after=SETTLE - 0.1) == []
    assert story.wait(60) == []


def test_the_next_question_is_told_though_it_never_stopped_to_wait() -> None:
    """Another tool, or another input."""
    story = Story(agent("working"))
    story.then(agent("waiting", asks=BASH))
    assert story.then(agent("waiting", asks=EDIT), after=10) == ["waiting Bash: rm -rf build"]
    assert story.wait() == ["waiting Edit: a.py"]


def test_what_is_asked_may_become_known_later() -> None:
    """A title tells that an agent waits, a hook for what: that is one event, told with what is known by then."""
    story = Story(agent("working"))
    story.then(agent("waiting"))
    story.then(agent("waiting", asks=BASH), after=0.5)
    assert story.wait() == ["waiting Bash: rm -rf build"]
    late = Story(agent("working"))
    late.then(agent("waiting"))
    assert late.then(agent("waiting", asks=BASH), after=10) == ["waiting"]
    assert late.wait(60) == []
    late.then(agent("working"))
    late.then(agent("waiting", asks=BASH), after=1.0)
    assert late.wait(60) == []


def test_an_agent_finished_when_nothing_runs_behind_it() -> None:
    """It worked, and is idle; a subagent or a shell in the background is work."""
    story = Story(agent("idle"))
    story.then(agent("working"))
    story.then(agent("idle", background="1 subagent"), after=60)
    assert story.wait(60) == []
    story.then(agent("idle", last_answer="All tests pass."))
    assert story.wait() == ["finished All tests pass."]
    assert story.wait(3600) == []


def test_who_did_not_work_did_not_finish() -> None:
    """An agent that was started and is ready, a shell whose command ended, a session that failed and is idle then."""
    story = Story()
    story.then(agent("starting"), replace(session("sh", status="working"), agent="shell"))
    story.then(agent("idle"), replace(session("sh"), agent="shell"), after=5)
    assert story.wait(60) == []
    story.then(agent("working"))
    story.then(agent("error", status_reason="rate limit"), after=5)
    assert story.wait() == ["error rate limit"]
    story.then(agent("idle"), after=30)
    assert story.wait(60) == []


def test_a_crash_is_a_failure() -> None:
    """A dead pane with an exit status, or a signal; not an orderly end."""
    story = Story(agent("working"), agent("working", "s2"))
    story.then(agent("ended", status_reason="exit 1"), agent("ended", "s2", status_reason="exit 0"))
    assert story.wait() == ["error exit 1"]


def test_what_comes_and_goes_is_told_ever_less() -> None:
    """A state that flickers is told once; what stays away is new; what comes back often must stay away longer."""
    story = Story(agent("working"))
    told = []
    for _ in range(200):
        told += story.then(agent("waiting", asks=BASH), after=2.0)
        told += story.then(agent("working"), after=2.0)
    assert told == ["waiting Bash: rm -rf build"]
    for _ in range(100):
        told += story.then(agent("waiting", asks=BASH), after=AWAY_FIRST + 1)
        told += story.then(agent("working"), after=2.0)
    assert 2 <= len(told) <= 4


def test_a_state_that_nobody_knows_changes_nothing() -> None:
    """Between two looks the evidence may be missing."""
    story = Story(agent("working"))
    story.then(agent("waiting", asks=BASH))
    story.wait()
    story.then(agent("unknown"), after=10)
    story.then(agent("waiting", asks=BASH), after=60)
    assert story.wait() == []


def test_what_is_there_at_first_is_known() -> None:
    """A daemon that is new here tells nothing of what it finds."""
    story = Story(agent("waiting", asks=BASH), agent("error", "s2"), agent("idle", "s3"))
    assert story.wait(60) == []


def test_a_restart_tells_nothing_twice_and_misses_nothing() -> None:
    """What was told is known to the next daemon; what came while there was none is told, once."""
    story = Story(agent("working"), agent("working", "s2"), agent("working", "s3"))
    story.then(agent("waiting", asks=BASH))
    story.wait()
    again = Story(agent("waiting", asks=BASH), agent("idle", "s2"), agent("working", "s3"), before=story.moments)
    assert again.wait() == ["finished"]
    third = Story(agent("waiting", asks=BASH), agent("idle", "s2"), agent("working", "s3"), before=again.moments)
    assert third.wait(60) == []


def test_a_restart_before_it_was_told() -> None:
    """An event that waited for its moment when the daemon ended is told by the next."""
    story = Story(agent("working"))
    story.then(agent("waiting", asks=BASH))
    again = Story(agent("waiting", asks=BASH), before=story.moments)
    assert again.wait() == ["waiting Bash: rm -rf build"]


def test_a_session_that_is_not_seen_for_a_moment_is_the_same() -> None:
    """tmux was looked at anew: its sessions are not new ones. After long, they are, and are told as such."""
    story = Story(agent("working"))
    story.then(agent("waiting", asks=BASH))
    story.wait()
    story.moments.take({"s1": None}, story.now)
    story.then(agent("waiting", asks=BASH), after=30)
    assert story.wait(60) == []
    story.moments.take({"s1": None}, story.now)
    story.wait(KEPT + 1)
    story.moments.take({}, story.now)
    story.then(agent("waiting", asks=BASH))
    assert story.wait() == ["waiting Bash: rm -rf build"]
    story.moments.take({"s1": None}, story.now)
    assert story.moments.told() == {}


def test_whether_it_still_is_so_is_known() -> None:
    """Who is about to tell can ask."""
    story = Story(agent("working"))
    story.then(agent("waiting", asks=BASH), after=1)
    found = story.moments.due(story.now + SETTLE)
    assert [story.moments.is_so(notice) for notice in found] == [True]
    story.then(agent("working"))
    assert [story.moments.is_so(notice) for notice in found] == [False]
