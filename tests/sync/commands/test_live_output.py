"""Live output: each watcher's own watch, and who watches decides nothing for others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from teleclaude.core.errors import InvalidField, TooLarge
from teleclaude.core.request_wire import OutputFrame
from teleclaude.sync.commands import live_output
from teleclaude.sync.commands.live_output import AT_ONCE, LiveScreens
from tests.wait import until


class Screens:
    """Sessions whose screens never stand still, and what was sent of them."""

    def __init__(self) -> None:
        self.frames: list[OutputFrame] = []
        self.panes: frozenset[str] = frozenset()
        self.live = LiveScreens("here", self.frames.append, self._take_panes)
        self._numbers = count()
        self._thread = threading.Thread(target=self.live.run, args=(self._capture,), daemon=True)
        self._thread.start()

    def _take_panes(self, panes: frozenset[str]) -> None:
        self.panes = panes

    def _capture(self, session_id: str, _lines: int) -> tuple[str, str]:
        return f"%{session_id}", str(next(self._numbers))

    def goes_on(self, session_id: str) -> bool:
        """Whether another screen of a session comes."""
        before = len(self.frames)
        self.live.wrote([f"%{session_id}"])
        until(lambda: any(frame.session_id == session_id for frame in self.frames[before:]))
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


def test_one_watcher_s_end_is_not_another_s(screens: Screens) -> None:
    """A session is shown for as long as anybody watches it, and no longer."""
    screens.live.watch("s", "", 300)
    screens.live.watch("s", "raspi", 300)
    assert screens.goes_on("s")
    screens.live.watch("s", "raspi", 0)
    assert screens.goes_on("s")
    screens.live.watch("s", "", 0)
    until(lambda: not screens.live._watched)
    screens.live.watch("s", "nobody", 0)
    assert not screens.live._watched


def test_a_shorter_watch_shortens_none(screens: Screens) -> None:
    """Neither another's nor the same watcher's: there may be several clients behind one name."""
    screens.live.watch("s", "", 300)
    until_before = dict(screens.live._watched["s"].watchers)
    screens.live.watch("s", "", 0.001)
    screens.live.watch("s", "raspi", 0.001)
    until(lambda: screens.live._watched["s"].watchers == until_before)
    assert screens.goes_on("s")


def test_a_watch_ends_by_itself(screens: Screens) -> None:
    """Who forgot to end it costs nothing for long, and the panes of others are told of no more."""
    screens.live.watch("s", "", 0.05)
    until(lambda: not screens.live._watched)
    screens.live.watch("t", "", 300)
    until(lambda: screens.panes == {"%t"})


def test_watches_are_bounded(screens: Screens) -> None:
    """In number and time; a session that is watched already may have more watchers."""
    for number in range(AT_ONCE):
        screens.live.watch(str(number), "", 300)
    screens.live.watch("1", "raspi", 300)
    with pytest.raises(TooLarge):
        screens.live.watch("one more", "", 300)
    with pytest.raises(InvalidField):
        screens.live.watch("1", "", 1e9)
