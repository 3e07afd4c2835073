"""opencode's plugin, run by a real node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from teleclaude.hooks.hook_files import plugin, put_script, spool_in
from teleclaude.sync.sessions.agents.hook_event import HookEvent, read_hook_file

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")

RUN = """
import { Teleclaude } from "./teleclaude.mjs"
const hooks = await Teleclaude({ directory: "/work" })
await hooks.event({ event: { type: "session.status", properties: { sessionID: "s", status: { type: "busy" } } } })
await hooks.event({ event: { type: "message.part.updated", properties: {} } })
await hooks.event({})
await hooks["tool.execute.before"]({ tool: "bash", sessionID: "s", callID: "c" }, { args: {} })
await hooks["chat.message"]({ sessionID: "s" }, { parts: [{ type: "text", text: "do it" }, { type: "file" }] })
await hooks["chat.message"](undefined, undefined)
"""


def run(folder: Path) -> list[HookEvent]:
    """Run it, and give what it left."""
    folder.joinpath("teleclaude.mjs").write_text(plugin(folder))
    folder.joinpath("run.mjs").write_text(RUN)
    environ = {**os.environ, "TMUX_PANE": "%3", "TMUX": "/tmp/x,99,0"}
    done = subprocess.run(["node", "run.mjs"], cwd=folder, env=environ, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    spool = spool_in(folder)
    paths = sorted(spool.iterdir(), key=lambda path: int(path.name.rpartition("-")[2])) if spool.is_dir() else []
    return [event for path in paths if (event := read_hook_file(path.read_bytes(), 1.0))]


def test_it_leaves_reports_as_the_script_does(tmp_path: Path) -> None:
    """Of the events that say something, with the pane and the process; and the prompt's text."""
    put_script(tmp_path)
    events = run(tmp_path)
    names = ["plugin-init", "session.status", "tool.execute.before", "chat.message", "chat.message"]
    assert [event.event for event in events] == names
    assert {(event.agent, event.pane, event.server) for event in events} == {("opencode", "%3", 99)}
    assert events[1].body == {"cwd": "/work", "sessionID": "s", "status": {"type": "busy"}}
    assert events[3].body["prompt"] == "do it"


def test_it_says_nothing_where_nobody_reads(tmp_path: Path) -> None:
    """No folder, or one that is full: opencode goes on."""
    assert run(tmp_path) == []
    put_script(tmp_path)
    for number in range(512):
        spool_in(tmp_path).joinpath(f"x-{number}").write_text(json.dumps({}))
    assert run(tmp_path) == []
