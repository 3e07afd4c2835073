"""Two computers with one name, over a real Redis."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from teleclaude.sync.fleet.membership import name_claim
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.node import Node
from tests.wait import until


def name_service(node: Node) -> str:
    """What a computer shows of its name; empty when all is well."""
    return next((service.reason for service in node.half.services() if service.name == "name"), "")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look every half second instead of five; have patience as long as a beat and a half of a test."""
    monkeypatch.setattr(name_claim, "LOOK_EVERY", 0.3)


def beat_now(node: Node) -> None:
    """Have a computer beat."""
    node.beat_now()


def test_both_are_told_and_neither_flaps(node: MakeNode) -> None:
    """The second one keeps silent and says why; the first goes on, and says so too; a third sees one computer."""
    first, third = node("twin"), node("third")
    third.look("twin")
    until(lambda: third.titles("twin") == ["one"])
    second = node("twin")
    second.sessions("of the second")
    until(lambda: "looking whether it still is" in name_service(second))
    beat_now(first)
    until(lambda: "is called twin too" in name_service(second))
    assert second.redis()[0] == "down"
    assert "twin.lan" in name_service(second)
    until(lambda: "has this computer's name too" in name_service(first))
    assert first.is_ok()
    first.sessions("still the first")
    until(lambda: third.titles("twin") == ["still the first"])
    assert second.half.counters["connects"] == 0
    assert first.half.counters["connects"] == 1
    assert second.titles("twin") == ["of the second"], "its own view is untouched"


def test_the_name_is_free_when_the_first_ends(node: MakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the holder of a name goes, the other takes it without a hand."""
    monkeypatch.setattr(name_claim, "PATIENCE", 1.0)
    first = node("twin")
    second = node("twin")
    beat_now(first)
    until(lambda: name_service(second) != "")
    first.close(keep=True)
    until(second.is_ok, 20)
    until(lambda: name_service(second) == "")


def test_a_cloned_disk(node: MakeNode, server: RedisProcess) -> None:
    """A copy of a computer's folders is another computer, however much it has in common with the first."""
    first = node("twin")
    until(first.is_ok)
    copy = Path(tempfile.mkdtemp(prefix="tcn", dir="/tmp"))
    shutil.copytree(first.folder, copy, dirs_exist_ok=True)
    second = node("twin", folder=copy)
    beat_now(first)
    until(lambda: name_service(second) != "")
    beat_now(first)
    until(lambda: "is called twin too" in name_service(second))
    assert first.is_ok()
    assert server.run("ZCARD", "teleclaude:computers") == 1


def test_two_that_wake_at_once(node: MakeNode) -> None:
    """Two that both believe to hold the name find out with their next beat; one of them stays."""
    first = node("twin")
    until(first.is_ok)
    second = Node("twin", first.settings.redis.url)
    try:
        second.start()
        second.loop.node.claim.look = lambda *_: name_claim.Claim.FREE  # type: ignore[method-assign]
        until(second.is_ok)
        del second.loop.node.claim.look
        beat_now(first)
        beat_now(second)
        until(lambda: first.is_ok() != second.is_ok())
        stays, yields = (first, second) if first.is_ok() else (second, first)
        until(lambda: name_service(yields) != "")
        for _ in range(3):
            beats = stays.loop.node.heartbeats.beat
            beat_now(stays)
            until(lambda beats=beats: stays.loop.node.heartbeats.beat > beats)  # type: ignore[misc]
            assert (stays.is_ok(), yields.is_ok()) == (True, False)
    finally:
        second.close()
