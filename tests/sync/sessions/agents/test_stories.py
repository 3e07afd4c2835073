"""What each agent was seen to emit in each situation, and what is shown: one story for each row of the tables."""

# ruff: noqa: RUF001  (the agents' own characters)

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from teleclaude.core.records import Ask
from tests.sync.sessions.agents.scene import Scene, sample

IDLE, BUSY = "✳ name", "⠂ name"
COMMAND = "touch /home/user/made-by-agent.txt"
DIR = "proj"


def started(*, file: bool = True) -> Scene:
    """Claude Code at its prompt."""
    scene = Scene("claude").title(IDLE).hook("SessionStart-startup")
    return scene.file("idle") if file else scene


# Claude Code, with and without its state file.


@pytest.mark.parametrize("file", [True, False])
def test_claude_start_and_prompt(file: bool) -> None:
    """Idle after its start, working from the prompt on, idle with the answer at its end."""
    scene = started(file=file)
    assert scene.says == "idle"
    scene.hook("UserPromptSubmit")
    assert scene.says == "working"
    since = scene.shown.since
    scene.title(BUSY)
    scene = scene.file("busy") if file else scene
    assert scene.later(300.0).says == "working"
    scene.hook("PreToolUse-Read").hook("PostToolUse-Read")
    assert (scene.says, file or scene.shown.since == since) == ("working", True)
    scene.hook("Stop")
    assert scene.says == "idle"
    scene.title(IDLE)
    scene = scene.file("idle") if file else scene
    assert scene.later(5).says == "idle"
    assert (scene.story.prompt, scene.story.answer) == ("say TEXT", "Stub answer: done.")


@pytest.mark.parametrize("file", [True, False])
def test_claude_permission_allowed(file: bool) -> None:
    """It waits with what it asks; no hook tells that it was allowed: title and file do; then the tool's end."""
    scene = started(file=file).hook("UserPromptSubmit").title(BUSY)
    scene = scene.file("busy") if file else scene
    scene.hook("PreToolUse-Bash").hook("PermissionRequest-Bash")
    assert (scene.says, scene.shown.asks) == ("waiting (approval)", Ask(kind="approval", tool="Bash", text=COMMAND))
    scene.title(IDLE)
    scene = scene.file("waiting", "permission prompt") if file else scene
    assert scene.later(6).hook("Notification-permission_prompt").says == "waiting (approval)"
    assert scene.shown.asks == Ask(kind="approval", tool="Bash", text=COMMAND)
    scene.later(60).title(BUSY)
    scene = scene.file("busy", after=0.0) if file else scene.later(0.3)
    assert scene.says == "working"
    assert scene.hook("PostToolUse-Bash", tool_input={"command": COMMAND}).says == "working"
    assert scene.hook("Stop").says == "idle"


def test_claude_denied_or_esc_fires_no_hook() -> None:
    """The file ends what was asked; nothing of it stays."""
    scene = started().hook("UserPromptSubmit").file("busy").hook("PermissionRequest-Write").file("waiting")
    assert scene.shown.asks == Ask(kind="approval", tool="Write", text="/home/user/written.txt")
    scene.later(9).file("idle")
    assert scene.says == "idle"
    assert scene.shown.asks is None


def test_claude_denied_without_a_file() -> None:
    """Where neither hook nor title tells, one look at the screen does."""
    scene = started(file=False).hook("UserPromptSubmit").title(BUSY).hook("PermissionRequest-Write").title(IDLE)
    assert scene.later(20).screen(asks="1. Yes").says == "waiting (approval)"
    assert scene.later(1).screen().says == "idle"


@pytest.mark.parametrize(
    ("name", "kind", "text", "choices"),
    [
        ("AskUserQuestion", "question", "Which colour?", ("Red", "Blue")),
        ("ExitPlanMode", "plan", "1. do it", ()),
    ],
)
@pytest.mark.parametrize("is_answered", [True, False])
def test_claude_question_and_plan(name: str, kind: str, text: str, choices: tuple[str, ...], is_answered: bool) -> None:
    """A question and a plan are shown as such, with the choices; an answer goes on, Esc ends the turn silently."""
    scene = started().hook("UserPromptSubmit").file("busy")
    scene.hook(f"PreToolUse-{name}").hook(f"PermissionRequest-{name}").file("waiting", "input needed")
    assert scene.says == f"waiting ({kind})"
    assert scene.shown.asks == Ask(kind=kind, tool=name, text=text, choices=choices)  # type: ignore[arg-type]
    scene.later(5)
    if is_answered and name == "AskUserQuestion":
        scene.file("busy").hook(f"PostToolUse-{name}")
        assert (scene.says, scene.story.ask) == ("working", None)
    else:
        assert scene.file("idle").says == "idle"


@pytest.mark.parametrize("file", [True, False])
def test_claude_esc_at_work_fires_no_hook(file: bool) -> None:
    """Title and file end the work that no hook ends."""
    scene = started(file=file).hook("UserPromptSubmit").title(BUSY)
    scene = scene.file("busy") if file else scene
    scene.later(30).title(IDLE)
    scene = scene.file("idle", after=0.0) if file else scene
    assert scene.says == "idle"


def test_claude_esc_before_the_title_was_seen_to_work() -> None:
    """Where the title never came to agree with the hook, the hook's word ends by itself."""
    scene = started(file=False).hook("UserPromptSubmit")
    assert scene.says == "working"
    assert scene.later(2).says == "idle"


def test_claude_subagent() -> None:
    """A subagent is told while it runs, and not afterwards; its end ends no turn."""
    scene = started().hook("UserPromptSubmit").file("busy").hook("PreToolUse-Agent").hook("SubagentStart")
    assert (scene.says, scene.shown.background) == ("working", "1 subagent")
    scene.hook("SubagentStop", agent_id="a9fa19a18d7dd0279")
    assert (scene.says, scene.shown.background) == ("working", "")
    assert scene.hook("PostToolUse-Agent").says == "working"


def test_claude_what_runs_behind_a_turn() -> None:
    """What it says at its end to run behind is told with *idle*, and gone when it says so."""
    tasks = [{"id": "1", "type": "shell", "status": "running", "description": "x"}] * 2
    agent = {"id": "2", "type": "subagent", "status": "running", "description": "y"}
    scene = started().hook("UserPromptSubmit").file("busy").hook("Stop", background_tasks=[*tasks, agent]).file("idle")
    assert (scene.says, scene.shown.background) == ("idle", "2 shells, 1 subagent")
    scene.hook("SubagentStop", agent_id="2", background_tasks=tasks)
    assert scene.shown.background == "2 shells"
    scene.hook("UserPromptSubmit", prompt_id="next").file("busy").hook("Stop", prompt_id="next").file("idle")
    assert scene.shown.background == ""


def test_claude_prompt_while_it_works() -> None:
    """A queued prompt follows the end of the turn before; it works on."""
    scene = started().hook("UserPromptSubmit").file("busy").hook("Stop")
    scene.hook("UserPromptSubmit", 0.07, prompt_id="next")
    assert (scene.says, scene.later(30).says) == ("working", "working")


@pytest.mark.parametrize("file", [True, False])
def test_claude_command_of_its_own(file: bool) -> None:
    """`!` fires nothing at its start: title and file tell; Stop at its end."""
    scene = started(file=file).later(60).title(BUSY)
    scene = scene.file("busy") if file else scene.later(0.3)
    assert scene.says == "working"
    scene.later(5).hook("Stop", prompt_id="bang").title(IDLE)
    scene = scene.file("idle") if file else scene
    assert scene.says == "idle"


@pytest.mark.parametrize("file", [True, False])
def test_claude_api_error(file: bool) -> None:
    """It works while it tries again; a failure that is final is told with its reason, until the next turn."""
    scene = started(file=file).hook("UserPromptSubmit").title(BUSY)
    scene = scene.file("busy") if file else scene
    assert scene.later(60).says == "working"
    scene.hook("StopFailure").title(IDLE)
    scene = scene.file("idle") if file else scene
    assert (scene.says, scene.later(3000).says) == ("error (server error)", "error (server error)")
    scene.hook("Notification-idle_prompt")
    assert scene.says == "error (server error)"
    scene.hook("UserPromptSubmit", prompt_id="next").title(BUSY)
    assert scene.says == "working"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"error": "rate_limit", "last_assistant_message": "You've hit your limit · resets 3pm (Europe/Berlin)"},
         "rate limit, resets 3pm (Europe/Berlin)"),
        ({"error": "rate_limit", "last_assistant_message": "API Error: 429"}, "rate limit"),
        ({"error": "overloaded", "last_assistant_message": "529"}, "overloaded"),
        ({"error": "authentication_failed", "last_assistant_message": "Please run /login"}, "authentication"),
        ({"error": "billing_error"}, "billing"),
        ({"error": "unknown", "last_assistant_message": ""}, "error"),
        ({"error": 7, "last_assistant_message": None}, "error"),
    ],
)  # fmt: skip
def test_claude_reasons_of_errors(told: dict[str, Any], reason: str) -> None:
    """Why it failed is told in words, with the time at which a limit ends where that is told."""
    scene = started().hook("UserPromptSubmit").file("busy").hook("StopFailure", **told).file("idle")
    assert scene.says == f"error ({reason})"


@pytest.mark.parametrize("name", ["SessionEnd-clear", "SessionEnd"])
def test_claude_clear_swaps_the_session(name: str) -> None:
    """/clear begins another session in the same process; what is late of the one before counts no more."""
    scene = started().hook("UserPromptSubmit").file("busy").hook("Stop").file("idle").later(5).hook(name)
    scene.session = "two"
    scene.hook("SessionStart-clear")
    assert (scene.says, scene.story.session, scene.story.prompt) == ("idle", "two", "")
    late = sample("claude", "UserPromptSubmit", session_id="one")
    scene.take(msgspec.structs.replace(late, at=scene.now + 0.1))
    assert (scene.says, scene.story.session) == ("idle", "two")


def test_claude_continue_swaps_the_session() -> None:
    """--continue begins with an id and goes on with another."""
    scene = started()
    scene.session = "before"
    scene.hook("SessionStart-resume").hook("UserPromptSubmit").file("busy")
    assert (scene.says, scene.story.session) == ("working", "before")


def test_claude_compact_has_no_stop() -> None:
    """It works until it is compacted; the subagent that ends was never begun."""
    scene = started().hook("PreCompact").file("busy")
    assert scene.says == "working"
    scene.later(20).hook("SubagentStop").hook("SessionStart-compact").hook("PostCompact").file("idle")
    assert (scene.says, scene.shown.background) == ("idle", "")


@pytest.mark.parametrize("name", ["SessionEnd-prompt_input_exit", "SessionEnd-other"])
def test_claude_exit(name: str) -> None:
    """Its end ends what the hooks told; what the pane is then, the process tells."""
    scene = started().hook("UserPromptSubmit").hook(name)
    assert scene.story.is_over
    assert scene.hook("PostToolUse-Bash").story.is_over


def test_claude_first_run_dialog() -> None:
    """No hook, no title, no file: new at first, then not known, and waiting for a setup once its menu was seen."""
    scene = Scene("claude")
    scene.seen = replace(scene.seen, agent_since=scene.now)
    assert scene.says == "starting"
    assert scene.later(5).says == "starting"
    assert scene.later(6).says == "unknown (nothing tells)"
    assert scene.screen(asks="1. Yes, I trust this folder").says == "waiting (setup)"
    assert scene.later(500).says == "waiting (setup)"
    assert scene.title(IDLE).hook("SessionStart-startup").says == "idle"


def test_claude_below_claude() -> None:
    """What an agent below reports (`claude -p`, run as a tool) changes nothing of the one above."""
    scene = started().hook("UserPromptSubmit").file("busy")
    for name in ("SessionStart-startup", "UserPromptSubmit", "Stop", "SessionEnd-other"):
        event = sample("claude", name, session_id="inner")
        scene.now += 0.1
        scene.take(msgspec.structs.replace(event, at=scene.now), is_below=True)
        assert (scene.says, scene.story.session) == ("working", "one")


# Codex.


def codex() -> Scene:
    """Codex at its prompt."""
    return Scene("codex").title(DIR)


def test_codex_start_and_prompt() -> None:
    """Idle by its title until the first prompt, with which its session begins; `notify` tells the answer."""
    scene = codex()
    assert scene.says == "idle"
    scene.later(60).hook("SessionStart-startup").hook("UserPromptSubmit")
    assert scene.says == "working"
    scene.title(f"⠋ {DIR}").later(20)
    assert scene.says == "working"
    scene.hook("Stop").title(DIR).hook("notify-notify")
    assert (scene.says, scene.story.answer) == ("idle", "Stub answer: done.")
    assert scene.story.prompt == "say TEXT line one line two line four"


def test_codex_notify_of_a_hidden_thread() -> None:
    """The turn of a thread that nobody began ends nothing."""
    scene = codex().hook("SessionStart-startup").hook("UserPromptSubmit").title(f"⠋ {DIR}")
    hidden: dict[str, Any] = {"thread-id": "hidden", "last-assistant-message": "A title"}
    scene.hook("notify-notify", **hidden)
    assert (scene.says, scene.story.answer) == ("working", "")
    assert Scene("codex").hook("notify-notify").story.state == ""


@pytest.mark.parametrize("end", ["PostToolUse-Bash", "Interrupt"])
def test_codex_approval(end: str) -> None:
    """What it asks is told before its dialog comes; the title goes between two, and says the same."""
    scene = codex().hook("SessionStart-startup").hook("UserPromptSubmit").title(f"⠋ {DIR}")
    scene.hook("PreToolUse-Bash").hook("PermissionRequest-Bash")
    assert scene.shown.asks == Ask(kind="approval", tool="Bash", text=COMMAND)
    scene.title(f"[ ! ] Action Required | {DIR}", after=1.0)
    since = scene.shown.since
    for _ in range(3):
        assert scene.title(f"[ . ] Action Required | {DIR}", after=0.5).says == "waiting (approval)"
        assert scene.title(f"[ ! ] Action Required | {DIR}", after=0.5).shown.since == since
    scene.title(f"⠋ {DIR}" if end != "Interrupt" else DIR).hook(end)
    assert scene.says == ("working" if end != "Interrupt" else "idle")
    assert scene.shown.asks is None


def test_codex_api_error_fires_nothing() -> None:
    """The title ends the work; a line on the screen, looked at once, tells that it failed."""
    scene = codex().hook("SessionStart-startup").hook("UserPromptSubmit").title(f"⠋ {DIR}").later(9).title(DIR)
    assert scene.later(2).says == "idle"
    assert scene.screen(error="■ exceeded retry limit, last status: 429 Too Many Requests").says == "error (rate limit)"
    scene.hook("UserPromptSubmit", turn_id="next").title(f"⠋ {DIR}")
    assert scene.says == "working"


def test_codex_new_session_with_the_next_prompt() -> None:
    """/new and /clear are told with the next prompt only."""
    scene = codex().hook("SessionStart-startup").hook("UserPromptSubmit").hook("Stop")
    scene.session = "two"
    scene.hook("SessionStart-clear", turn_id="x").hook("UserPromptSubmit", turn_id="y").title(f"⠋ {DIR}")
    assert (scene.says, scene.story.session) == ("working", "two")


def test_codex_late_end_of_another_session() -> None:
    """A SessionEnd that is a minute late ends no session but its own."""
    scene = codex().hook("SessionStart-startup").hook("UserPromptSubmit").hook("Stop")
    scene.session = "two"
    scene.later(20).hook("SessionStart-startup").hook("UserPromptSubmit", turn_id="y").title(f"⠋ {DIR}")
    scene.later(40).hook("SessionEnd-other", session_id="one")
    assert (scene.says, scene.story.is_over) == ("working", False)


def test_codex_compact() -> None:
    """What was compacted by hand is at its prompt."""
    scene = codex().hook("SessionStart-startup").hook("PreCompact")
    assert scene.says == "working"
    assert scene.hook("PostCompact").says == "idle"


def test_codex_first_run_dialog() -> None:
    """The title stays what it was, which says nothing; the menu on its screen does."""
    scene = Scene("codex").title("me@host: ~").later(2)
    assert scene.says == "unknown (nothing tells)"
    assert scene.screen(asks="1. Trust and continue").says == "waiting (setup)"
    assert scene.title(DIR).says == "idle"


# Gemini CLI.

READY, WORKING, ACTION = "◇  Ready (proj)   ", "✦  Working… (proj)", "✋  Action Required (proj)"


def gemini() -> Scene:
    """Gemini CLI at its prompt."""
    return Scene("gemini").title(READY).hook("SessionStart-startup")


def test_gemini_prompt() -> None:
    """Working from BeforeAgent to AfterAgent; PreCompress, on every turn, is nothing."""
    scene = gemini()
    assert scene.says == "idle"
    scene.hook("BeforeAgent").title(WORKING).hook("PreCompress").hook("BeforeTool-write_file")
    assert (scene.says, scene.story.prompt) == ("working", "do TOOLBASH")
    scene.later(30).hook("AfterAgent").title(READY)
    assert (scene.says, scene.story.answer) == ("idle", "Stub answer: done.")


def test_gemini_permission() -> None:
    """It waits with the command; the title says when it goes on, AfterTool when the tool ended; Esc fires nothing."""
    scene = gemini().hook("BeforeAgent").title(WORKING).hook("BeforeTool-run_shell_command").title(ACTION)
    scene.hook("Notification-ToolPermission", 0.35)
    assert scene.says == "waiting (approval)"
    assert scene.shown.asks == Ask(kind="approval", tool="exec", text=COMMAND)
    assert scene.later(60).says == "waiting (approval)"
    assert scene.title(WORKING).later(0.3).says == "working"
    assert scene.hook("AfterTool-run_shell_command").says == "working"
    scene.title(ACTION).hook("Notification-ToolPermission").later(9)
    assert scene.says == "waiting (approval)"
    assert scene.title(READY).says == "idle"


def test_gemini_question() -> None:
    """A question is shown with its choices."""
    scene = gemini().hook("BeforeAgent").title(WORKING).hook("BeforeTool-ask_user").title(ACTION)
    assert scene.shown.asks == Ask(kind="question", tool="ask_user", text="Which colour?", choices=("Red", "Blue"))
    assert scene.later(9).title(WORKING).hook("AfterTool-ask_user").says == "working"


def test_gemini_esc_while_a_tool_runs() -> None:
    """The tool ends and the turn does not: the title says that it is ready."""
    scene = gemini().hook("BeforeAgent").title(WORKING).hook("BeforeTool-run_shell_command").later(3)
    scene.hook("AfterTool-run_shell_command").title(READY)
    assert scene.later(2).says == "idle"


def test_gemini_ends_three_times() -> None:
    """Its end comes three times, and is one; /clear is none."""
    scene = gemini().hook("SessionEnd-clear")
    assert not scene.story.is_over
    scene.session = "two"
    scene.hook("SessionStart-clear")
    assert scene.story.session == "two"
    for _ in range(3):
        assert scene.hook("SessionEnd-exit").story.is_over


def test_gemini_first_run_dialog() -> None:
    """Its title says *Ready* in its first dialogs too: the screen is looked at before that is believed for good."""
    scene = Scene("gemini").title(READY)
    assert scene.screen(asks="1. Trust folder (proj)").says == "waiting (setup)"
    assert scene.hook("SessionStart-startup").says == "idle"


# opencode.


def opencode() -> Scene:
    """opencode at its prompt."""
    return Scene("opencode").hook("plugin-init").hook("session.created")


def status(scene: Scene, kind: str) -> Scene:
    """A session.status."""
    return scene.hook("session.status", status={"type": kind})


def test_opencode_prompt() -> None:
    """It says itself when it works, and when not; trying again is work."""
    scene = opencode()
    assert scene.says == "idle"
    assert status(scene.hook("chat.message"), "busy").says == "working"
    assert status(scene.later(5), "retry").says == "working"
    assert status(scene, "idle").hook("session.idle").says == "idle"


def test_opencode_permission_and_question() -> None:
    """What it asks is shown, under its own number, until it was replied to."""
    scene = status(opencode(), "busy").hook("permission.asked")
    assert scene.shown.asks == Ask(kind="approval", tool="bash", text=COMMAND)
    assert scene.hook("permission.replied").says == "working"
    scene.hook("question.asked")
    assert scene.shown.asks == Ask(kind="question", text="Which colour?", choices=("Red", "Blue"))
    assert scene.later(99).hook("question.replied").says == "working"


def test_opencode_error_and_abort() -> None:
    """An error is told; a turn that was broken off is none."""
    scene = status(opencode(), "busy").hook("session.error")
    assert scene.says == "idle"
    error = {"name": "APIError", "data": {"message": "slow down", "statusCode": 429}}
    scene = status(scene, "busy").hook("session.error", error=error)
    assert scene.says == "error (rate limit)"
    assert status(scene, "busy").says == "working"


def test_opencode_subagent() -> None:
    """A session below is a subagent: its end ends no turn, and what it asks is asked."""
    scene = status(opencode(), "busy")
    scene.hook("session.created", sessionID="child", info={"id": "child", "parentID": "one"})
    assert scene.shown.background == "1 subagent"
    scene.hook("permission.asked", sessionID="child")
    assert scene.says == "waiting (approval)"
    scene.hook("permission.replied", sessionID="child").hook("session.idle", sessionID="child")
    assert (scene.says, scene.shown.background) == ("working", "")
