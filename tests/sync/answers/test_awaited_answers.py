"""Questions that await an answer: the real script on its real pipe, and the daemon's side of it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from teleclaude.core.errors import Conflict, NotFound
from teleclaude.core.records import Ask, Session, utc_text
from teleclaude.core.settings import AgentProfile
from teleclaude.core.verbs import Approve
from teleclaude.hooks.hook_files import put_script, script_in, spool_in
from teleclaude.sync.answers import awaited_answers
from teleclaude.sync.answers.awaited_answers import KEPT, KNOWN_AFTER, TAKEN_WITHIN, AwaitedAnswers
from teleclaude.sync.sessions.agents.hook_event import HookEvent
from teleclaude.sync.sessions.agents.hook_spool import PIPES_FOR, HookSpool
from teleclaude.sync.tmux.boot_clock import since_boot, wall_offset
from tests.make import session
from tests.wait import until

BODY = {"session_id": "s", "tool_name": "Bash", "tool_input": {"command": "touch x"}}


class Desk:
    """The daemon's side, by hand: a spool, the questions, and a clock that can be set forward."""

    def __init__(self, folder: Path, wait: float = 60.0) -> None:
        put_script(folder)
        self.folder = folder
        self.spool = HookSpool(spool_in(folder))
        self.changes = 0
        self.answers = AwaitedAnswers(spool_in(folder), self._changed)
        self.is_there = True
        self.answers.is_anybody_there = lambda: self.is_there
        self.answers.use_agents({"claude": AgentProfile(command="claude", wait_for_answer=wait)})
        self.ahead = 0.0
        self.hooks: list[subprocess.Popen[bytes]] = []

    def _changed(self) -> None:
        self.changes += 1

    def ask(self, body: dict[str, Any] | None = None) -> subprocess.Popen[bytes]:
        """Run the hook as the agent does."""
        command = [str(script_in(self.folder)), "claude", "PermissionRequest", "answer"]
        hook = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert hook.stdin is not None
        hook.stdin.write(json.dumps(body or BODY).encode())
        hook.stdin.close()
        hook.stdin = None
        self.hooks.append(hook)
        return hook

    def turn(self) -> list[HookEvent]:
        """One turn of the loop."""
        now, boot = time.monotonic() + self.ahead, since_boot() + self.ahead
        self.spool.heard()
        events = self.spool.take(now, boot, wall_offset())
        self.answers.asked(events, now, boot)
        self.answers.heard()
        self.answers.step(now)
        return events

    def asked(self) -> Session:
        """Turn until a question of a hook is open: the session that has it."""
        found: list[HookEvent] = []

        def is_open() -> Session | None:
            found.extend(self.turn())
            if not found:
                return None
            shown = self.noted(asking(found[-1].pipe))
            return shown if shown.asks and shown.asks.id else None

        return until(is_open)  # type: ignore[return-value]

    def noted(self, record: Session) -> Session:
        """A record as it is published."""
        return self.answers.noted([record], time.monotonic() + self.ahead)[0]

    def close(self) -> None:
        """End all."""
        self.answers.close()
        self.spool.close()
        for hook in self.hooks:
            hook.kill()
            hook.communicate()


def asking(pipe: str) -> Session:
    """A session that asks."""
    since = utc_text(time.time() - 10)
    return replace(session("s1"), status="waiting", asks=Ask(kind="approval", id=pipe), status_since=since)


def gone_on(before: Session, at: float, status: Any = "working") -> Session:
    """The session when it asks no more, from a time on."""
    return replace(before, status=status, asks=None, status_since=utc_text(at))


def printed(hook: subprocess.Popen[bytes]) -> bytes:
    """What a hook printed once it ended; it must end well."""
    out, _ = hook.communicate(timeout=20)
    assert hook.returncode == 0
    return out


def approve(record: Session, **more: Any) -> Approve:
    """An answer to what a session asks."""
    assert record.asks is not None
    return Approve(session_id=record.session_id, ask=record.asks.id, **more)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The daemon's side."""
    found = Desk(tmp_path)
    yield found
    found.close()


class Giver(threading.Thread):
    """Somebody who answers: what became of it."""

    def __init__(self, desk: Desk, record: Session, by: str = "", **more: Any) -> None:
        super().__init__(daemon=True)
        self.outcome: object = None
        self._desk, self._record, self._by = desk, record, by
        self._args = approve(record, **more)
        self.start()

    def run(self) -> None:
        """Answer."""
        try:
            self.outcome = self._desk.answers.give(self._record, self._args, self._by, time.monotonic() + 20)
        except Exception as error:
            self.outcome = error


def test_an_answer_reaches_the_hook_and_is_told_as_taken(desk: Desk) -> None:
    """asked, sent, taken: the hook prints the agent's own words, and nothing else."""
    hook = desk.ask()
    record = desk.asked()
    giver = Giver(desk, record, by="raspi")
    decision = json.loads(printed(hook))["hookSpecificOutput"]["decision"]
    assert decision == {"behavior": "allow"}
    shown = desk.noted(record)
    assert shown.asks is not None
    assert (shown.asks.id, shown.asks.answered) == ("", "allowed by raspi, sent")
    desk.noted(gone_on(record, time.time() + 0.01))
    giver.join(20)
    assert giver.outcome == "taken"
    assert list(spool_in(desk.folder).iterdir()) == []


def test_it_is_too_late_when_the_session_went_on_before(desk: Desk) -> None:
    """Its own record says from when on; the answer counts for nothing, and that is told."""
    desk.ask()
    record = desk.asked()
    before = time.time()
    giver = Giver(desk, record)
    until(lambda: desk.noted(record).asks != record.asks)
    desk.noted(gone_on(record, before - 0.2, "idle"))
    giver.join(20)
    assert isinstance(giver.outcome, Conflict)
    assert "at its own terminal first" in giver.outcome.message


def test_work_that_began_before_it_asked_tells_not_that_it_went_on_earlier(desk: Desk) -> None:
    """Its record says since when it works, and a question may be a pause in that."""
    desk.ask()
    record = desk.asked()
    giver = Giver(desk, record)
    until(lambda: desk.noted(record).asks != record.asks)
    desk.noted(gone_on(record, time.time() - 60))
    giver.join(20)
    assert giver.outcome == "taken"


def test_a_session_that_still_waits_by_half_of_its_evidence_tells_nothing_yet(desk: Desk) -> None:
    """Its state file says *waiting* for a moment after a hook said that it went on; another question later is told."""
    desk.ask()
    record = desk.asked()
    giver = Giver(desk, record)
    until(lambda: desk.noted(record).asks != record.asks)
    waits = replace(record, asks=Ask(kind="approval"))
    desk.noted(replace(waits, status_since=utc_text(time.time() - 1)))
    assert giver.outcome is None
    desk.noted(replace(waits, status_since=utc_text(time.time() + 1)))
    giver.join(20)
    assert giver.outcome == "taken"


def test_what_is_answered_at_its_terminal_lets_the_hook_go(desk: Desk) -> None:
    """It prints nothing, and who answers then is told."""
    hook = desk.ask()
    record = desk.asked()
    desk.noted(gone_on(record, time.time()))
    assert printed(hook) == b""
    with pytest.raises(Conflict, match="own terminal"):
        desk.answers.give(record, approve(record), "", time.monotonic() + 20)


def test_of_two_answers_one_counts(desk: Desk) -> None:
    """The other is told by whom it was answered."""
    hook = desk.ask()
    record = desk.asked()
    first = Giver(desk, record, by="a", decision="deny", reason="no")
    until(lambda: (shown := desk.noted(record).asks) and shown.answered)
    with pytest.raises(Conflict, match="denied by a"):
        desk.answers.give(record, approve(record), "b", time.monotonic() + 20)
    desk.noted(gone_on(record, time.time() + 0.01, "idle"))
    first.join(20)
    assert first.outcome == "taken"
    assert json.loads(printed(hook))["hookSpecificOutput"]["decision"] == {"behavior": "deny", "message": "no"}


def test_what_nobody_answers_is_left_to_the_agent_s_own_dialog(desk: Desk) -> None:
    """After the seconds of its profile; the record says so."""
    hook = desk.ask()
    record = desk.asked()
    desk.ahead = 61.0
    desk.turn()
    assert printed(hook) == b""
    shown = desk.noted(record).asks
    assert shown is not None
    assert (shown.id, shown.answered) == ("", "expired")
    desk.ahead += KEPT + 1
    desk.turn()
    with pytest.raises(NotFound):
        desk.answers.give(record, approve(record), "", time.monotonic() + 20)


def test_where_nobody_is_there_no_hook_waits(desk: Desk) -> None:
    """Neither from the beginning, nor from when the last one left; but a daemon that just began does not know yet."""
    desk.is_there = False
    hook = desk.ask()
    desk.asked()
    assert hook.poll() is None
    desk.ahead = KNOWN_AFTER
    desk.turn()
    assert printed(hook) == b""
    hook = desk.ask()
    until(lambda: [desk.turn(), hook.poll()][1] is not None)
    assert printed(hook) == b""
    desk.is_there = True
    hook = desk.ask()
    desk.asked()
    desk.is_there = False
    desk.turn()
    assert printed(hook) == b""


def test_a_hook_that_died_is_noticed(desk: Desk) -> None:
    """The agent ended it, or its time was over."""
    hook = desk.ask()
    record = desk.asked()
    hook.kill()
    hook.wait()
    desk.turn()
    shown = desk.noted(record).asks
    assert shown is not None
    assert (shown.id, shown.answered[:24]) == ("", "the agent waits no more:")
    with pytest.raises(Conflict):
        desk.answers.give(record, approve(record), "", time.monotonic() + 20)


def test_a_hook_is_ended_by_the_agent_s_signal(desk: Desk) -> None:
    """At once, before and after the daemon opened its pipe; what it leaves is removed later."""
    hook = desk.ask()
    until(lambda: len(list(spool_in(desk.folder).iterdir())) == 2)
    hook.terminate()
    assert hook.communicate(timeout=20)[0] == b""
    desk.turn()
    desk.ahead = PIPES_FOR + 1
    desk.turn()
    assert list(spool_in(desk.folder).iterdir()) == []
    desk.ahead = 0.0
    hook = desk.ask()
    desk.asked()
    hook.terminate()
    assert hook.communicate(timeout=20)[0] == b""


def test_an_answer_that_the_agent_does_not_take_is_told(desk: Desk) -> None:
    """It goes on asking."""
    hook = desk.ask()
    record = desk.asked()
    giver = Giver(desk, record)
    printed(hook)
    until(lambda: (shown := desk.noted(record).asks) and shown.answered)
    desk.ahead = TAKEN_WITHIN + 1
    desk.turn()
    giver.join(20)
    assert isinstance(giver.outcome, Conflict)
    assert desk.noted(record).asks is not None


def test_only_what_this_session_asks_now_is_answered(desk: Desk) -> None:
    """Another session's question, an old one, and one that never was are refused; the hook waits on."""
    hook = desk.ask()
    record = desk.asked()
    for wrong in (replace(record, session_id="s2"), replace(record, asks=Ask(kind="approval", id="p9-9"))):
        with pytest.raises(NotFound):
            desk.answers.give(wrong, approve(wrong), "x", time.monotonic() + 20)
    assert hook.poll() is None


@pytest.mark.parametrize("gone", ["none", "dead", "another process", "not for it"])
def test_without_a_daemon_that_answers_no_hook_waits(desk: Desk, gone: str) -> None:
    """None, one that died, whose number another has now, or one that answers other agents."""
    announcement = desk.folder / "answers"
    if gone == "none":
        announcement.unlink()
    elif gone == "dead":
        announcement.write_text("4194000 1 claude\n")
    elif gone == "another process":
        announcement.write_text(f"{os.getpid()} 1 claude\n")
    else:
        announcement.write_text(announcement.read_text().replace("claude", "codex"))
    assert printed(desk.ask()) == b""
    assert [event.pipe for event in until(desk.turn)] == [""]


def test_when_the_daemon_dies_no_hook_waits_on(tmp_path: Path) -> None:
    """Its end of the pipe is closed by the kernel, however it went; in order, it leaves no announcement."""
    desk = Desk(tmp_path)
    hook = desk.ask()
    desk.asked()
    for ask in desk.answers._asks.values():
        os.close(ask.fd)
        ask.fd = -1
    assert printed(hook) == b""
    hook = desk.ask()
    desk.asked()
    desk.answers.close()
    assert printed(hook) == b""
    assert not tmp_path.joinpath("answers").exists()
    desk.spool.close()


def test_a_daemon_that_comes_back_takes_waiting_hooks_up_again(desk: Desk, tmp_path: Path) -> None:
    """Those of which no daemon had heard."""
    hook = desk.ask()
    until(lambda: len(list(spool_in(desk.folder).iterdir())) == 2)
    again = Desk(tmp_path)
    record = again.asked()
    giver = Giver(again, record)
    assert b"allow" in printed(hook)
    again.noted(gone_on(record, time.time() + 0.01))
    giver.join(20)
    again.close()


def test_what_is_no_pipe_of_ours_is_not_written_to(desk: Desk, tmp_path: Path) -> None:
    """A link, a file, nothing: whatever a report names."""
    target = tmp_path / "target"
    target.write_text("mine")
    for kind in ("link", "file", "nothing"):
        path = spool_in(desk.folder) / f"p-{kind}"
        if kind == "link":
            path.symlink_to(target)
        elif kind == "file":
            path.write_text("theirs")
        event = HookEvent(agent="claude", event="PermissionRequest", at=since_boot(), pipe=path.name)
        desk.answers.asked([event], time.monotonic(), since_boot())
        desk.turn()
        shown = desk.noted(asking(path.name)).asks
        assert shown is not None
        assert shown.id == ""
    assert target.read_text() == "mine"


def test_a_profile_that_does_not_wait_has_nobody_wait(tmp_path: Path) -> None:
    """That is so by default."""
    desk = Desk(tmp_path, wait=0.0)
    assert printed(desk.ask()) == b""
    assert not tmp_path.joinpath("answers").exists()
    desk.close()


def test_no_more_questions_are_kept_than_can_be(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over the limit is answered at its own terminal."""
    monkeypatch.setattr(awaited_answers, "_MOST", 2)
    for number in range(4):
        event = HookEvent(agent="claude", event="PermissionRequest", at=since_boot(), pipe=f"p{number}")
        desk.answers.asked([event], time.monotonic(), since_boot())
    assert len(desk.answers._asks) == 2
