"""Outcomes and screens on their way to who takes them, who may be slow."""

from __future__ import annotations

import threading

from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.request_wire import OutputFrame, WatchedFrame
from teleclaude.core.requests import Outcome
from teleclaude.sync.fleet import outcome_sender
from teleclaude.sync.fleet.outcome_sender import OutcomeSender


class Slow:
    """Takes the first thing only once it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.outcomes: list[str] = []
        self.screens: list[tuple[str, str]] = []

    def finish(self, outcome: Outcome) -> None:
        """Note an outcome."""
        self.may_go_on.wait(20)
        self.outcomes.append(outcome.id)

    def emit(self, screen: WatchedFrame) -> None:
        """Note a screen."""
        self.may_go_on.wait(20)
        assert isinstance(screen, OutputFrame)
        self.screens.append((screen.session_id, screen.screen.text))


def test_screens_drive_out_no_outcome() -> None:
    """However many come, of each session only the newest waits, and every outcome is told (C8)."""
    taker = Slow()
    sender = OutcomeSender(taker)
    sender.finish(Outcome(id="first", status="ok"))
    for number in range(outcome_sender.WAITING * 2):
        sender.emit(OutputFrame("far", str(number % 2), LiveScreen(rows=(str(number),))))
    for number in range(100):
        sender.finish(Outcome(id=str(number), status="ok"))
    taker.may_go_on.set()
    sender.stop(20)
    assert taker.outcomes == ["first", *map(str, range(100))]
    last = outcome_sender.WAITING * 2
    assert taker.screens == [("0", str(last - 2)), ("1", str(last - 1))]
