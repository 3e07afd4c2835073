"""Two computers with one name: one holds it, the other keeps silent, neither flaps."""

from __future__ import annotations

import msgspec

from teleclaude.core.records import Computer
from teleclaude.sync.fleet.membership.name_claim import Claim, NameLease
from teleclaude.sync.fleet.wire.messages import Envelope, Heartbeat


def beat(number: int, *, epoch: str = "theirs", generation: int = 1, home: str = "there") -> tuple[Envelope, Heartbeat]:
    """A heartbeat under the name."""
    envelope = Envelope(1, "twin", "*", "id", epoch, generation, 0.0, msgspec.Raw(b"\xc0"))
    return envelope, Heartbeat(beat=number, home=home, heads={}, info=Computer(name="twin", host="other.lan"))


def test_free_where_nobody_is_and_after_an_own_crash() -> None:
    """A start goes on at once where nobody has the name, or this machine's own earlier run had it."""
    assert NameLease("mine", 2, "here").look(None, 0.0) is Claim.FREE
    assert NameLease("mine", 2, "here").look(beat(7, home="here"), 0.0) is Claim.FREE


def test_taken_while_it_beats() -> None:
    """A name that beats is another's, for as long as it does."""
    name = NameLease("mine", 2, "here")
    assert name.look(beat(7), 0.0) is Claim.WAIT
    assert name.look(beat(7), 10.0) is Claim.WAIT
    assert name.look(beat(8), 20.0) is Claim.TAKEN
    assert name.look(beat(8), 30.0) is Claim.TAKEN
    assert name.look(beat(9), 40.0) is Claim.TAKEN


def test_free_when_it_stopped_beating() -> None:
    """A namesake that died, or this computer before its reboot, holds the name no longer than it takes to see that."""
    name = NameLease("mine", 2, "here")
    name.look(beat(7), 0.0)
    assert name.look(beat(7), 24.9) is Claim.WAIT
    assert name.look(beat(7), 25.0) is Claim.FREE


def test_of_two_that_write_at_once_one_yields() -> None:
    """Two that began together see each other's beat; the later one keeps silent, the earlier one goes on."""
    early, late = NameLease("a", 1, "here"), NameLease("b", 2, "there")
    assert not early.yields_to(beat(1, epoch="b", generation=2), 0.0)
    assert late.yields_to(beat(1, epoch="a", generation=1), 0.0)
    own = beat(2, epoch="b", generation=2)
    assert late.look(own, 1.0) is Claim.TAKEN, "its own last beat is still there: no reason to begin anew"
    assert late.look(beat(3, epoch="a", generation=1), 20.0) is Claim.TAKEN
    assert late.look(None, 46.0) is Claim.FREE
