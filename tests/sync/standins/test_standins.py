"""Stand-ins that tell exactly what the agents were seen to tell: in order, and late, doubled, reordered, or hostile."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sync.conftest import Local, TmuxServer
from tests.sync.standins.standin import StandIns

IDLE, BUSY = "\u2733 Claude Code", "\u2802 Claude Code"


@pytest.fixture
def standins(local: Callable[..., Local], tmux: TmuxServer) -> StandIns:
    """The local half, and stand-ins for it."""
    return StandIns(local(), tmux)


def test_a_turn_of_each_agent(standins: StandIns) -> None:
    """Prompt, permission, answer and end are shown as they come, side by side, with titles and without."""
    claude, gemini = standins.start("claude", "c"), standins.start("gemini", "g")
    opencode = standins.start("opencode", "o")
    claude.do(f"title '{IDLE}'", "state idle", f"hook {claude.told('SessionStart-startup')}")
    claude.do("state busy", f"title '{BUSY}'", f"hook {claude.told('UserPromptSubmit', prompt='one')}")
    gemini.do("title '\u2726  Working\u2026 (x)'", f"hook {gemini.told('BeforeAgent', prompt='two')}")
    opencode.hook("session.status", status={"type": "busy"})
    claude.shows("working", prompt="one")
    gemini.shows("working", prompt="two")
    opencode.shows("working")

    claude.do(f"hook {claude.told('PermissionRequest-Bash')}", f"title '{IDLE}'", "state waiting 'permission prompt'")
    gemini.do(f"hook {gemini.told('Notification-ToolPermission')}", "title '\u270b  Action Required (x)'")
    opencode.hook("permission.asked")
    assert [each.shows("waiting", asks="approval").asks is not None for each in (claude, gemini, opencode)]

    claude.do("state busy", f"title '{BUSY}'")  # allowed at its own terminal: no hook tells of that
    gemini.title("\u2726  Working\u2026 (x)")
    opencode.hook("permission.replied")
    for each in (claude, gemini, opencode):
        each.shows("working")

    claude.do(f"hook {claude.told('Stop')}", f"title '{IDLE}'", "state idle")
    gemini.do(f"hook {gemini.told('AfterAgent')}", "title '\u25c7  Ready (x)'")
    opencode.hook("session.idle")
    for each in (claude, gemini, opencode):
        each.shows("idle")


def test_what_comes_twice_late_or_never(standins: StandIns) -> None:
    """Doubled, late and missing reports of a turn end in what is so; none of them leaves it working for ever."""
    claude = standins.start("claude", "c")
    gate = standins.folder / "gate"
    claude.do(f"title '{IDLE}'", f"hook {claude.told('SessionStart-startup')}")
    claude.shows("idle")
    prompt = claude.told("UserPromptSubmit", prompt="one", prompt_id="1")
    claude.do(f"title '{BUSY}'", f"hook {prompt}", f"hook {prompt}")
    since = claude.shows("working", prompt="one").status_since
    claude.do(f"hook {prompt}", f"hook_later {claude.told('Stop', prompt_id='1')} {gate}")
    claude.hook("UserPromptSubmit", prompt="two", prompt_id="2")
    assert claude.shows("working", prompt="two").status_since >= since
    gate.touch()  # the end of the first turn is told now, in the second
    claude.hook("PreToolUse-Bash", prompt_id="2")
    claude.do(f"hook {claude.told('PermissionRequest-Bash', prompt_id='2')}", f"title '{IDLE}'")
    claude.shows("waiting", asks="approval")
    claude.title(BUSY)
    claude.shows("working")
    claude.title(IDLE)  # Esc: no Stop is told
    claude.shows("idle")


def test_what_is_hostile_is_shown_as_nothing(standins: StandIns, tmp_path: Path) -> None:
    """Reports that are no JSON, too large, of another's pane, or full of control characters change no other row."""
    claude, other = standins.start("claude", "c"), standins.start("claude", "d")
    for each in (claude, other):
        each.do(f"title '{IDLE}'", f"hook {each.told('SessionStart-startup')}")
        each.shows("idle")
    bad = tmp_path / "bad"
    bad.write_bytes(b"\x00\xff{" * 100)
    large = tmp_path / "large"
    large.write_bytes(b'{"session_id": "c", "prompt": "' + b"x" * 1_000_000 + b'"}')
    claude.do(f"hook Stop {bad}", f"hook Nonsense {bad}", f"hook '../../x' {bad}", f"hook SessionEnd {large}")
    forged = claude.told("PermissionRequest-Bash", session_id="d")
    claude.do(f"TMUX_PANE={other.pane} hook {forged}", f"TMUX_PANE='%9999' TMUX=/x,1,0 hook {forged}")
    claude.do(
        f"title '{BUSY}'", f"hook {claude.told('UserPromptSubmit', prompt=chr(27) + '[2Jone' + chr(7) + chr(0x202E))}"
    )
    row = claude.shows("working")
    assert "one" in row.last_prompt
    assert row.last_prompt.isprintable()
    assert (other.row.status, other.row.asks) == ("idle", None)


def test_two_hundred_at_once(standins: StandIns) -> None:
    """Two hundred sessions that tell at the same time are each shown as what they are, with their own prompts."""
    chosen = random.Random(8)
    all_of_them = standins.start_many("claude", [f"s{number}" for number in range(200)])
    wanted = {each.ident: chosen.choice(["working", "waiting", "idle"]) for each in all_of_them}
    for each in all_of_them:
        lines = ["state busy", f"title '{BUSY}'", f"hook {each.told('UserPromptSubmit', prompt=each.ident)}"]
        if wanted[each.ident] == "waiting":
            lines += [f"hook {each.told('PermissionRequest-Bash')}", "state waiting 'permission prompt'"]
        elif wanted[each.ident] == "idle":
            lines += [f"hook {each.told('Stop')}", "state idle"]
        each.do(*lines)
    for each in all_of_them:
        status = wanted[each.ident]
        each.shows(status, asks="approval" if status == "waiting" else "", prompt=each.ident, timeout=60.0)
