"""Live output: a screen is looked at only while somebody watches it, and told to those who do."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from teleclaude.core.errors import NotFound, TeleclaudeError, TooLarge, Unavailable
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.records import Session
from teleclaude.sync.commands import live_output
from teleclaude.sync.commands.live_output import AT_ONCE, Audience, Found, LiveScreens
from teleclaude.sync.commands.pane_screens import PaneScreens
from teleclaude.sync.commands.session_panes import SessionPanes
from tests.sync.conftest import Local, TmuxServer
from tests.wait import until


class Screens:
    """Sessions whose screens never stand still, but where `still`; and what was told of them."""

    def __init__(self) -> None:
        self.told: list[tuple[Audience, str, Found]] = []
        self.looks: Counter[str] = Counter()
        self.panes: frozenset[str] = frozenset()
        self.still = False
        self.fails: dict[str, TeleclaudeError] = {}
        self.live = LiveScreens(lambda *told: self.told.append(told), self._take_panes)
        self._numbers = count()
        self._thread = threading.Thread(target=self.live.run, args=(self._capture,), daemon=True)
        self._thread.start()

    def _take_panes(self, panes: frozenset[str]) -> None:
        self.panes = panes

    def _capture(self, session_id: str) -> tuple[str, LiveScreen]:
        self.looks[session_id] += 1
        if session_id in self.fails:
            raise self.fails[session_id]
        return f"%{session_id}", LiveScreen(rows=("still" if self.still else str(next(self._numbers)),))

    def of(self, audience: Audience, session_id: str) -> list[Found]:
        """What an audience was told of a session."""
        return [told for who, which, told in self.told if (who, which) == (audience, session_id)]

    def goes_on(self, audience: Audience, session_id: str) -> bool:
        """Whether another screen of a session comes."""
        before = len(self.of(audience, session_id))
        self.live.wrote([f"%{session_id}"])
        until(lambda: len(self.of(audience, session_id)) > before)
        return True

    def close(self) -> None:
        """End."""
        self.live.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screens]:
    """Sessions whose screens are looked at without pauses."""
    monkeypatch.setattr(live_output, "EVERY", 0.0)
    found = Screens()
    yield found
    found.close()


def test_one_audience_s_end_is_not_another_s(screens: Screens) -> None:
    """A session is looked at for as long as anybody watches it, and no longer."""
    screens.live.watch("here", ["s"])
    screens.live.watch("fleet", ["s"])
    assert screens.goes_on("here", "s")
    assert screens.goes_on("fleet", "s")
    screens.live.watch("fleet", [])
    assert screens.goes_on("here", "s")
    until(lambda: screens.panes == {"%s"})
    screens.live.watch("here", [])
    until(lambda: screens.panes == frozenset())
    before = screens.looks["s"]
    screens.live.watch("here", ["t"])
    assert screens.goes_on("here", "t")
    assert screens.looks["s"] == before


def test_who_comes_later_is_told_what_did_not_change(screens: Screens) -> None:
    """And those who have it are not told it again."""
    screens.still = True
    screens.live.watch("here", ["s"])
    until(lambda: screens.of("here", "s"))
    screens.live.watch("fleet", ["s"])
    until(lambda: screens.of("fleet", "s"))
    assert len(screens.of("here", "s")) == 1
    screens.live.watch("here", [])
    screens.live.watch("here", ["s"])
    until(lambda: len(screens.of("here", "s")) == 2)
    assert len(screens.of("fleet", "s")) == 1


def test_what_ended_is_told_once_and_looked_at_no_more(screens: Screens) -> None:
    """The error goes to all who watch; a new watcher is told it as well."""
    screens.fails["s"] = NotFound("the session has ended")
    screens.live.watch("here", ["s"])
    until(lambda: screens.of("here", "s"))
    assert isinstance(screens.of("here", "s")[0], NotFound)
    looks = screens.looks["s"]
    screens.live.watch("here", ["s", "t"])
    assert screens.goes_on("here", "t")
    assert screens.looks["s"] == looks
    screens.live.watch("fleet", ["s"])
    until(lambda: screens.of("fleet", "s"))


def test_what_fails_for_a_moment_is_tried_again(screens: Screens, monkeypatch: pytest.MonkeyPatch) -> None:
    """tmux that hangs ends nobody's watch."""
    monkeypatch.setattr(live_output, "UNHEARD", 0.01)
    screens.fails["s"] = Unavailable("tmux does not answer")
    screens.live.watch("here", ["s"])
    until(lambda: screens.looks["s"] >= 2)
    assert screens.of("here", "s") == []
    screens.fails.clear()
    until(lambda: screens.of("here", "s"))


def test_watches_are_bounded(screens: Screens) -> None:
    """One too many is told so, and delays none of the others."""
    wanted = [f"{number}" for number in range(AT_ONCE)]
    screens.live.watch("here", wanted)
    screens.live.watch("fleet", ["one more"])
    until(lambda: screens.of("fleet", "one more"))
    assert isinstance(screens.of("fleet", "one more")[0], TooLarge)
    assert screens.looks["one more"] == 0
    assert screens.goes_on("here", "1")


# With a real tmux.


class Asked:
    """Counts the commands that tmux is asked, by name and target, in all that the local half and commands ask."""

    def __init__(self, local: Local) -> None:
        self.captures: Counter[str] = Counter()
        plain: Callable[..., Any] = local.half.tmux.ask

        def ask(*args: str, **more: Any) -> Any:
            if "capture-pane" in " ".join(args):
                self.captures[" ".join(args)] += 1
            return plain(*args, **more)

        local.half.tmux.ask = ask  # type: ignore[method-assign]


@contextlib.contextmanager
def looking(local: Local) -> Iterator[tuple[LiveScreens, list[tuple[Audience, str, Found]]]]:
    """Live output of real sessions, wired as the sync process does it."""
    told: list[tuple[Audience, str, Found]] = []
    live = LiveScreens(lambda *each: told.append(each), local.half.watch_output)
    local.half.on_output = live.wrote

    class Flushed:
        def flush(self, timeout: float) -> bool:
            return True

    panes = PaneScreens(SessionPanes(local.half, local.own, Flushed()))
    thread = threading.Thread(target=live.run, args=(panes.now,))
    thread.start()
    try:
        yield live, told
    finally:
        live.stop()
        thread.join(5)


def test_twenty_busy_sessions_and_nobody_watching(tmux: TmuxServer, local: Callable[..., Local]) -> None:
    """tmux is asked for no screen; and with a watcher of one, for that one alone."""
    half = local()
    asked = Asked(half)
    with looking(half) as (live, told):
        for number in range(20):
            tmux.new(f"busy{number}", "sh", "-c", "while :; do date +%N; sleep 0.02; done")
        until(lambda: len(half.sessions()) == 20)
        until(lambda: sum(bool(s.last_output) for s in half.sessions()) == 20)
        until(lambda beats=half.beats: half.beats > beats + 2)  # type: ignore[misc]
        assert asked.captures == {}
        one = half.named("busy3")
        assert one
        live.watch("here", [one.session_id])
        until(lambda: len(told) >= 5)
        assert {key for _, key, _ in told} == {one.session_id}
        assert all(f"-t {one.tmux.pane}" in words for words in asked.captures)
        live.watch("here", [])
        until(lambda: not live._panes)
        before = asked.captures.total()
        until(lambda beats=half.beats: half.beats > beats + 2)  # type: ignore[misc]
        assert asked.captures.total() == before


def test_a_screen_as_it_is(tmux: TmuxServer, local: Callable[..., Local]) -> None:
    """Its rows with their colours, its size, its cursor, and whether it is the one without history."""
    half = local()
    draws = (
        "printf '\\033[2J\\033[H\\033[31mred\\nstill red\\033[0m\\n> '; read x; printf '\\033[?1049h\\033[?25l'; cat"
    )
    pane = tmux.new("a", "sh", "-c", draws, size=(60, 12))
    session: Session = half.wait(lambda s: s.tmux.pane == pane)
    with looking(half) as (live, told):
        live.watch("here", [session.session_id])

        def screen() -> LiveScreen:
            found = told[-1][2] if told else LiveScreen()
            assert isinstance(found, LiveScreen)
            return found

        until(lambda: screen().rows[2:3] == (">",) and screen().cursor == (2, 2))
        assert screen().rows[:2] == ("\x1b[0;31mred", "\x1b[0;31mstill red")
        assert (len(screen().rows), screen().columns, screen().alternate) == (12, 60, False)
        tmux("send-keys", "-t", pane, "Enter")
        until(lambda: screen().alternate)
        assert screen().cursor is None
        tmux("resize-window", "-t", pane, "-x", "70", "-y", "15")
        until(lambda: (len(screen().rows), screen().columns) == (15, 70))
        tmux("kill-session", "-t", "a")
        until(lambda: isinstance(told[-1][2], NotFound))
