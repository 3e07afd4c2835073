"""What a real pane shows of its agent, in the record: a stand-in that shows what the agents were seen to show."""

# ruff: noqa: RUF001  (the agents' own characters)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from teleclaude.core.records import Session, utc_seconds
from tests.sync.conftest import Local, TmuxServer
from tests.wait import until

# It does what the file `do` beside it says, a line each, as they come: python.
STAND_IN = r"""#!/usr/bin/python3
import json, os, sys, time
here = os.path.dirname(os.path.abspath(sys.argv[0]))
sessions = here + "/.claude/sessions"
def show(screen, title=None):
    told = "" if title is None else f"\x1b]2;{title}\x07"
    os.write(1, ("\x1b[2J\x1b[H" + screen.replace("\n", "\r\n") + told).encode())
def state(status, **more):
    os.makedirs(sessions, exist_ok=True)
    with open(f"{sessions}/{os.getpid()}.json", "w") as file:
        json.dump({"pid": os.getpid(), "status": status, "statusUpdatedAt": time.time() * 1000} | more, file)
at = 0
while True:
    try:
        data = open(here + "/do").read()
    except OSError:
        data = ""
    for line in data[at:].splitlines():
        exec(line)
    at = len(data)
    time.sleep(0.01)
"""
TRUST = r" Trust?\n \u276f 1. Yes, I trust this folder\n   2. No\n"
PROMPT = r"\u276f\u00a0\n"


class StandIn:
    """An agent of that name in a pane."""

    def __init__(self, name: str, tmux: TmuxServer, here: Local, folder: Path) -> None:
        self.tmux, self.here, self.folder = tmux, here, folder
        program = folder / name
        program.write_text(STAND_IN)
        program.chmod(0o755)
        tmux.new("a", "env", f"HOME={folder}", str(program), cwd=str(folder))

    def do(self, line: str) -> None:
        """Have it do something."""
        with (self.folder / "do").open("a") as file:
            file.write(line + "\n")

    def shows(self, status: str, reason: str = "") -> Session:
        """Wait until that is what is shown."""
        return self.here.wait(lambda s: (s.status, s.status_reason) == (status, reason))


@pytest.fixture
def stand_in(tmux: TmuxServer, local: Callable[..., Local], tmp_path: Path) -> Callable[[str], StandIn]:
    """Start one."""
    return lambda name: StandIn(name, tmux, local(), tmp_path)


def captures(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The looks at screens from now on."""
    from teleclaude.sync.tmux.client import TmuxClient

    found: list[tuple[Any, ...]] = []
    plain = TmuxClient.ask

    def ask(self: TmuxClient, *words: str, **more: Any) -> Any:
        if words[0] == "capture-pane":
            found.append(words)
        return plain(self, *words, **more)

    monkeypatch.setattr(TmuxClient, "ask", ask)
    return found


def test_first_run_dialog_is_seen(stand_in: Callable[[str], StandIn], monkeypatch: pytest.MonkeyPatch) -> None:
    """A menu before any other sign is a setup that waits; it is looked at once while it stands still."""
    looked = captures(monkeypatch)
    agent = stand_in("claude")
    agent.do(f'show("{TRUST}")')
    asks = agent.shows("waiting", "setup").asks
    assert asks
    assert asks.kind == "setup"
    count = len(looked)
    assert count <= 3
    agent.here.half.look_now(5)
    assert len(looked) == count
    agent.do(f'show("{PROMPT}", "\\u2733 name")')
    agent.shows("idle")


def test_state_file_is_shown(stand_in: Callable[[str], StandIn], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file says is shown, whatever the title says, and its end with the process; no screen is looked at."""
    agent = stand_in("claude")
    agent.do(f'show("{PROMPT}", "\\u2733 name")')
    agent.do('state("idle")')
    agent.shows("idle")
    until(agent.here.half._state_files.signs)
    looked = captures(monkeypatch)
    agent.do('state("busy")')
    agent.shows("working")
    agent.do('state("waiting", waitingFor="permission prompt")')
    asks = agent.shows("waiting", "approval").asks
    assert asks
    agent.do('state("shell")')
    assert agent.shows("idle").background == "a shell"
    assert looked == []


def test_error_that_fires_no_hook(stand_in: Callable[[str], StandIn]) -> None:
    """Codex tells of an API error on its screen only."""
    agent = stand_in("codex")
    agent.do(f'show("› hello\\n", "\\u280b {agent.folder.name}")')
    agent.shows("working")
    agent.do(f'show("› hello\\n\\n\\u25a0 last status: 429\\n\\n› Ask\\n", "{agent.folder.name}")')
    agent.shows("error", "rate limit")


def test_what_ended_it_is_told_however_late(stand_in: Callable[[str], StandIn]) -> None:
    """An agent that leaves its terminal a while before it ends is *ended*, and by what is told when it is known."""
    agent = stand_in("claude")
    agent.tmux("set-option", "-g", "remain-on-exit", "on")
    agent.do(f'show("{PROMPT}", "\\u2733 name")')
    agent.shows("idle")
    agent.do("import signal; signal.signal(1, signal.SIG_IGN)")
    agent.do("[os.close(fd) for fd in (0, 1, 2)]; time.sleep(2.5); os._exit(3)")
    agent.shows("ended", "exit 3")


def test_no_age_starts_anew_with_the_daemon(
    tmux: TmuxServer, local: Callable[..., Local], stand_in: Callable[[str], StandIn]
) -> None:
    """A status that had hardly begun when the daemon ended is as old afterwards as it was."""
    agent = stand_in("codex")
    agent.do(f'show("› hello\\n", "\\u280b {agent.folder.name}")')
    before = agent.shows("working")
    agent.here.half.stop()
    until(lambda: not agent.here._thread.is_alive())
    after = local().wait(lambda s: s.status == "working")
    assert after.session_id == before.session_id
    assert abs((utc_seconds(after.status_since) or 0) - (utc_seconds(before.status_since) or 0)) <= 1.0
    assert '"status":"working"' in tmux("show-options", "-p", "-v", "-t", before.tmux.pane, "@teleclaude")
