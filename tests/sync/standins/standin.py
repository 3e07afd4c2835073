"""Stand-ins for agents: they run in real panes, set titles, write state files and run the real script of our hooks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from teleclaude.core.records import Session
from teleclaude.hooks.hook_files import put_script, script_in
from tests.sync.conftest import Local, TmuxServer
from tests.sync.sessions.agents.scene import SAMPLES, SESSION
from tests.wait import until

PROGRAM = Path(__file__).with_name("agent.sh")


class StandIns:
    """Stand-ins on one tmux server, and the local half that shows them."""

    def __init__(self, local: Local, tmux: TmuxServer) -> None:
        self.local, self._tmux = local, tmux
        self.folder = local.hooks / "standins"
        self.folder.mkdir()
        put_script(local.hooks)
        settings = {"HOOK_SCRIPT": str(script_in(local.hooks)), "CLAUDE_CONFIG_DIR": str(self.folder / "config")}
        tmux.environ |= settings
        for agent in SESSION:
            shutil.copy(PROGRAM, self.folder / agent)

    def start(self, agent: str, ident: str) -> StandIn:
        """Start one in a pane of its own; it is there once its pipe is."""
        pane = self._tmux.new(ident, str(self.folder / agent), ident)
        until((self.folder / ident).is_fifo)
        return StandIn(self, agent, ident, pane)

    def start_many(self, agent: str, idents: list[str]) -> list[StandIn]:
        """Start many, by one command of tmux."""
        if not self._tmux.path.exists():
            self._tmux.new("first")
        lines = [f"new-session -d -s {ident} -x 80 -y 24 '{self.folder / agent}' {ident}" for ident in idents]
        script = self.folder / "many"
        script.write_text("\n".join(lines), encoding="utf-8")
        self._tmux("source-file", str(script))
        until(lambda: all((self.folder / ident).is_fifo() for ident in idents), 60)
        return [StandIn(self, agent, ident, "") for ident in idents]


class StandIn:
    """One of them. What it tells is of a session of its own, by its name."""

    def __init__(self, all_of_them: StandIns, agent: str, ident: str, pane: str) -> None:
        self._all, self.agent, self.ident, self.pane = all_of_them, agent, ident, pane

    def do(self, *lines: str) -> None:
        """Have it do lines of its shell."""
        fd = os.open(self._all.folder / self.ident, os.O_WRONLY)
        os.write(fd, "".join(f"{line}\n" for line in lines).encode())
        os.close(fd)

    def told(self, sample: str, **more: Any) -> str:
        """The file of what an agent was seen to tell, with this one's session and `more` in it; its name and path."""
        body = msgspec.json.decode((SAMPLES / f"{self.agent}-{sample}.json").read_bytes())
        body = body | {SESSION[self.agent]: self.ident} | more
        path = self._all.folder / f"{self.ident}-{len(list(self._all.folder.iterdir()))}.json"
        path.write_bytes(msgspec.json.encode(body))
        return f"{sample.partition('-')[0]} {path}"

    def hook(self, sample: str, **more: Any) -> None:
        """Have it run the hook of a sample."""
        self.do(f"hook {self.told(sample, **more)}")

    def title(self, text: str) -> None:
        """Have it set its title."""
        self.do(f"title '{text}'")

    @property
    def row(self) -> Session:
        """Its record."""
        return until(lambda: self._all.local.named(self.ident))  # type: ignore[return-value]  # never None

    def shows(self, status: str, *, asks: str = "", prompt: str = "", timeout: float = 10.0) -> Session:
        """Wait until it is shown so."""

        def right() -> Session | None:
            row = self._all.local.named(self.ident)
            kind = row.asks.kind if row and row.asks else ""
            is_so = row and (row.status, kind) == (status, asks) and prompt in {"", row.last_prompt}
            return row if is_so else None

        try:
            return until(right, timeout)  # type: ignore[return-value]  # never None
        except AssertionError:
            row = self._all.local.named(self.ident)
            raise AssertionError(f"{self.ident} is not shown as {status} {asks} {prompt}, but as {row}") from None
