"""The laboratory: one real agent in a pane, offline against the stub, and a real daemon that shows how it is.

Everything runs in a network namespace with nothing but its loopback (`bin/test --agents` makes it). A step drives the
agent, waits for a sign that the lab sees by itself (the agent's state file, its title, its screen), and then for what
teleclaude shows. How much later that is, is measured and printed at the end; on a busy machine it may be `SLACK` times
the promise.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.agents.eye import Eye
from tests.agents.model_stub import ModelStub
from tests.fleet import cli
from tests.machine import Machine
from tests.wait import until

WITH_EVIDENCE, WITH_SILENCE = 0.3, 2.0  # seconds that are promised
SLACK = float(os.environ.get("TELECLAUDE_AGENTS_SLACK", "5"))
LOOK_EVERY = 0.025
SIGN_WITHIN, START_WITHIN = 30.0, 150.0  # seconds for an agent to do something on a busy machine; to come up

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """How much later than its sign a state was shown, in seconds, and what was promised."""

    agent: str
    step: str
    late: float
    promised: float


MEASURED: list[Measured] = []


@dataclass(frozen=True, slots=True)
class RealAgent:
    """One agent: its program, what it needs in its environment, and how it is set up.

    `configure(home, project, url)` writes its settings, with the stub at `url`. `state_files`: where it tells its own
    state, below the home. `ready`: what its screen shows once it takes a prompt.
    """

    name: str
    environ: Callable[[str], dict[str, str]]
    configure: Callable[[Path, Path, str], None]
    ready: str
    state_files: str = ""


@dataclass
class Seen:
    """What was seen of the pane, each with its time (monotonic, seconds), oldest first."""

    titles: list[tuple[float, str]] = field(default_factory=list)
    states: list[tuple[float, str]] = field(default_factory=list)
    deaths: list[tuple[float, str]] = field(default_factory=list)
    shown: list[tuple[float, Row]] = field(default_factory=list)


class Lab:
    """One computer on which one agent runs, in one pane at a time. `hooks`: ours are installed, as a user would.

    `prepare` is called before its daemon starts.
    """

    def __init__(
        self,
        agent: RealAgent,
        programs: Path,
        settings: str = "",
        *,
        hooks: bool = False,
        prepare: Callable[[Machine], None] = lambda _: None,
    ) -> None:
        self.agent, self.hooks = agent, hooks
        path = f"{programs}/node_modules/.bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        self.machine = Machine("lab", settings, {"PATH": path, "LANG": "C.UTF-8", "COLORTERM": "truecolor"})
        self.project = self.machine.code / "project"
        self.project.mkdir()
        self.stub = ModelStub(self.machine.folder)
        self.machine.environ |= agent.environ(self.stub.url)
        self.home = self.machine.folder
        agent.configure(self.home, self.project, self.stub.url)
        if hooks:
            cli(self.machine, "hooks", "install", agent.name)
        prepare(self.machine)
        self.eye = Eye(self.machine)
        self.machine.start()
        self.pane = ""
        self.seen = Seen()
        self._old_files: set[Path] = set()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """End all of it."""
        self._stop.set()
        self._watcher.join()
        self.eye.close()
        self.machine.close()
        self.stub.close()

    # --- what is seen, without pause

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            pane, seen = self.pane, self.seen
            if not pane:
                continue
            is_dead, _, title = self.eye.ask(
                f"display-message -p -t {pane} '#{{pane_dead}} #{{pane_title}}'"
            ).partition(" ")
            _note(seen.titles, title)
            _note(seen.deaths, "dead" if is_dead == "1" else "")
            if self.agent.state_files:
                _note(seen.states, self._state())
            try:
                rows = self.machine.get("/sessions")
            except OSError:
                continue
            _note(seen.shown, next((row for row in rows if row["tmux"]["pane"] == pane), {}))

    def _state(self) -> str:
        """The word of the file that is new since the start: what is killed leaves its own behind."""
        with contextlib.suppress(OSError, ValueError):
            new = next((path for path in self.home.glob(self.agent.state_files) if path not in self._old_files), None)
            return str(json.loads(new.read_text(encoding="utf-8")).get("status", "")) if new else ""
        return self.seen.states[-1][1] if self.seen.states else ""

    @property
    def row(self) -> Row:
        """What teleclaude shows of the pane; nothing when it shows none."""
        return next((row for row in self.machine.get("/sessions") if row["tmux"]["pane"] == self.pane), {})

    @property
    def screen(self) -> str:
        """What stands on the pane's screen."""
        return self.eye.screen(self.pane)

    # --- what is done

    def start(self, command: str = "", folder: Path | None = None, *, until_ready: bool = True) -> None:
        """Start the agent in a new pane, as its user would, and wait until it takes a prompt.

        `command`: of the shell, in place of the agent's bare name.
        """
        self.seen, self.pane = Seen(), ""
        self.stub.tools.clean()
        self._old_files = set(self.home.glob(self.agent.state_files)) if self.agent.state_files else set()
        new = f"new-session -d -P -F '#{{pane_id}}' -x 120 -y 40 -c {folder or self.project}"
        self.pane = self.eye.ask(f'{new} "{command or "exec " + self.agent.name}"')
        assert self.pane, "tmux started nothing"
        self.eye.ask(f"set-option -p -t {self.pane} remain-on-exit on")
        if until_ready:
            self.wait_screen(self.agent.ready, within=START_WITHIN)

    @property
    def promised(self) -> float:
        """Seconds that are promised: hooks and a state file are evidence of each event, a title alone is not."""
        return WITH_EVIDENCE if self.hooks or self.agent.state_files else WITH_SILENCE

    def of_hooks(self, told: str, untold: str = "") -> str:
        """Give a pattern of what is shown with hooks, or else of what is shown without."""
        return told if self.hooks else untold

    def end(self) -> None:
        """End the pane."""
        self.eye.ask(f"kill-pane -t {self.pane}")
        pane, self.pane = self.pane, ""
        until(lambda: all(row["tmux"]["pane"] != pane for row in self.machine.get("/sessions")), SIGN_WITHIN)

    def keys(self, *keys: str) -> None:
        """Press keys in the pane, as its user would."""
        self.eye.ask(f"send-keys -t {self.pane} {' '.join(keys)}")

    def prompt(self, text: str) -> None:
        """Type a prompt and Enter, once the text stands there."""
        self.eye.ask(f"send-keys -t {self.pane} -l '{text}'")
        self.wait_screen(re.escape(text))
        time.sleep(0.15)  # what Gemini CLI and Codex need, or the Enter is taken for a part of a paste
        self.keys("Enter")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the pane's process."""
        os.kill(int(self.eye.ask(f"display-message -p -t {self.pane} '#{{pane_pid}}'")), number)

    # --- what is waited for

    def wait_screen(self, pattern: str, *, gone: bool = False, within: float = SIGN_WITHIN) -> float:
        """Wait until the screen shows a pattern, or shows it no more; give when."""
        try:
            until(lambda: (re.search(pattern, self.screen, re.MULTILINE) is None) == gone, within, every=LOOK_EVERY)
        except AssertionError:
            raise AssertionError(
                f"the screen never {'lost' if gone else 'showed'} {pattern!r}:\n{self.screen}"
            ) from None
        return time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """One step: what is seen from here on counts for it."""
        yield Step(self, name)

    def story(self, since: float) -> str:
        """What was seen since then, for a person: milliseconds, what, and how."""
        lines = [(at, f"title  {title!r}") for at, title in self.seen.titles]
        lines += [(at, f"file   {state!r}") for at, state in self.seen.states]
        lines += [(at, f"shown  {_short(row)}") for at, row in self.seen.shown]
        lines.sort()
        return "\n".join(f"{(at - since) * 1000:8.0f}  {what}" for at, what in lines if at >= since - 0.5)


class Step:
    """What happens from now on. `sign`s are seen by the lab itself; `shows` is what teleclaude makes of it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab, self.name = lab, name
        self._begin = self._signs_from = self._shown_from = self._sign = time.monotonic()

    def file(self, state: str) -> Step:
        """Wait for a word of the agent's state file; "" for its end."""
        return self._seen_in(self._lab.seen.states, lambda found: found == state, f"its file says {state!r}")

    def title(self, pattern: str) -> Step:
        """Wait for a title."""
        return self._seen_in(
            self._lab.seen.titles, lambda found: re.search(pattern, found) is not None, f"its title is {pattern!r}"
        )

    def dead(self) -> Step:
        """Wait until what ran in the pane has ended."""
        return self._seen_in(self._lab.seen.deaths, lambda found: found == "dead", "its pane is dead")

    def screen(self, pattern: str, *, gone: bool = False) -> Step:
        """Wait until the screen shows something."""
        self._sign = self._signs_from = self._lab.wait_screen(pattern, gone=gone)
        return self

    def _seen_in(self, seen: list[tuple[float, str]], is_it: Callable[[str], bool], what: str) -> Step:
        def first() -> float:
            return next((at for at, found in list(seen) if at > self._signs_from and is_it(found)), 0.0)

        try:
            self._sign = self._signs_from = until(first, SIGN_WITHIN, every=LOOK_EVERY)
        except AssertionError:
            raise AssertionError(f"{self.name}: never seen that {what}\n{self._told()}") from None
        return self

    def shows(
        self, status: str, *, asks: str | None = None, tool: str = "", reason: str = "", within: float = 0.0
    ) -> Row:
        """Wait until teleclaude shows a state, measured from the sign; fails when it comes too late.

        All are patterns; `asks`: of the kind of what is asked, "" for nothing. `within`: what is promised, 0 for what
        is promised for this lab's kind of evidence.
        """
        within = within or self._lab.promised

        def right(row: Row) -> bool:
            asked = row.get("asks") or {}
            return (
                re.fullmatch(status, row.get("status", "")) is not None
                and (asks is None or re.fullmatch(asks, asked.get("kind", "")) is not None)
                and re.search(tool, asked.get("tool", "")) is not None
                and re.search(reason, row.get("status_reason", "")) is not None
            )

        def first() -> tuple[float, Row] | None:
            return next(((at, row) for at, row in self._shown_now() if right(row)), None)

        allowed = within * SLACK
        try:
            at, row = until(first, self._sign - time.monotonic() + allowed + 1.0, every=LOOK_EVERY) or (0.0, {})
        except AssertionError:
            wanted = f"{status} asks={asks!r} tool={tool!r} reason={reason!r}"
            raise AssertionError(f"{self.name}: never shown as {wanted}\n{self._told()}") from None
        MEASURED.append(Measured(self._lab.agent.name, f"{self.name}: {status}", max(0.0, at - self._sign), within))
        assert at - self._sign <= allowed, f"{self.name}: shown {at - self._sign:.2f} s after its sign\n{self._told()}"
        self._shown_from = at
        return row

    def _shown_now(self) -> list[tuple[float, Row]]:
        """What was shown since the last state that was waited for; first that one itself, as of its time."""
        shown = list(self._lab.seen.shown)
        before = [row for at, row in shown if at <= self._shown_from]
        later = [(at, row) for at, row in shown if at > self._shown_from]
        return [(self._shown_from, row) for row in before[-1:]] + later

    def never_shown(self, *statuses: str) -> None:
        """Tell that none of these was shown since the step began."""
        found = [row.get("status") for at, row in self._lab.seen.shown if at > self._begin]
        assert not set(found) & set(statuses), f"{self.name}: shown {found}\n{self._told()}"

    def _told(self) -> str:
        return f"{self._lab.story(self._begin)}\n--- screen\n{self._lab.screen.rstrip()}\n---"


def _note(seen: list[tuple[float, Any]], found: Any) -> None:
    if not seen or seen[-1][1] != found:
        seen.append((time.monotonic(), found))


def _short(row: Row) -> str:
    words = [row.get("status", "no row"), row.get("status_reason", ""), row.get("background", "")]
    asked = row.get("asks") or {}
    return " | ".join(word for word in [*words, " ".join(str(value) for value in asked.values() if value)] if word)
