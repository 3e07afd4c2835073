"""Who watches, and what they get: the newest screen, and no version that goes backwards."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import msgspec
import pytest

from teleclaude.core.errors import TooLarge
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.request_wire import OutputEndFrame, OutputFrame
from teleclaude.web.push.watches import WATCHES_LIMIT, Watches

ONE, TWO = ("far", "one"), ("far", "two")


class Box:
    """A client's box; while it is `busy`, what is only good as the newest waits, and is made when it is read."""

    def __init__(self) -> None:
        self.busy = False
        self.sent: list[bytes] = []
        self.newest: dict[Hashable, Callable[[], bytes]] = {}

    def push(self, data: bytes) -> None:
        self.sent.append(data)

    def push_newest(self, place: Hashable, make: Callable[[], bytes]) -> None:
        if self.busy:
            self.newest[place] = make
        else:
            self.sent.append(make())

    def forget_newest(self, place: Hashable) -> None:
        self.newest.pop(place, None)

    def read(self) -> list[dict[str, Any]]:
        """Take all, decoded."""
        self.sent += [make() for make in self.newest.values()]
        self.newest.clear()
        found = [msgspec.json.decode(data[data.index(b"{") :]) for data in self.sent]
        self.sent.clear()
        return found

    def texts(self) -> list[str]:
        """Take all screens."""
        return [event["data"].get("text", event["event"]) for event in self.read()]


class Told:
    """Watches, with a version that the test moves, and how often another set was told."""

    def __init__(self) -> None:
        self.version = self.changes = 0
        self.watches = Watches(lambda: self.version, self._changed)

    def _changed(self) -> None:
        self.changes += 1


def screen(text: str, place: tuple[str, str] = ONE) -> OutputFrame:
    """A screen of one row."""
    return OutputFrame(*place, LiveScreen(rows=(text,), columns=80))


def test_only_who_watches_gets_output() -> None:
    """And by computer too: ids of others are not ours to trust."""
    told, box, other = Told(), Box(), Box()
    told.watches.start("a", box, ONE)
    told.watches.start("b", other, ("near", "one"))
    told.watches.receive(screen("x"))
    told.watches.receive(screen("y", TWO))
    assert (box.texts(), other.texts()) == (["x"], [])


def test_clients_share_one_watch() -> None:
    """The set changes with the first and the last; who comes later gets what is there at once."""
    told, first, second = Told(), Box(), Box()
    told.watches.start("a", first, ONE)
    told.watches.receive(screen("x"))
    told.watches.start("b", second, ONE)
    assert (second.texts(), told.changes, told.watches.total()) == (["x"], 1, [ONE])
    told.watches.leave("a")
    assert (told.changes, told.watches.total()) == (1, [ONE])
    told.watches.leave("b")
    assert (told.changes, told.watches.total()) == (2, [])
    assert not told.watches._newest
    assert not told.watches._encoded
    told.watches.start("c", first, ONE)
    first.sent.clear()
    told.watches.receive(screen("x"))
    assert first.texts() == ["x"]


def test_who_lags_gets_the_newest_alone() -> None:
    """With the version of the moment in which it is sent, so that versions never go backwards."""
    told, box = Told(), Box()
    told.watches.start("a", box, ONE)
    box.busy = True
    for number in range(10):
        told.version = number
        told.watches.receive(screen(str(number)))
    told.version = 99
    [event] = box.read()
    assert (event["version"], event["data"]["text"]) == (99, "9")


def test_who_ends_its_watch_gets_nothing_that_waited() -> None:
    """What was put off is not sent after the end of the watch."""
    told, box = Told(), Box()
    told.watches.start("a", box, ONE)
    box.busy = True
    told.watches.receive(screen("x"))
    told.watches.stop("a", ONE)
    assert box.read() == []


def test_the_end_of_a_screen_ends_the_watch() -> None:
    """All who watched are told why, and the set is another one."""
    told, box = Told(), Box()
    told.watches.start("a", box, ONE)
    told.watches.start("a", box, TWO)
    told.watches.receive(OutputEndFrame(*ONE, "refused", "not you"))
    [event] = box.read()
    assert (event["event"], event["data"]["code"], event["data"]["field"]) == ("error", "refused", "watch")
    assert told.watches.total() == [TWO]


def test_a_client_watches_a_few_sessions() -> None:
    """One more than it may is refused; one that it watches already is not one more."""
    told, box = Told(), Box()
    for number in range(WATCHES_LIMIT):
        told.watches.start("a", box, ("far", str(number)))
    told.watches.start("a", box, ("far", "0"))
    with pytest.raises(TooLarge):
        told.watches.start("a", box, ("far", "one more"))
    assert len(told.watches.total()) == WATCHES_LIMIT
