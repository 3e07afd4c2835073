"""The feed's greenlet: what it gives on, and in which order."""

from __future__ import annotations

from pathlib import Path

from teleclaude.cache import wire
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.core.requests import Outcome
from teleclaude.replication.version import Version
from teleclaude.web.push.feed_reader import Feed
from teleclaude.web.push.hub import Hub
from tests.web.push.test_hub import make, snapshot


def test_an_outcome_waits_for_what_it_made() -> None:
    """Who is told that a command is done finds its work on /ws too: an outcome that came early is held back."""
    cache, hub, told = DaemonCache("a"), Hub("1"), []
    feed = Feed(Path("/nowhere"), hub, lambda: cache.version)
    feed.on_outcome = lambda outcome: told.append((outcome.id, hub.mirror.version.number))
    feed._receive(wire.WelcomeFrame("a"))
    feed._receive(snapshot(cache))
    cache.put([make("sessions", "a", number, "x") for number in range(3)])
    feed.receive_outcome(Outcome(id="1", status="ok"))
    changes = cache.since(Version(cache.version.epoch, 0)) or []
    feed._receive(wire.ChangesFrame(cache.version.epoch, changes[:2]))
    feed.receive_outcome(Outcome(id="2", status="ok"))
    assert told == []
    feed._receive(wire.ChangesFrame(cache.version.epoch, changes[2:]))
    assert told == [("1", 3), ("2", 3)]
    feed.receive_outcome(Outcome(id="3", status="ok"))
    assert told[2:] == [("3", 3)]


def test_an_outcome_of_an_older_epoch_is_not_held_back() -> None:
    """After the cache was replaced nobody waits for a version that never comes."""
    cache, hub, told = DaemonCache("a"), Hub("1"), []
    feed = Feed(Path("/nowhere"), hub, lambda: Version("older", 99))
    feed.on_outcome = lambda outcome: told.append(outcome.id)
    feed._receive(wire.WelcomeFrame("a"))
    feed._receive(snapshot(cache))
    feed.receive_outcome(Outcome(id="1", status="ok"))
    assert told == ["1"]


def test_an_outcome_is_told_while_the_cache_is_away() -> None:
    """What was held back when the feed is lost is given then, and what comes later at once."""
    cache, hub, told = DaemonCache("a"), Hub("1"), []
    feed = Feed(Path("/nowhere"), hub, lambda: Version(cache.version.epoch, 99))
    feed.on_outcome = lambda outcome: told.append(outcome.id)
    feed._receive(wire.WelcomeFrame("a"))
    feed._receive(snapshot(cache))
    feed.receive_outcome(Outcome(id="1", status="ok"))
    assert told == []
    feed._lose()
    feed.receive_outcome(Outcome(id="2", status="ok"))
    assert told == ["1", "2"]
