"""Sealing: what is dropped, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.records import Computer
from teleclaude.sync.fleet.wire.messages import Goodbye, Heads, Heartbeat
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, REASONS, Dropped, Drops, Seal

KEY, OTHER = b"k" * 32, b"o" * 32


def seal(me: str = "here", *keys: bytes) -> Seal:
    """A computer's seal."""
    return Seal(me, f"epoch-{me}", 1, keys or (KEY,))


def why(opener: Seal, blob: bytes, sender: str | None = None) -> str:
    """The reason for which a message is dropped."""
    with pytest.raises(Dropped) as caught:
        opener.open(blob, sender=sender)
    return caught.value.reason


def test_a_sealed_message_is_opened_by_whom_it_is_for() -> None:
    """The recipient reads what was said, by whom, in which epoch."""
    envelope, body = seal("near").open(seal("far").seal("near", Heads(heads={"sessions": 3})))
    assert body == Heads(heads={"sessions": 3})
    assert (envelope.sender, envelope.epoch) == ("far", "epoch-far")


def test_redis_sees_nothing_of_a_message() -> None:
    """Neither names nor contents can be read in what is stored."""
    blob = seal("far").seal(EVERYBODY, Heartbeat(beat=1, home="h", heads={}, info=Computer(name="far", user="anna")))
    assert b"far" not in blob
    assert b"anna" not in blob


def test_each_wrong_message_has_its_reason() -> None:
    """Unsealed, sealed with another key, for somebody else, and in another's place: each is told apart."""
    blob = seal("far").seal("near", Goodbye())
    assert why(seal("near"), b"\x80\x04pickle") == "unsealed"
    assert why(seal("near"), b"") == "unsealed"
    assert why(seal("near"), seal("far", OTHER).seal("near", Goodbye())) == "altered"
    assert why(seal("third"), blob) == "misaddressed"
    assert why(seal("near"), blob, sender="raspi") == "forged"


@given(st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    """A message that was changed anywhere is dropped."""
    blob = bytearray(seal("far").seal("near", Heads(heads={"todos": 1})))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    assert why(seal("near"), bytes(blob)) in {"altered", "unsealed"}


@given(st.binary(max_size=300))
def test_no_junk_raises_anything_else(junk: bytes) -> None:
    """Whatever lies in Redis, sealed by a member even, is dropped for a reason."""
    assert why(seal("near"), junk) in REASONS
    boxed = seal("far")._boxes[0].encrypt(junk)
    assert why(seal("near"), b"tc1" + bytes(boxed)) == ("malformed" if junk else "unsealed")


def test_an_older_key_opens_and_does_not_seal() -> None:
    """During the grace after a change of keys both are understood; only the new one is used."""
    changed = seal("near", OTHER, KEY)
    changed.open(seal("far", KEY).seal("near", Goodbye()))
    assert why(seal("far", KEY), changed.seal("far", Goodbye())) == "altered"


def test_drops_are_counted_by_reason() -> None:
    """Every reason has a counter, and each drop raises one of them by one."""
    drops = Drops()
    drops.add(Dropped("replayed", "far"))
    drops.add(Dropped("replayed", "far\n\x1b[31m"))
    assert set(drops.counts()) == set(REASONS)
    assert {reason: count for reason, count in drops.counts().items() if count} == {"replayed": 2}
